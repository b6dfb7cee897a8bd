"""The rows that a model is trained on: read, checked, and parted in those that teach and judge."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.examples import read_numbered
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.loading import MAX_EXAMPLES_BYTES
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.kinds import KINDS, HeadForm, KindSpec
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.errors import TrainingError

AnySpec = KindSpec[Any, Any, Any]


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one task, in the order of the file.

    Attributes:
        all: Of the file, each once.
        fit: Those that are learned from.
        held_out: Those that only judge; no text is in both.
        lines: Of the file, counted from 1: where each text first stands.
        ids: Of the rows of each text, where they have any.
        sha256: Of texts and answers of all of them, 64 hexadecimal digits.
    """

    all: tuple[Example, ...]
    fit: tuple[Example, ...]
    held_out: tuple[Example, ...]
    lines: Mapping[str, int]
    ids: Mapping[str, frozenset[str]]
    sha256: str


def read_rows(path: Path, name: str, task: Task, *, held_out: float, seed: int) -> Rows:
    """Read the rows of a task, and hold some out.

    Args:
        path: JSON Lines, as files of examples are.
        name: Of the task.
        task: Whose kind and labels the rows must fit.
        held_out: Share of the rows, 0 to 0.5.
        seed: Another seed holds out others.

    Raises:
        CatalogueError: When a row is wrong; it names line and rule.
        TrainingError: When the task has no labels to learn, or the file is too large.
    """
    spec = KINDS[task.kind]
    if not _has_head(spec):
        kinds = ", ".join(sorted(kind for kind, each in KINDS.items() if _has_head(each)))
        raise TrainingError(f"tasks.{name} is of kind {task.kind}; trained are: {kinds}")
    if path.stat().st_size > MAX_EXAMPLES_BYTES:
        limit = MAX_EXAMPLES_BYTES // 1_000_000
        raise TrainingError(f"{path} is larger than {limit} MB, the most that is trained on")
    content = path.read_bytes()
    numbered, problems = read_numbered(content, path, name, task)
    if problems:
        raise CatalogueError(*problems)
    examples = [example for _, example in numbered]
    once = tuple({_content(example, spec.example_key): example for example in examples}.values())
    judges = _judges(once, spec, held_out, seed)
    return Rows(
        once,
        tuple(row for row in once if row.text not in judges),
        tuple(row for row in once if row.text in judges),
        _lines(numbered),
        _ids(numbered),
        _sha256([_content(example, spec.example_key) for example in once]),
    )


def _has_head(spec: AnySpec) -> bool:
    return spec.head not in {None, HeadForm.VECTOR}


def unreadable(rows: Rows, path: Path, name: str, reader: Reader) -> list[CatalogueProblem]:
    """Name the rows in which a model finds nothing to read: control characters alone, say."""
    rule, where = "has nothing in its text that the model can read", f"tasks.{name}.examples"
    texts = list(rows.lines)
    return [
        CatalogueProblem(path, rows.lines[text], where, rule)
        for text, reading in zip(texts, reader.read(texts), strict=True)
        if not reading.windows
    ]


def _lines(numbered: Iterable[tuple[int, Example]]) -> dict[str, int]:
    """Say where each text first stands."""
    lines: dict[str, int] = {}
    for number, example in numbered:
        lines.setdefault(example.text, number)
    return lines


def _ids(numbered: Iterable[tuple[int, Example]]) -> dict[str, frozenset[str]]:
    """Collect the ids of each text: a text that several jobs had is each one's."""
    ids: dict[str, frozenset[str]] = {}
    for _, example in numbered:
        if example.id:
            ids[example.text] = ids.get(example.text, frozenset()) | {example.id}
    return ids


def text_keys(texts: Iterable[str]) -> list[str]:
    """Name texts by their hashes, each once, sorted: what a trained model says it has seen."""
    return sorted({text_key(text) for text in texts})


def _judges(examples: Sequence[Example], spec: AnySpec, share: float, seed: int) -> set[str]:
    """Choose the texts that are held out: of each label its share, rounded down."""
    by_answer: dict[str, dict[str, None]] = {}
    for example in examples:
        by_answer.setdefault(answer_group(example, spec), {})[example.text] = None
    chosen: set[str] = set()
    for texts in by_answer.values():
        order = sorted(texts, key=lambda text: hashlib.sha256(f"{seed}:{text}".encode()).digest())
        chosen.update(order[: int(len(order) * share)])
    return chosen


def answer_group(example: Example, spec: AnySpec) -> str:
    """What rows are held out evenly by: the label, or which labels there are."""
    return " ".join(sorted(set(spec.labels_of(example))))


def _content(example: Example, key: str | None) -> str:
    """What makes an example another one: its text and its answer."""
    return json.dumps(example.model_dump(mode="json", include={"text", str(key)}))


def _sha256(contents: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content.encode() + b"\n")
    return digest.hexdigest()
