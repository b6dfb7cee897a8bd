"""`python -m smallfirst.cli`, where the script `smallfirst` is not on the PATH."""

from smallfirst.cli import app

if __name__ == "__main__":
    app(prog_name="smallfirst")
