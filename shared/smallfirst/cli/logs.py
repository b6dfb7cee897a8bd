"""`smallfirst logs`: what the processes of the fleet on this machine said last."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.cli.global_options import globals_of
from smallfirst.cli.log_lines import event_of, shown_line, time_of
from smallfirst.cli.output import JsonOption, fail, print_json
from smallfirst.local.follow import LogFollower
from smallfirst.process.announcement import default_folder

#: How much of a log's end is read for its last lines.
_TAIL_BYTES = 1024 * 1024

#: What is done with a line: the process's name, and the line.
Show = Callable[[str, str], None]

RoleArgument = Annotated[
    str | None,
    typer.Argument(
        help="The beginning of a process's name, such as `router` or `worker-cpu`; `redis` is"
        " asked for by name. If not given, all others."
    ),
]


@dataclass(frozen=True)
class _Said:
    """A line, who wrote it, and when: a line without a time has that of the line before it."""

    at: str
    name: str
    line: str


def logs(
    context: typer.Context,
    role: RoleArgument = None,
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="The number of last lines of each process.")
    ] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the processes of the fleet here said last, in the order of time."""
    show: Show = _print_json_line if as_json else shown_line
    base = globals_of(context).folder or default_folder()
    folder = base / ("redis" if role == "redis" else "logs")
    paths = [path for path in sorted(folder.glob("*.log")) if path.stem.startswith(role or "")]
    if not paths:
        fail(f"{folder}: no log{f' of {role}' if role else ''}; {_what_there_is(base)}")
    read_up_to = {path: path.stat().st_size for path in folder.glob("*.log")}
    _show_last(paths, read_up_to, lines, show)
    if follow:
        _follow(folder, role or "", read_up_to, show)


def _show_last(
    paths: Sequence[Path], read_up_to: dict[Path, int], num_lines: int, show: Show
) -> None:
    said = [
        each for path in paths for each in deque(_end_of(path, read_up_to[path]), maxlen=num_lines)
    ]
    for each in sorted(said, key=lambda each: each.at):
        show(each.name, each.line)


def _end_of(path: Path, end: int) -> Iterator[_Said]:
    with path.open("rb") as file:
        file.seek(max(0, end - _TAIL_BYTES))
        found = file.read(end - file.tell()).decode("utf-8", errors="replace").splitlines()
    at = ""
    for line in found:
        event = event_of(line)
        at = time_of(event) if event else at
        yield _Said(at, path.stem, line)


def _follow(folder: Path, role: str, read_up_to: dict[Path, int], show: Show) -> None:
    def show_wanted(name: str, line: str) -> None:
        if name.startswith(role):
            show(name, line)

    with LogFollower(folder, show_wanted, read_up_to=read_up_to):
        threading.Event().wait()


def _print_json_line(name: str, line: str) -> None:
    """Print one of our events with its process's name; of another line, the line."""
    print_json({"process": name, **(event_of(line) or {"line": line})})


def _what_there_is(base: Path) -> str:
    names = [path.stem for path in sorted(base.glob("*/*.log"))]
    if names:
        return f"there are those of {', '.join(names)}"
    return "start a fleet with `smallfirst up`, or name its folder with --folder"
