"""How the commands speak: answers on stdout, everything else on stderr, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: Exit codes of every command.
OK, SOME_FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
#: Where nobody looks there is no width to keep to.
_WIDTH_OF_FILES = 200

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class CommandError(Exception):
    """Raised when a command cannot do what was asked; it ends with one line and an exit code."""

    def __init__(self, message: str, *, exit_code: int = SOME_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def console(*, stderr: bool = False) -> Console:
    """Open a console; a file or a pipe gets lines of any length, so that nothing is cut."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_OF_FILES
    return Console(file=stream, width=width, highlight=False)


def print_json(value: Any, *, indent: int | None = None, to_stderr: bool = False) -> None:
    """Write one JSON value and a line's end to stdout, or beside what stdout is used for."""
    stream = sys.stderr if to_stderr else sys.stdout
    is_ascii = not (stream.encoding or "").lower().startswith("utf")
    stream.write(json.dumps(value, ensure_ascii=is_ascii, indent=indent) + "\n")
    stream.flush()


def say(text: str) -> None:
    """Write one line to stdout; what its encoding has no sign for is escaped."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write one line to stderr, for the person who watches."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def fail(message: str, *, exit_code: int = SOME_FAILED) -> NoReturn:
    """End the command with one line on stderr."""
    raise CommandError(message, exit_code=exit_code)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, title: str = ""
) -> Table:
    """Lay out rows of text; the first `left` columns are words, the others numbers.

    A heading may be broken between its words, and never inside of one.
    """
    laid = Table(title=escape(title) or None, title_justify="left", header_style="bold", box=None)
    for place, column in enumerate(columns):
        laid.add_column(
            escape(column),
            justify="left" if place < left else "right",
            overflow="fold",
            min_width=max(map(len, column.split()), default=0),
        )
    for row in rows:
        laid.add_row(*map(escape, row))
    return laid


def duration(seconds: float | None) -> str:
    """Write a duration as people read it: 3 ms, 1.2 s, 4 min, 2 h, 3 d."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0095 else f"{seconds * 1000:.1f} ms"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def share(value: float | None) -> str:
    """Write a share of 0 to 1 in per cent."""
    return "-" if value is None else f"{value * 100:.1f} %"
