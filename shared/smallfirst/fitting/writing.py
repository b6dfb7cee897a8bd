"""What a fitting writes: the task's entry in the catalogue, its examples, its promise.

Everything is checked before anything is written, and the catalogue comes last: a fleet that watches
it never sees an entry whose examples or promise are not there yet. A catalogue that is there keeps
all its other entries, its comments and its order.
"""

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import Catalogue, Promise
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.evaluation.promises import write_promise
from smallfirst.evaluation.rows import Row
from smallfirst.fitting.asking import example_of
from smallfirst.fitting.drafting import Written
from smallfirst.fitting.errors import FitError
from smallfirst.fitting.yaml_edits import with_entry


@dataclass(frozen=True)
class Destination:
    """Where a fitting writes.

    Attributes:
        catalogue: The file; it may not be there yet.
        task: The entry's name.
    """

    catalogue: Path
    task: str

    @property
    def examples(self) -> Path:
        """The rows that the task's models learn from."""
        return self.catalogue.parent / "examples" / f"{self.task}.jsonl"

    @property
    def beside(self) -> Path:
        """Where what was measured stands, and the page."""
        return self.catalogue.parent / "fitted"

    @property
    def measured(self) -> Path:
        """What every candidate said."""
        return self.beside / f"{self.task}.measured.jsonl"

    @property
    def card(self) -> Path:
        """All that was found, for programs."""
        return self.beside / f"{self.task}.json"

    @property
    def provenance(self) -> Path:
        """Which rows were learned from and promised on, and who labelled them."""
        return self.beside / f"{self.task}.provenance.jsonl"

    @property
    def to_teach(self) -> Path:
        """Rows to label that teach most, and are no draw from the stream."""
        return self.beside / f"{self.task}.to-teach.jsonl"

    @property
    def to_judge(self) -> Path:
        """Rows to label that were drawn by chance, and so may choose and promise."""
        return self.beside / f"{self.task}.to-judge.jsonl"

    @property
    def page(self) -> Path:
        """All that was found, for people."""
        return self.beside / f"{self.task}.html"


def catalogue_at(to: Destination) -> Catalogue | None:
    """The catalogue that is there already, its promises aside; None for none.

    Raises:
        CatalogueError: When it is wrong.
    """
    is_there = to.catalogue.is_file()
    return load_catalogue(to.catalogue, needs_promises=False) if is_there else None


def check_writable(to: Destination, *, replace: bool) -> None:
    """See before the work begins that its outcome may be written.

    Raises:
        FitError: When the task or its examples are there, and are not to be replaced, or the
            folder cannot be written to.
    """
    if not replace:
        _refuse_to_overwrite(to)
    folder = to.catalogue.parent
    try:
        to.beside.mkdir(parents=True, exist_ok=True)
        probe = to.beside / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise FitError(
            f"{folder}: cannot be written to ({reason}); name another with --out"
        ) from None


@contextmanager
def alone(to: Destination) -> Iterator[None]:
    """Keep a second fitting of the task out of the folder; the kernel ends this with the process.

    Raises:
        FitError: When another is under way.
    """
    to.beside.mkdir(parents=True, exist_ok=True)
    with (to.beside / f".{to.task}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FitError(
                f"{to.beside}: another fit of {to.task} is under way there; wait for it, or name"
                " another folder with --out"
            ) from None
        yield


def _refuse_to_overwrite(to: Destination) -> None:
    remedy = "--replace writes over it, --out names another folder"
    there = catalogue_at(to)
    if there is not None and to.task in there.tasks:
        raise FitError(f"{to.catalogue}: has a task {to.task!r} already; {remedy}")
    if to.examples.exists():
        raise FitError(f"{to.examples}: is there already; {remedy}")


def entry_of(to: Destination, task: Written, *, has_examples: bool = True) -> Written:
    """The task's entry as the catalogue's file has it."""
    about = {key: value for key, value in task.items() if key not in {"cascade", "examples"}}
    examples = to.examples.relative_to(to.catalogue.parent).as_posix()
    learned = {"examples": f"./{examples}"} if has_examples else {}
    return {**about, **learned, "cascade": task["cascade"]}


def beside(to: Destination, added: Mapping[str, Written]) -> dict[str, Written]:
    """The same entries, with models that lie beside the catalogue named from there."""
    folder = to.catalogue.parent
    models = {
        name: {**model, "source": f"./{Path(model['source']).relative_to(folder).as_posix()}"}
        for name, model in added.get("models", {}).items()
        if Path(model["source"]).is_relative_to(folder)
    }
    return {**added, "models": {**added["models"], **models}} if models else dict(added)


def edited(
    to: Destination,
    base: Written,
    added: Mapping[str, Written],
    task: Written,
    *,
    has_examples: bool = True,
) -> str:
    """The catalogue's file with the entry, the models and the pools that it needs.

    Args:
        to: Where it stands; a file that is there is kept but for these entries.
        base: Whose version, currency and prices are written where there is none.
        added: By section and name, what the file lacks.
        task: With its cascade.
        has_examples: Whether its models learn from some.

    Raises:
        FitError: When a section of the file is written in a way that cannot be added to.
    """
    text = to.catalogue.read_text("utf-8-sig") if to.catalogue.is_file() else "version: 1\n"
    if not to.catalogue.is_file():
        text = _heads(base)
    for section, entries in added.items():
        for name, entry in entries.items():
            text = with_entry(text, section, name, entry)
    return with_entry(text, "tasks", to.task, entry_of(to, task, has_examples=has_examples))


def _heads(base: Written) -> str:
    lines = [
        f"{key}: {json.dumps(base[key])}"
        for key in ("version", "currency", "router")
        if key in base
    ]
    return "# What this fleet serves. Check it after each change: smallfirst check\n" + "".join(
        f"{line}\n" for line in lines
    )


def check_edit(
    to: Destination, text: str, examples: Sequence[Row], *, gone: Collection[str] = ()
) -> Catalogue:
    """See that the file, so edited, reads as it should: in a folder of its own, beside the old one.

    Args:
        to: Where it stands.
        text: As it will be.
        examples: What the task's models learn from.
        gone: The models that leave with the edit.

    Returns:
        The catalogue as it will be, without its promises.

    Raises:
        CatalogueError: When it would be wrong.
        FitError: When another entry than the task's would change.
    """
    folder = to.catalogue.parent
    half = folder / f".fit-{os.getpid()}-{to.catalogue.name}"
    to.examples.parent.mkdir(exist_ok=True)
    new_examples = to.examples.with_name(f".{os.getpid()}-{to.examples.name}")
    try:
        _write_rows(new_examples, examples)
        half.write_text(
            text.replace(f"./examples/{to.examples.name}", f"./examples/{new_examples.name}"),
            "utf-8",
        )
        found = load_catalogue(half, needs_promises=False)
    finally:
        half.unlink(missing_ok=True)
        new_examples.unlink(missing_ok=True)
    if (there := catalogue_at(to)) is not None:
        _see_others_unchanged(there, found, to.task, gone)
    return found


def _see_others_unchanged(
    before: Catalogue, after: Catalogue, task: str, gone: Collection[str]
) -> None:
    same_tasks = all(
        after.tasks.get(name) == each for name, each in before.tasks.items() if name != task
    )
    same_models = all(
        after.models.get(name) == each for name, each in before.models.items() if name not in gone
    )
    same_pools = all(after.pools.get(name) == each for name, each in before.pools.items())
    if not (same_tasks and same_models and same_pools):
        raise FitError(
            "the catalogue is written in a way that this entry cannot be added to without changing"
            " another; name another folder with --out, and copy the entry from there"
        )


def write(to: Destination, text: str, examples: Sequence[Row], promise: Promise | None) -> None:
    """Write examples, promise and catalogue, each whole or not at all; what is none is not."""
    if examples:
        to.examples.parent.mkdir(exist_ok=True)
        _write_rows(to.examples, examples)
    if promise is not None:
        write_promise(promise, to.catalogue)
    write_whole(to.catalogue, text)


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    write_whole(
        path, "".join(json.dumps(example_of(row), ensure_ascii=False) + "\n" for row in rows)
    )
