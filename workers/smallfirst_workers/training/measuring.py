"""How good a model is, by the engine that will serve it, and how sure so many rows make of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smallfirst.answers import Answer
from smallfirst.catalogue import Example, Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.evaluation.intervals import Interval, of_share
from smallfirst.evaluation.label_figures import LabelFigures, label_figures
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

#: As many texts as are asked at once; the engine cuts them into passes.
_TEXTS_AT_ONCE = 512
#: Of an F1 there is no exact interval: rows are drawn anew so often.
#: Source: the percentile bootstrap, Efron and Tibshirani 1993, An Introduction to the Bootstrap.
_NUM_DRAWS = 1000


@dataclass(frozen=True)
class Measured:
    """What answers were worth.

    Attributes:
        measure: `accuracy`, `exact set` or `span F1`; see `smallfirst.kinds.scoring.Score`.
        score: From 0 to 1.
        interval: Of the score, at 95 %, as if no row told of another.
        num_rows: That were asked.
        labels: Figures of each label.
    """

    measure: str
    score: float
    interval: Interval
    num_rows: int
    labels: tuple[LabelFigures, ...]


#: A row, and what was said of it; None where there was no answer.
Answered = tuple[Example, Answer | None]


def measure(
    model: Model, name: str, task: Task, rows: Sequence[Example], *, cache: Path, threads: int
) -> Measured:
    """Ask the engine about rows whose answers are known.

    Args:
        model: As the catalogue would have it.
        name: Of the task.
        task: Its kind and labels.
        rows: At least one.
        cache: Of what is made once.
        threads: Of a pass.

    Raises:
        SmallfirstError, WorkerError: When the model cannot be served.
    """
    engine = SlmEngine.load(name, model, model_folder(model), cache=cache, threads=threads)
    engine.prepare({name: task})
    answered = ask(engine, name, rows)
    engine.unload()
    return measured_of(task, answered)


def ask(
    engine: SlmEngine, name: str, rows: Sequence[Example], options: StepOptions = NO_OPTIONS
) -> list[Answered]:
    """Ask about rows, those of similar length together, as the router batches them."""
    ordered = sorted(rows, key=lambda row: len(row.text))
    answered: list[Answered] = []
    for first in range(0, len(ordered), _TEXTS_AT_ONCE):
        part = ordered[first : first + _TEXTS_AT_ONCE]
        done = engine.run([EngineRequest(row.text, name, options) for row in part])
        for row, answer in zip(part, done.answers, strict=True):
            answered.append((row, None if isinstance(answer, Problem) else answer))
    return answered


def measured_of(task: Task, answered: Sequence[Answered]) -> Measured:
    """Compare answers, at least one, with the right ones."""
    spec = KINDS[task.kind]
    assert spec.scoring is not None, "what is trained can be compared"
    golds = [spec.gold_of(row) for row, _ in answered]
    said = [spec.said_by(answer) for _, answer in answered]
    counts = [
        (0, 1) if given is None else spec.scoring.count(given, gold)
        for given, gold in zip(said, golds, strict=True)
    ]
    is_share = spec.head is not HeadForm.WORDS
    return Measured(
        measure=spec.scoring.measure,
        score=_ratio(np.array(counts)),
        interval=of_share(sum(right for right, _ in counts), len(counts))
        if is_share
        else _drawn_interval(np.array(counts)),
        num_rows=len(answered),
        labels=label_figures(
            [spec.parts_of(gold) for gold in golds],
            [spec.parts_of(given) for given in said],
            list(task.labels),
        ),
    )


def _ratio(counts: np.ndarray) -> float:
    """Right of all; nothing to find and nothing found is right. `counts` is `(rows, 2)`."""
    right, total = counts.sum(axis=0)
    return float(right / total) if total else 1.0


def _drawn_interval(counts: np.ndarray) -> Interval:
    chance, num_rows = np.random.default_rng(0), len(counts)
    ratios = [_ratio(counts[chance.integers(num_rows, size=num_rows)]) for _ in range(_NUM_DRAWS)]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(low), float(high))
