"""The command line: `smallfirst`."""

from smallfirst.cli.main import app

__all__ = ["app"]
