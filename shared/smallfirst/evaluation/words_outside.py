"""A linear model over words beside a cascade that asks none: the simplest rival, fitted here.

The saving of a cascade is to be told against the cheapest single model that is as good, and for
many tasks that is a linear model, which costs next to nothing. So where no step asks one, one is
fitted to the task's examples and the labelled rows, and each row is answered by a fit that left it
out. That flatters it a little, which chose how strongly it is regularised on the same rows: the
benefit of the doubt goes to whatever the cascade is compared with.
"""

from collections.abc import Mapping, Sequence
from time import thread_time
from typing import Final

import numpy as np

from smallfirst.answers import LabelAnswer, LabelsAnswer
from smallfirst.catalogue import Catalogue, Task
from smallfirst.catalogue.engines import ENGINES
from smallfirst.catalogue.model_tasks import examples_problem
from smallfirst.catalogue.placement import words_price_per_hour
from smallfirst.evaluation.rows import Row, is_foreign, is_right
from smallfirst.evaluation.scores import Said
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.label_answers import labels_answer, whole_answers
from smallfirst.linear.messages import text_read
from smallfirst.linear.model import LinearModel
from smallfirst.linear.probabilities import Floats, sigmoid, softmax

#: Of more rows and examples none is fitted: it would take minutes, and as much memory.
MOST_ROWS: Final = 20_000
#: So many texts are answered to see how long one takes.
_TIMED: Final = 256


def asks_words(catalogue: Catalogue, task: Task) -> bool:
    """Whether a linear model is among the steps, alone or in a mean."""
    engines = (each for step in task.cascade for each in catalogue.engines_of(step))
    return any(each.tier is Tier.LINEAR for each in engines)


def said_by_words(catalogue: Catalogue, task: Task, rows: Sequence[Row]) -> dict[int, Said]:
    """What a linear model says of rows that it has not learned from, by their lines.

    Args:
        catalogue: By which it has its price; see `words_price_per_hour`.
        task: Whose rows they are.
        rows: Those that no label fits are passed over.

    Returns:
        Nothing where a step asks one anyway, the kind has none, what it needs is not installed, or
        there is too little to learn from, or too much. Of many rows, a fifth of them.
    """
    known = [row for row in rows if not is_foreign(row, task)]
    if asks_words(catalogue, task) or not known or not _may_fit(task, len(known)):
        return {}
    examples = (*(row.example for row in known), *task.examples)
    learning = task.model_copy(update={"examples": examples})
    if examples_problem(learning):
        return {}
    from smallfirst.linear.fitting import NothingShared, fitted  # noqa: PLC0415 - takes a second

    try:
        model, _, left_out = fitted(learning)
    except NothingShared:
        return {}
    is_row = left_out.places < len(known)
    told = [known[place] for place in left_out.places[is_row].tolist()]
    seconds = _seconds(model, task, told)
    price = words_price_per_hour(catalogue)
    return dict(_said(task, told, left_out.logits[is_row], (seconds, seconds * price / 3600)))


def _may_fit(task: Task, num_rows: int) -> bool:
    has_model = KINDS[task.kind].head in {HeadForm.CHOICE, HeadForm.EACH}
    is_installed = not ENGINES["linear"].implementation.missing_packages()
    return has_model and is_installed and num_rows + len(task.examples) <= MOST_ROWS


def _seconds(model: LinearModel, task: Task, rows: Sequence[Row]) -> float:
    """What a text takes of one processor, as many are answered at once."""
    texts = [text_read(task, row.example.text) for row in rows[:_TIMED]]
    started = thread_time()
    model.probabilities(texts)
    return (thread_time() - started) / max(1, len(texts))


def _said(
    task: Task, rows: Sequence[Row], logits: Floats, spent: tuple[float, float]
) -> Mapping[int, Said]:
    """Judge what was said of each row; `(rows, labels)`."""
    spec, labels = KINDS[task.kind], tuple(task.labels)
    chances = np.round(softmax(logits) if spec.head is HeadForm.CHOICE else sigmoid(logits), 6)
    answers: Sequence[LabelAnswer | LabelsAnswer]
    if spec.head is HeadForm.CHOICE:
        answers = whole_answers(labels, chances.astype(np.float64))
    else:
        answers = [labels_answer(labels, row) for row in chances]
    seconds, cost = spent
    return {
        row.line: Said(
            confidence=answer.confidence,
            is_right=is_right(answer, spec.gold_of(row.example)),
            seconds=seconds,
            cost=cost,
        )
        for row, answer in zip(rows, answers, strict=True)
    }
