"""Lines written from the standards, and how the recognizers fare on them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smallfirst_router.recognizers import RECOGNIZERS, Stretch, fold, read

PATH = Path(__file__).with_suffix(".jsonl")


@dataclass(frozen=True)
class Line:
    """One line: what a recognizer is to find in a text, and which section says so."""

    recognizer: str
    text: str
    spans: tuple[Stretch, ...]
    source: str


@dataclass(frozen=True)
class Counts:
    """How many spans were found as they are to be found, besides, and not."""

    num_right: int
    num_wrong: int
    num_missed: int

    @property
    def precision(self) -> float:
        """The share of right ones among those found."""
        return self.num_right / max(1, self.num_right + self.num_wrong)

    @property
    def recall(self) -> float:
        """The share of those found among those to be found."""
        return self.num_right / max(1, self.num_right + self.num_missed)


def _read(row: str) -> Line:
    read = json.loads(row)
    spans = tuple((span["start"], span["end"]) for span in read["spans"])
    return Line(read["recognizer"], read["text"], spans, read["source"])


LINES = tuple(map(_read, PATH.read_text(encoding="utf-8").splitlines()))


def found_in(line: Line) -> set[Stretch]:
    """What a line's recognizer finds in its text."""
    reading, recognizer = read(line.text), RECOGNIZERS[line.recognizer]
    return {reading.place(*stretch) for stretch in recognizer.find(fold(reading.text))}


def counts(name: str) -> Counts:
    """Count over all lines of a recognizer."""
    lines = [line for line in LINES if line.recognizer == name]
    return compare(lines, map(found_in, lines))


def compare(lines: Sequence[Line], found: Iterable[set[Stretch]]) -> Counts:
    """Count what was found in some lines against what is to be found."""
    pairs = [(said, set(line.spans)) for line, said in zip(lines, found, strict=True)]
    return Counts(
        num_right=sum(len(said & gold) for said, gold in pairs),
        num_wrong=sum(len(said - gold) for said, gold in pairs),
        num_missed=sum(len(gold - said) for said, gold in pairs),
    )
