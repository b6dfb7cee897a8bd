"""How good a model's folder is, by the engine that will serve it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import Example, Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS
from smallfirst.kinds.scoring import Score
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

#: As many texts as are asked at once; the engine cuts them into passes.
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class Measured:
    """What a folder's answers were worth.

    Attributes:
        measure: `accuracy`, `exact set` or `span F1`; see `smallfirst.kinds.scoring.Score`.
        score: From 0 to 1.
        num_rows: That were asked.
        seconds: Of one process's passes, texts to answers.
    """

    measure: str
    score: float
    num_rows: int
    seconds: float


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
    score, seconds = Score(), 0.0
    # Of similar length together, as the router batches them.
    ordered = sorted(rows, key=lambda row: len(row.text))
    for first in range(0, len(ordered), _TEXTS_AT_ONCE):
        part = ordered[first : first + _TEXTS_AT_ONCE]
        done = engine.run([EngineRequest(row.text, name) for row in part])
        seconds += done.seconds
        for row, answer in zip(part, done.answers, strict=True):
            given = None if isinstance(answer, Problem) else answer
            score.add(given, KINDS[task.kind].gold_of(row))
    engine.unload()
    return Measured(score.measure or "", score.value or 0.0, len(rows), seconds)
