"""Labelled rows of a task: read, told apart, and compared with answers.

Every row counts, also one whose text came before: rows are draws from the stream that the fleet
will see, and what comes often there has to weigh as much here.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from smallfirst.answers import Answer, Span
from smallfirst.catalogue import Catalogue, Example, Task
from smallfirst.catalogue.examples import TRAINED_ON, read_numbered
from smallfirst.catalogue.likeness import WORD, text_key
from smallfirst.catalogue.model_files import model_folder
from smallfirst.errors import CatalogueProblem, ModelFilesError
from smallfirst.evaluation.errors import MAX_NAMED, RowsError, SeenRowsError
from smallfirst.kinds import KINDS, Gold
from smallfirst.kinds.scoring import Score


@dataclass(frozen=True)
class Row:
    """One labelled row, and the line of its file."""

    line: int
    example: Example

    @property
    def key(self) -> str:
        """What tells its text from others."""
        return text_key(self.example.text)


def read_rows(path: Path, name: str, task: Task) -> tuple[Row, ...]:
    """Read the rows that serve a task.

    Raises:
        OSError: When the file cannot be read.
        RowsError: When a row is wrong; it names every one, by line and rule.
    """
    content = path.read_bytes()
    examples, problems = read_numbered(content, path, name, task, allows_none=True)
    if problems:
        raise RowsError(*(_of_row(problem) for problem in problems))
    return tuple(Row(line, example) for line, example in examples)


def _of_row(problem: CatalogueProblem) -> CatalogueProblem:
    """Say it of a file of rows, which no key of the catalogue names."""
    return CatalogueProblem(problem.path, problem.line, "", problem.rule)


@dataclass(frozen=True)
class Repeats:
    """Texts that stand in more than one row.

    Attributes:
        num_texts: How many such texts there are.
        num_rows: The rows that they stand in.
        conflicts: The first line of each of them whose rows do not agree on the right answer.
    """

    num_texts: int
    num_rows: int
    conflicts: tuple[int, ...]

    def __str__(self) -> str:
        texts = "text stands" if self.num_texts == 1 else "texts stand"
        said = f"{self.num_texts:,} {texts} in {self.num_rows:,} rows: each row counts"
        if not self.conflicts:
            return said
        named = ", ".join(map(str, self.conflicts[:MAX_NAMED]))
        more = " and more" if len(self.conflicts) > MAX_NAMED else ""
        return (
            f"{said}; the rows of {len(self.conflicts):,} of them do not agree on the right answer,"
            f" so that some are wrong whatever is said: lines {named}{more}"
        )


def repeats_of(rows: Sequence[Row], task: Task) -> Repeats:
    """Find the texts that come more than once, and those whose right answers differ."""
    times = Counter(row.key for row in rows)
    answers: dict[str, set[str]] = defaultdict(set)
    first: dict[str, int] = {}
    for row in rows:
        answers[row.key].add(repr(KINDS[task.kind].gold_of(row.example)))
        first.setdefault(row.key, row.line)
    repeated = {key: count for key, count in times.items() if count > 1}
    conflicts = tuple(first[key] for key in repeated if len(answers[key]) > 1)
    return Repeats(len(repeated), sum(repeated.values()), conflicts)


def doubts_of(rows: Sequence[Row], task: Task) -> Iterator[str]:
    """Say what about rows makes figures of them doubtful, a sentence each."""
    labels_of = KINDS[task.kind].labels_of
    there = {label for row in rows for label in labels_of(row.example)}
    if missing := [label for label in task.labels if label not in there]:
        named = ", ".join(missing[:MAX_NAMED]) + (" and more" if missing[MAX_NAMED:] else "")
        yield f"no row has one of these labels, so nothing is known of texts that do: {named}"
    spans = [(row.line, row.example.text, row.example.spans or ()) for row in rows]
    if cut := [line for line, text, found in spans if _cuts_word(text, found)]:
        yield f"spans begin or end inside a word, so that most models cannot find them: {_at(cut)}"
    if over := [line for line, _, found in spans if _overlap(found)]:
        yield f"spans overlap, and those of an answer never do: {_at(over)}"


def _at(lines: Sequence[int]) -> str:
    more = " and more" if len(lines) > MAX_NAMED else ""
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:MAX_NAMED]))}{more}"


def _cuts_word(text: str, spans: Iterable[Span]) -> bool:
    borders = {at for span in spans for at in (span.start, span.end)}
    words = WORD.finditer(text) if borders else ()
    return any(word.start() < at < word.end() for word in words for at in borders)


def _overlap(spans: Iterable[Span]) -> bool:
    places = sorted((span.start, span.end) for span in spans)
    return any(end > start for (_, end), (start, _) in pairwise(places))


def seen_keys(catalogue: Catalogue, name: str) -> Mapping[str, frozenset[str]]:
    """Find what the models of a task's cascade have learned from, as far as it is written down.

    Returns:
        Keys of texts by where they are written: the task's examples, or a model's folder. A model
        that was trained elsewhere says nothing of its rows.
    """
    task = catalogue.tasks[name]
    seen = {f"tasks.{name}.examples": frozenset(text_key(row.text) for row in task.examples)}
    for model in dict.fromkeys(model for step in task.cascade for model in step.asks):
        if catalogue.models[model].is_remote:
            continue
        with suppress(ModelFilesError):
            listed = model_folder(catalogue.models[model]) / TRAINED_ON
            if listed.is_file():
                seen[f"models.{model}"] = frozenset(listed.read_text(encoding="utf-8").split())
    return seen


def unseen_rows(
    rows: Sequence[Row], seen: Mapping[str, Collection[str]], *, drop_seen: bool
) -> tuple[Row, ...]:
    """Keep the rows that no model has learned from.

    Raises:
        SeenRowsError: When there are others, unless they are to be dropped.
    """
    sources = {at: [row for row in rows if row.key in keys] for at, keys in seen.items()}
    bad = {row.line for found in sources.values() for row in found}
    if bad and not drop_seen:
        named = tuple(at for at, found in sources.items() if found)
        raise SeenRowsError(tuple(sorted(bad)), len(rows), named)
    return tuple(row for row in rows if row.line not in bad)


def is_foreign(row: Row, task: Task) -> bool:
    """Whether a row says that no label fits its text."""
    return KINDS[task.kind].gold_of(row.example) is None


def is_right(answer: Answer | None, gold: Gold | None) -> bool:
    """Whether all of an answer is right: every label of a set, every span of a text."""
    if answer is None or gold is None:
        return False
    score = Score()
    score.add(answer, gold)
    return score.num_scored == 1 and score.right == score.total
