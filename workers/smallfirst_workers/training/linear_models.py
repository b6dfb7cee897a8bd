"""Training a linear model from labelled rows: seconds, no encoder, and no torch.

Where enough rows are held out they judge a model of the others; else every row is judged once, by
a model that has not seen it. The model that is kept has learned from all of them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.model_tasks import examples_problem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.fitting import fitted
from smallfirst.linear.skills import LinearSkill
from smallfirst.process.training_plan import TrainingPlan
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.training.cross_validation import FEWEST_HELD_OUT, folds_of
from smallfirst_workers.training.folders import CARD_FILE, READ_ME, write_seen
from smallfirst_workers.training.measuring import Answered, Measured, measured_of
from smallfirst_workers.training.model_card import (
    card_of,
    read_me,
    score_in_words,
    versions,
    weights_sha256,
)
from smallfirst_workers.training.progress import folds_bar
from smallfirst_workers.training.rows import Rows, read_rows, text_keys
from smallfirst_workers.training.trained import Trained, entry_lines, make_readable
from smallfirst_workers.training.workspace import read_task

_ABOUT = """\
The model weighs words, pairs of words and stretches of letters by TF-IDF and adds them up for each
label: `softmax(W x + b)` (of each label's sigmoid where several may hold). The features are in
`features.json`, the numbers in `model.safetensors`, and the router asks it itself."""
#: How many rows are judged at once: beyond some hundred no row is cheaper.
_AT_ONCE = 256
_LIBRARIES = ("smallfirst", "scikit-learn", "scipy", "numpy")


def train_linear(plan: TrainingPlan) -> Trained:
    """Train a model and write its folder, whole or not at all.

    Raises:
        CatalogueError: When the catalogue or a row is wrong.
        TrainingError: When the plan does not fit them.
    """
    started = perf_counter()
    _, task = read_task(plan)
    if KINDS[task.kind].head not in {HeadForm.CHOICE, HeadForm.EACH}:
        raise TrainingError(f"tasks.{plan.task} is of kind {task.kind}, not for linear models")
    rows = read_rows(plan.data, plan.task, task, held_out=plan.held_out, seed=plan.seed)
    whole = _with(task, rows.all)
    if problem := examples_problem(whole):
        raise TrainingError(f"tasks.{plan.task} {problem}")
    rows, measured = _judged(plan, task, rows)
    lines = entry_lines(plan, {"tier": "linear"})
    write = partial(_write, plan, whole, rows, measured, lines, started)
    if not build_once(plan.out, write):
        raise TrainingError(f"{plan.out} was written by somebody else in the meantime")
    card = json.loads((plan.out / CARD_FILE).read_text(encoding="utf-8"))
    return Trained(plan.out, card, score_in_words(card), perf_counter() - started, lines)


def _with(task: Task, examples: Sequence[Example]) -> Task:
    return task.model_copy(update={"examples": tuple(examples)})


def _judged(plan: TrainingPlan, task: Task, rows: Rows) -> tuple[Rows, Measured | None]:
    """Have rows judge models that have not seen them; return what was held out, and the outcome."""
    if not plan.held_out:
        return rows, None
    if len(rows.held_out) >= FEWEST_HELD_OUT:
        return rows, measured_of(task, list(_answered(task, rows.fit, rows.held_out)))
    answered = list(_crossed(task, rows.all))
    judged_by_all = replace(rows, fit=rows.all, held_out=())
    return judged_by_all, measured_of(task, answered) if answered else None


def _crossed(task: Task, rows: Sequence[Example]) -> Iterator[Answered]:
    folds = list(folds_of(rows, task))
    with folds_bar(len(folds)) as advance:
        for left_out in folds:
            taught = [row for at, row in enumerate(rows) if at not in left_out]
            yield from _answered(task, taught, [rows[at] for at in sorted(left_out)])
            advance()


def _answered(
    task: Task, taught: Sequence[Example], judges: Sequence[Example]
) -> Iterator[Answered]:
    if examples_problem(_with(task, taught)):
        return
    skill = LinearSkill(fitted(_with(task, taught)).model, reads_message=task.reads == "message")
    for begin in range(0, len(judges), _AT_ONCE):
        some = judges[begin : begin + _AT_ONCE]
        for row, said in zip(some, skill.answers([row.text for row in some]), strict=True):
            yield row, None if isinstance(said, str) else said


def _write(
    plan: TrainingPlan,
    whole: Task,
    rows: Rows,
    measured: Measured | None,
    lines: str,
    started: float,
    to: Path,
) -> None:
    model, facts, _ = fitted(whole)
    model.save(to, facts)
    keys = text_keys(row.text for row in rows.all)
    write_seen(to, keys, plan.data)
    made = card_of(plan, whole, rows, measured, is_refitted=bool(rows.held_out))
    card = made | {"versions": versions(_LIBRARIES), "weights_sha256": weights_sha256(to)}
    (to / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    seconds, day = perf_counter() - started, datetime.now(UTC).date().isoformat()
    text = read_me(card, lines, seconds=seconds, day=day, about=_ABOUT)
    (to / READ_ME).write_text(text, encoding="utf-8")
    make_readable(to)
