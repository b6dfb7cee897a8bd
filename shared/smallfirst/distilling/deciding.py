"""Which rows a candidate learns from, which of them count more, and which judge it. Pure.

A person's answer settles a text, whatever machines said of it. Of machines' answers those stay on
which all machines that were asked agree, and that were sure enough; the same model, asked twice, is
one voice.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from smallfirst.catalogue import Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.evaluation.rows import Row
from smallfirst.kinds import KINDS
from smallfirst.provenance.record import Provenance, Source

#: People's rows of each label that it takes for them alone to judge.
FEWEST_OF_LABEL: Final = 5
#: Why rows are left out, as people read it.
SETTLED: Final = "a person answered the same text"
PEOPLE_DIFFER: Final = "people answered the same text otherwise"
MACHINES_DIFFER: Final = "machines answered the same text otherwise"
UNSURE: Final = "the machine was not sure enough"
UNSAID: Final = "it is not said how sure the machine was"
TOO_FEW_AGREE: Final = "too few machines agree"
LIKE_TEST: Final = "is like a row of the test but for a few words"


@dataclass(frozen=True)
class Labelled:
    """A row, and who labelled it.

    Attributes:
        row: With its line.
        by: Who labelled it.
        file: The name of its file.
    """

    row: Row
    by: Provenance
    file: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.file}:{self.row.line}"


@dataclass(frozen=True)
class Rules:
    """What a row must be to be learned from.

    Attributes:
        min_confidence: Of a machine's answer.
        min_agreeing: How many machines must have given it.
        human_weight: How many rows of machines one of people counts as.
    """

    min_confidence: float = 0.8
    min_agreeing: int = 1
    human_weight: float = 2.0


@dataclass(frozen=True)
class Settled:
    """The rows that are learned from.

    Attributes:
        people: People's.
        machines: Machines'.
        left_out: How many others there are, by the reason.
        num_overruled: Of texts that people answered, those that a machine answered otherwise.
    """

    people: tuple[Labelled, ...]
    machines: tuple[Labelled, ...]
    left_out: Counter[str]
    num_overruled: int


@dataclass(frozen=True)
class Roles:
    """Which rows judge the candidate, and which only teach it.

    Attributes:
        judging: They are dealt: some teach, and some promise.
        teaching: They teach alone.
        is_by_people: Whether people's labels judge.
    """

    judging: tuple[Labelled, ...]
    teaching: tuple[Labelled, ...]
    is_by_people: bool


def own_answers(rows: Iterable[Labelled], trained: frozenset[str]) -> dict[str, list[Labelled]]:
    """Find the rows that a model which is to be trained has labelled itself, by model."""
    found: dict[str, list[Labelled]] = defaultdict(list)
    for each in rows:
        if model := each.by.learned_by(trained):
            found[model].append(each)
    return dict(found)


def leaked(rows: Iterable[Labelled], test: Collection[str]) -> list[Labelled]:
    """Find the rows whose texts are among those of the test, by their keys."""
    return [each for each in rows if each.row.key in test]


def unlike_test(rows: Sequence[Labelled], test: Sequence[str]) -> tuple[Labelled, ...]:
    """Leave out the rows that are like a text of the test."""
    clusters = clusters_of([*test, *(each.row.example.text for each in rows)])
    taken = set(clusters[: len(test)])
    own = clusters[len(test) :]
    return tuple(each for each, at in zip(rows, own, strict=True) if at not in taken)


def settled(rows: Iterable[Labelled], task: Task, rules: Rules) -> Settled:
    """Settle each text: by people where they answered it, else by machines that agree."""
    by_text: dict[str, list[Labelled]] = defaultdict(list)
    for each in rows:
        by_text[each.row.key].append(each)
    people: list[Labelled] = []
    machines: list[Labelled] = []
    left_out = Counter[str]()
    num_overruled = 0
    for group in by_text.values():
        of_people = [each for each in group if each.by.is_persons]
        of_machines = [each for each in group if not each.by.is_persons]
        if not of_people:
            machines += _agreed(of_machines, task, rules, left_out)
            continue
        left_out[SETTLED] += len(of_machines)
        if len(said := _answers(of_people, task)) > 1:
            left_out[PEOPLE_DIFFER] += len(of_people)
            continue
        people += of_people
        num_overruled += bool(_answers(of_machines, task) - said)
    return Settled(tuple(people), tuple(machines), +left_out, num_overruled)


def _agreed(
    rows: Sequence[Labelled], task: Task, rules: Rules, left_out: Counter[str]
) -> list[Labelled]:
    """The rows of one text that machines answered, where they agree and are sure."""
    if len(_answers(rows, task)) > 1:
        left_out[MACHINES_DIFFER] += len(rows)
        return []
    if len({(each.by.model, each.by.revision) for each in rows}) < rules.min_agreeing:
        left_out[TOO_FEW_AGREE] += len(rows)
        return []
    kept = []
    for each in rows:
        if reason := _doubt(each.by, rules):
            left_out[reason] += 1
        else:
            kept.append(each)
    return kept


def _doubt(by: Provenance, rules: Rules) -> str | None:
    """Why a machine's answer is not learned from; None where it is."""
    if by.source is Source.SYNTHETIC:
        return None  # The text was written for its label.
    if by.confidence is None:
        return UNSAID
    return UNSURE if by.confidence < rules.min_confidence else None


def _answers(rows: Iterable[Labelled], task: Task) -> set[str]:
    gold_of = KINDS[task.kind].gold_of
    return {repr(gold_of(each.row.example)) for each in rows}


def roles(found: Settled, task: Task, rules: Rules, fewest: int) -> Roles:
    """Let people's rows judge where there are enough of them, and all rows where there are not.

    Enough of each label, too: of one that people's rows hardly have nothing would be promised.

    Args:
        found: The rows.
        task: With its labels.
        rules: By which a machine's row counts less.
        fewest: How many rows it takes to judge.
    """
    machines = tuple(_weighed(each, 1 / rules.human_weight) for each in found.machines)
    labels_of = KINDS[task.kind].labels_of
    counts = Counter(label for each in found.people for label in labels_of(each.row.example))
    has_labels = all(counts[label] >= FEWEST_OF_LABEL for label in task.labels)
    if has_labels and len(found.people) >= fewest:
        return Roles(found.people, machines, is_by_people=True)
    return Roles((*found.people, *machines), (), is_by_people=False)


def _weighed(each: Labelled, weight: float) -> Labelled:
    own = each.row.example.weight or 1.0
    example = each.row.example.model_copy(update={"weight": own * weight})
    return replace(each, row=replace(each.row, example=example))
