"""`python -m smallfirst`: the command line, where no script is on the PATH."""

from smallfirst.cli import app

if __name__ == "__main__":
    app(prog_name="smallfirst")
