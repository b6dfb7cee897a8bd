"""The versions of a task: what each promotion replaced, kept beside the catalogue, to go back to.

    versions/TASK/N/entry.json       the task's entry, as the catalogue had it
    versions/TASK/N/examples.jsonl   what its models learn from, where the entry names a file
    versions/TASK/N/promise.json     its promise, where there is one
    versions/TASK/N/provenance.jsonl  the card of what it learned, where there is one
    versions/TASK/looks.jsonl        every look at a candidate, with what was seen
    versions/TASK/shadows.jsonl      every candidate that ran in shadow

A promotion adds models and takes none away, and what an entry here names stays where a shadow is
stopped; so an entry's models are there when it comes back.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smallfirst.catalogue import Catalogue, promise_path, step_specs
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.errors import CatalogueError
from smallfirst.fitting.writing import Destination
from smallfirst.fitting.yaml_edits import with_entry
from smallfirst.gate.checking import check_loads
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.verdict import Verdict


@dataclass(frozen=True)
class Versions:
    """Where the versions of a task are.

    Attributes:
        catalogue: The file.
        task: Its name there.
    """

    catalogue: Path
    task: str

    @property
    def folder(self) -> Path:
        """Beside the catalogue."""
        return self.catalogue.parent / "versions" / self.task

    @property
    def looks(self) -> Path:
        """Every look at a candidate."""
        return self.folder / "looks.jsonl"

    @property
    def shadows(self) -> Path:
        """Every candidate that ran in shadow."""
        return self.folder / "shadows.jsonl"

    @property
    def numbers(self) -> list[int]:
        """Of the versions that are kept, oldest first."""
        found = self.folder.glob(f"*/{_ENTRY}")
        return sorted(int(path.parent.name) for path in found if path.parent.name.isdecimal())

    def keep(self) -> int:
        """Keep what the catalogue says of the task now; return the version's number."""
        used = [int(each.name) for each in self.folder.glob("*") if each.name.isdecimal()]
        number = max(used, default=0) + 1
        place = self.folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        entry = entry_of(self.catalogue, self.task)
        for name, path in self._files(entry):
            if path.is_file():
                write_whole(place / name, path.read_text("utf-8"))
        # The last to be written: without it there is no version.
        write_whole(place / _ENTRY, json.dumps(entry, ensure_ascii=False) + "\n")
        return number

    def bring_back(self) -> int:
        """Put the newest kept version in the place of what there is; return its number.

        The catalogue is written last, so that a fleet never sees an entry without its files.

        Raises:
            CandidateError: When none is kept, or the catalogue would be wrong with it; then nothing
                is written.
        """
        if not self.numbers:
            raise CandidateError(
                f"{self.folder}: keeps no version of {self.task!r}; one is kept at each promotion"
            )
        number = self.numbers[-1]
        place = self.folder / str(number)
        entry = json.loads((place / _ENTRY).read_text("utf-8"))
        self._check(place, entry)
        for name, path in self._files(entry):
            if (place / name).is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, (place / name).read_text("utf-8"))
            elif name in {_PROMISE, _CARD}:
                path.unlink(missing_ok=True)
        text = self.catalogue.read_text("utf-8-sig")
        write_whole(self.catalogue, with_entry(text, "tasks", self.task, entry))
        # Gone from the list, and there to be read.
        (place / _ENTRY).rename(place / "brought-back.json")
        return number

    def _check(self, place: Path, entry: dict[str, Any]) -> None:
        """See that the catalogue is right with a version's entry, and its own examples."""
        if (examples := place / _EXAMPLES).is_file():
            kept = examples.relative_to(self.catalogue.parent).as_posix()
            entry = entry | {"examples": f"./{kept}"}
        text = self.catalogue.read_text("utf-8-sig")
        try:
            check_loads(self.catalogue, with_entry(text, "tasks", self.task, entry))
        except CatalogueError as error:
            wrong = "; ".join(f"{each.where}: {each.rule}" for each in error.problems)
            raise CandidateError(
                f"{place}: cannot come back, for the catalogue would be wrong with it: {wrong};"
                " mend that, and roll back again"
            ) from None

    def note_look(self, candidate: str, verdict: Verdict) -> None:
        """Write a look down, once: whoever looks until one passes has to say how often."""
        if verdict.look.number <= len(self._looks(candidate)):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.looks.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"candidate": candidate, **verdict.as_json()}) + "\n")

    def note_shadow(self, candidate: str, models: Iterable[str]) -> None:
        """Write down that a candidate runs in shadow, and which models came with it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.shadows.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"candidate": candidate, "models": sorted(models)}) + "\n")

    def was_in_shadow(self, candidate: str) -> bool:
        """Whether a candidate ran in shadow before."""
        return any(each["candidate"] == candidate for each in self._shadows())

    def _shadows(self) -> list[dict[str, Any]]:
        return _lines_of(self.shadows) if self.shadows.is_file() else []

    def look_number(self, candidate: str, seen: Mapping[str, Any]) -> int:
        """Number a look at a candidate: where it sees what the last one saw, it is that one again.

        Args:
            candidate: By its cascade; see `name_of_cascade`.
            seen: See `verdict.seen`.
        """
        looks = self._looks(candidate)
        is_same = bool(looks) and all(looks[-1].get(name) == each for name, each in seen.items())
        return len(looks) if is_same else len(looks) + 1

    def _looks(self, candidate: str) -> list[dict[str, Any]]:
        looks = _lines_of(self.looks) if self.looks.is_file() else []
        return [each for each in looks if each["candidate"] == candidate]

    def _files(self, entry: dict[str, Any]) -> Iterator[tuple[str, Path]]:
        yield _PROMISE, promise_path(self.catalogue, self.task)
        yield _CARD, Destination(self.catalogue, self.task).provenance
        if isinstance(examples := entry.get("examples"), str):
            yield _EXAMPLES, self.catalogue.parent / examples


_ENTRY, _EXAMPLES = "entry.json", "examples.jsonl"
_PROMISE, _CARD = "promise.json", "provenance.jsonl"


def name_of_cascade(task: str, loaded: Catalogue) -> str:
    """What tells a candidate from others, whatever it is called: the hashes of its steps."""
    return "/".join(step_specs(loaded.tasks[task], loaded.models))


def models_of_shadows(catalogue: Path) -> frozenset[str]:
    """The models that came with candidates that ran in shadow of any task."""
    notes = (catalogue.parent / "versions").glob("*/shadows.jsonl")
    return frozenset(
        model for path in notes for each in _lines_of(path) for model in each["models"]
    )


def words_of_versions(catalogue: Path) -> frozenset[str]:
    """All words in the cascades of the versions that are kept: the models that they name, too."""
    kept = (catalogue.parent / "versions").glob(f"*/*/{_ENTRY}")
    cascades = [json.loads(path.read_text("utf-8")).get("cascade") for path in kept]
    return frozenset(_words_in(cascades))


def _words_in(written: object) -> Iterator[str]:
    """All strings in what is written as JSON, but for keys."""
    if isinstance(written, str):
        yield written
    elif isinstance(written, Mapping):
        yield from _words_in(list(written.values()))
    elif isinstance(written, list):
        for each in written:
            yield from _words_in(each)


def _lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def entry_of(catalogue: Path, task: str) -> dict[str, Any]:
    """A task's entry, as its file has it."""
    read = yaml.safe_load(catalogue.read_text("utf-8-sig"))
    found: dict[str, Any] = read["tasks"][task]
    return found
