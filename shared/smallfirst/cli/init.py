"""`smallfirst init`: a first catalogue with its examples, and a few rows to try it on."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.cli.output import SOME_FAILED, JsonOption, fail, note, print_json, say

#: What is written, in the order in which a person reads it.
STARTER = ("catalogue.yaml", "examples.jsonl", "rows.jsonl")

FolderArgument = Annotated[
    Path, typer.Argument(help="The folder to write into; it is made where there is none.")
]


def init(folder: FolderArgument = Path(), *, as_json: JsonOption = False) -> None:
    """Write a first catalogue, its examples and a few rows to try; overwrites nothing.

    `smallfirst up` in that folder runs a fleet that serves it.
    """
    paths = [folder / name for name in STARTER]
    there = [str(path) for path in paths if path.exists()]
    if there:
        fail(f"{', '.join(there)}: there already; name another folder", exit_code=SOME_FAILED)
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        with path.open("x", encoding="utf-8") as file:
            file.write((files("smallfirst.cli") / "starter" / path.name).read_text("utf-8"))
    if as_json:
        print_json([str(path) for path in paths])
        return
    for path in paths:
        say(str(path))
    inside = "" if folder == Path() else f"cd {folder} && "
    note(f"next: {inside}smallfirst up, and beside it: smallfirst run rows.jsonl --task topic")
