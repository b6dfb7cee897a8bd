"""Scores of what a network said of units, while it trains; the engine measures what is kept."""

from typing import Any

from smallfirst.catalogue import Kind
from smallfirst.kinds import KINDS, HeadForm
from smallfirst_workers.training.training_data import NOTHING


def score_units(kind: Kind, logits: Any, truth: Any) -> float:
    """Score what was said of units.

    Args:
        kind: Of the task.
        logits: `(rows, units, outputs)`; padding may be anything.
        truth: `(rows, units)` with `NOTHING` at padding, or `(rows, labels)` of 0 and 1.

    Returns:
        Accuracy where one label is chosen; micro F1 over labels where each is judged for itself,
        and over words that bear a label where words are judged. 1 where there was nothing to
        find and nothing was found.
    """
    form = KINDS[kind].head
    if form is HeadForm.EACH:
        said, wanted = logits[:, 0] > 0, truth > 0.5
        return _f1(int((said & wanted).sum()), int(said.sum()) + int(wanted.sum()))
    is_unit = truth != NOTHING
    said, wanted = logits.argmax(axis=-1)[is_unit], truth[is_unit]
    if form is HeadForm.CHOICE:
        return float((said == wanted).mean())
    hits = int(((said == wanted) & (wanted > 0)).sum())
    return _f1(hits, int((said > 0).sum()) + int((wanted > 0).sum()))


def _f1(hits: int, total: int) -> float:
    return 2 * hits / total if total else 1.0
