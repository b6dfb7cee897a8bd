"""Looks through a desk's action log: `python -m smallfirst_desk.verify_log FOLDER`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from smallfirst_desk.action_log import Break, Verified, verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Name each place where the chain is broken; return 1 where it is, else 0."""
    given = _parser().parse_args(arguments)
    try:
        if not given.folder.is_dir():
            sys.stderr.write(f"smallfirst: {given.folder}: no such folder\n")
            return 2
        found = verify(given.folder)
    except OSError as error:
        sys.stderr.write(f"smallfirst: {given.folder}: cannot be read: {error.strerror}\n")
        return 2
    breaks = [*found.breaks, *_lost_end(found, given.last)]
    if given.json:
        told = {
            "first": found.first,
            "records": found.head.number,
            "last_hash": found.head.hash,
            "breaks": [vars(each) for each in breaks],
        }
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        _tell(found, breaks)
    return 1 if breaks else 0


def _lost_end(found: Verified, last: int | None) -> list[Break]:
    """Say that records are gone at the end, where there were more once."""
    if last is None or found.head.number >= last:
        return []
    return [Break("", 0, f"records {found.head.number + 1} to {last} are missing at the end")]


def _tell(found: Verified, breaks: Sequence[Break]) -> None:
    for each in breaks:
        where = f"{each.file}, line {each.line}: " if each.file else ""
        sys.stdout.write(f"{where}{each.problem}\n")
    if found.first > 1:
        sys.stdout.write(f"begins at record {found.first}: older files are not here\n")
    state = f"broken at {len(breaks)} places" if breaks else "whole"
    sys.stdout.write(f"{state}; the last record is {found.head.number}, {found.head.hash}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smallfirst desk verify-log", description=__doc__)
    parser.add_argument("folder", type=Path, help="The folder of the log.")
    parser.add_argument(
        "--last",
        type=int,
        help="A record that was there once, as a desk's log or an earlier look said.",
    )
    parser.add_argument("--json", action="store_true", help="Print for programs.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
