"""The command line, where no script is on the path: `python -m smallfirst`."""

from smallfirst.cli import app

app()
