"""The versions of a task: what each promotion replaced, kept beside the catalogue, to go back to.

    versions/TASK/N/entry.json       the task's entry, as the catalogue had it
    versions/TASK/N/examples.jsonl   what its models learn from, where the entry names a file
    versions/TASK/N/promise.json     its promise, where there is one
    versions/TASK/N/provenance.jsonl  the card of what it learned, where there is one
    versions/TASK/looks.jsonl        every look at a candidate, with what was seen
    versions/TASK/shadows.jsonl      every candidate that ran in shadow

Models are added by a promotion and never taken away, so an entry's are there when it comes back.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smallfirst.catalogue import promise_path
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.fitting.writing import Destination
from smallfirst.fitting.yaml_edits import with_entry
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
        found = self.folder.glob("*/entry.json")
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
        write_whole(place / "entry.json", json.dumps(entry, ensure_ascii=False) + "\n")
        return number

    def bring_back(self) -> int:
        """Put the newest kept version in the place of what there is; return its number.

        The catalogue is written last, so that a fleet never sees an entry without its files.

        Raises:
            CandidateError: When none is kept.
        """
        if not self.numbers:
            raise CandidateError(
                f"{self.folder}: keeps no version of {self.task!r}; one is kept at each promotion"
            )
        number = self.numbers[-1]
        place = self.folder / str(number)
        entry = json.loads((place / "entry.json").read_text("utf-8"))
        for name, path in self._files(entry):
            if (place / name).is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, (place / name).read_text("utf-8"))
            elif name in {_PROMISE, _CARD}:
                path.unlink(missing_ok=True)
        text = self.catalogue.read_text("utf-8-sig")
        write_whole(self.catalogue, with_entry(text, "tasks", self.task, entry))
        # Gone from the list, and there to be read.
        (place / "entry.json").rename(place / "brought-back.json")
        return number

    def note_look(self, candidate: str, verdict: Verdict) -> None:
        """Write a look down: whoever looks until one passes has to say how often."""
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

    def models_in_shadow(self) -> frozenset[str]:
        """The models that came with candidates in shadow."""
        return frozenset(model for each in self._shadows() for model in each["models"])

    def _shadows(self) -> list[dict[str, Any]]:
        if not self.shadows.is_file():
            return []
        return [json.loads(line) for line in self.shadows.read_text("utf-8").splitlines()]

    def num_looks(self, candidate: str) -> int:
        """How often a candidate was looked at."""
        if not self.looks.is_file():
            return 0
        lines = self.looks.read_text("utf-8").splitlines()
        return sum(json.loads(line)["candidate"] == candidate for line in lines)

    def _files(self, entry: dict[str, Any]) -> Iterator[tuple[str, Path]]:
        yield _PROMISE, promise_path(self.catalogue, self.task)
        yield _CARD, Destination(self.catalogue, self.task).provenance
        if isinstance(examples := entry.get("examples"), str):
            yield "examples.jsonl", self.catalogue.parent / examples


_PROMISE, _CARD = "promise.json", "provenance.jsonl"


def entry_of(catalogue: Path, task: str) -> dict[str, Any]:
    """A task's entry, as its file has it."""
    read = yaml.safe_load(catalogue.read_text("utf-8-sig"))
    found: dict[str, Any] = read["tasks"][task]
    return found
