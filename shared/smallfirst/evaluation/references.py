"""References: what the testing rows of a calibration were like, counted as jobs are. Pure.

Each step is counted on the rows that would reach it, judged as a worker judges.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from smallfirst.catalogue import Promise, Task
from smallfirst.catalogue.references import QuantityReference, Reference
from smallfirst.drift.bins import (
    CONFIDENCE_BINS,
    ESCALATION_BINS,
    LENGTH_BINS,
    What,
    confidence_bin,
    label_bins,
    length_bin,
)
from smallfirst.evaluation.answers import Answers, Bools, answers_of
from smallfirst.evaluation.scores import ScoredRow, Scores
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS


def reference_of(scores: Scores, promise: Promise, task: Task) -> Reference:
    """Count what rows are like.

    Args:
        scores: Of the rows that chose nothing.
        promise: Made of them.
        task: Whose rows they are.
    """
    answers = answers_of(scores, [step.acceptance for step in promise.steps])
    answered_by = _answered_by(answers)
    return Reference(
        num_rows=promise.num_tested,
        num_distinct=promise.num_distinct,
        quantities=(
            *_lengths(scores.rows),
            *_labels(scores.rows, answered_by, task),
            *_steps(scores, answers, answered_by),
        ),
    )


def _answered_by(answers: Answers) -> list[int]:
    """The step whose answer each row would get; behind the last where none stands: `(rows,)`."""
    stands: Bools = answers.stands & answers.is_asked
    return [next((n for n, does in enumerate(row) if does), len(row)) for row in stands.tolist()]


def _lengths(rows: Sequence[ScoredRow]) -> Iterator[QuantityReference]:
    if all(row.num_chars for row in rows):
        yield _counted(What.LENGTH, LENGTH_BINS, (length_bin(row.num_chars) for row in rows))


def _labels(
    rows: Sequence[ScoredRow], answered_by: Sequence[int], task: Task
) -> Iterator[QuantityReference]:
    if not KINDS[task.kind].is_one_label:
        return
    bins = label_bins(tuple(task.labels))
    places = {label: place for place, label in enumerate(bins)}
    pairs = zip(rows, answered_by, strict=True)
    said = (row.said[step].said for row, step in pairs if step < len(row.said))
    yield _counted(What.LABEL, bins, (places.get(label, len(bins) - 1) for label in said))


def _steps(
    scores: Scores, answers: Answers, answered_by: Sequence[int]
) -> Iterator[QuantityReference]:
    """A step that is never asked is left out, and so is the confidence of a rule: it has none."""
    for index, about in enumerate(scores.steps):
        reached = [at for at, step in enumerate(answered_by) if step >= index]
        if not answers.is_asked[index] or not reached:
            continue
        if about.tier is not Tier.RULE:
            sure = answers.confidences[reached, index].tolist()
            yield _counted(What.CONFIDENCE, CONFIDENCE_BINS, map(confidence_bin, sure), index)
        escalated = (int(answered_by[at] != index) for at in reached)
        yield _counted(What.ESCALATION, ESCALATION_BINS, escalated, index)


def _counted(
    what: What, bins: Sequence[str], places: Iterable[int], step: int | None = None
) -> QuantityReference:
    found = Counter(places)
    counts = {name: found[place] for place, name in enumerate(bins)}
    return QuantityReference(what=what, step=step, counts=counts)
