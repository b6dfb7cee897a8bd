"""Cross-validation of a head: every row is judged once, by a head that has not learned from it.

A tenth of 200 rows is 20, which cannot tell 70 % from 99 %. All 200 can, and a head is fitted in
seconds. A whole encoder is not trained so often: its rows held out are told with their interval.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from smallfirst.catalogue import Example, MeanStep, Task
from smallfirst.catalogue.model_tasks import MIN_EXAMPLES_PER_LABEL
from smallfirst.kinds import KINDS
from smallfirst.linear.regression import deal
from smallfirst.process.training_plan import Method
from smallfirst_workers.errors import TaskError
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.training.measuring import Answered, Measured, ask, measured_of
from smallfirst_workers.training.progress import folds_bar
from smallfirst_workers.training.rows import answer_group
from smallfirst_workers.training.workspace import Bench

#: Where fewer rows than this would be held out, all rows judge in turn. Of 100 rows of which 90 are
#: right the interval is 82 to 95 %.
FEWEST_HELD_OUT = 100


def is_due(bench: Bench) -> bool:
    """Whether the rows held out are too few to tell anything, and fitting again is cheap."""
    is_judged = bench.plan.held_out > 0
    is_few = len(bench.rows.held_out) < FEWEST_HELD_OUT
    return bench.plan.method is Method.HEAD and is_judged and is_few


def cross_validated(bench: Bench) -> Measured | None:
    """Fit a head for each fold that is left out, and have it judged there.

    A row without which a label would have too few examples left always teaches, and is not judged.

    Returns:
        None where there is no fold that can be left out.
    """
    plan, rows = bench.plan, bench.rows.all
    engine = SlmEngine.load(
        bench.base.name, bench.model, bench.base.path, cache=bench.cache, threads=plan.threads
    )
    answered: list[Answered] = []
    folds = list(folds_of(rows, bench.task))
    with folds_bar(len(folds)) as advance:
        for left_out in folds:
            answered += _judged_fold(bench, engine, left_out)
            advance()
    engine.unload()
    return measured_of(bench.task, answered) if answered else None


def _judged_fold(bench: Bench, engine: SlmEngine, left_out: frozenset[int]) -> list[Answered]:
    name, rows = bench.plan.task, bench.rows.all
    taught = tuple(row for at, row in enumerate(rows) if at not in left_out)
    step = MeanStep(models=(engine.name,))
    try:
        engine.prepare(
            {name: bench.task.model_copy(update={"examples": taught, "cascade": (step,)})}
        )
    except TaskError:
        # All rows are enough for a head, and those of this fold's others are not.
        return []
    return ask(engine, name, [rows[at] for at in sorted(left_out)], step.options)


def folds_of(rows: Sequence[Example], task: Task) -> Iterator[frozenset[int]]:
    """Deal rows into folds, each label evenly and those that are alike into one.

    Yields:
        The places of each fold that is left out; a row is in one of them at most.
    """
    spec = KINDS[task.kind]
    names = [answer_group(row, spec) for row in rows]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    folds = deal(rows, np.array([numbers[name] for name in names], np.int64))
    labels = [frozenset(spec.labels_of(row)) for row in rows]
    all_rows = Counter(label for found in labels for label in found)
    for fold in np.unique(folds):
        out = np.flatnonzero(folds == fold).tolist()
        left = all_rows - Counter(label for at in out for label in labels[at])
        kept = {label for label in task.labels if left[label] < MIN_EXAMPLES_PER_LABEL}
        if judged := frozenset(at for at in out if not labels[at] & kept):
            yield judged
