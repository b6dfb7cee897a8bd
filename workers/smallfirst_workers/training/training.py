"""One training from its bench to a folder: train, measure, write."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog

from smallfirst.catalogue import Model
from smallfirst.catalogue.build_once import build_once
from smallfirst.process.training_plan import TrainingPlan
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.training.cross_validation import cross_validated, is_due
from smallfirst_workers.training.folders import CARD_FILE, READ_ME, seen_by, write_model
from smallfirst_workers.training.measuring import Measured, measure
from smallfirst_workers.training.methods import Made, final, judged
from smallfirst_workers.training.model_card import (
    make_card,
    read_me,
    score_in_words,
    weights_sha256,
)
from smallfirst_workers.training.pretraining import all_texts
from smallfirst_workers.training.rows import text_keys
from smallfirst_workers.training.trained import Trained, entry_lines, make_readable
from smallfirst_workers.training.workspace import Bench

#: What a trained model keeps of how its base was run.
_INHERITED = {"runtime", "precision", "max_tokens"}

log = structlog.get_logger()


def train(bench: Bench) -> Trained:
    """Train a model and write its folder, whole or not at all.

    A training that was killed goes on where it was when it is asked for again with the same plan,
    rows and base model. Its checkpoints lie beside the folder and go away with the last of them.

    Args:
        bench: What is wanted, and everything that it takes.

    Raises:
        SmallfirstError, WorkerError: When rows or base model turn out to be wrong.
    """
    started = perf_counter()
    plan, lines = bench.plan, catalogue_lines(bench.plan, bench.model)
    with _alone(bench.work):
        measured = None
        if is_crossed := is_due(bench):
            measured = cross_validated(bench)
            bench = replace(bench, rows=replace(bench.rows, fit=bench.rows.all, held_out=()))
        made = judged(bench)
        measured = measured if is_crossed else _measure(bench, made)
        kept = final(bench, made)
        card = make_card(bench, kept, measured)
        write = partial(_write, bench, kept, card, lines, started)
        if not build_once(plan.out, write):
            raise TrainingError(f"{plan.out} was written by somebody else in the meantime")
        shutil.rmtree(bench.work)
    card = json.loads((plan.out / CARD_FILE).read_text(encoding="utf-8"))
    return Trained(plan.out, card, score_in_words(card), perf_counter() - started, lines)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep a second training out of the working folder; the kernel ends this with the process."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "training.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise TrainingError("this very training is under way in another process") from err
        yield


def _measure(bench: Bench, made: Made) -> Measured | None:
    """Have the engine judge what was trained without the rows held out, from a folder of its own.

    What is converted on the way is of no use to anybody later, so it stays out of the cache.
    """
    if not bench.rows.held_out:
        return None
    plan, candidate = bench.plan, bench.work / "candidate"
    build_once(
        candidate, lambda to: write_model(to, made, bench.task, keys=[], data=plan.data, card={})
    )
    measured = measure(
        served_as(bench.model, str(candidate)),
        plan.task,
        bench.task,
        bench.rows.held_out,
        cache=bench.work / "cache",
        threads=plan.threads,
    )
    log.info("training.measured", measure=measured.measure, score=round(measured.score, 4))
    return measured


def _write(
    bench: Bench, made: Made, card: dict[str, Any], lines: str, started: float, to: Path
) -> None:
    write_model(to, made, bench.task, keys=_keys(bench), data=bench.plan.data, card=card)
    card = {**card, "weights_sha256": weights_sha256(to)}
    (to / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    seconds, day = perf_counter() - started, datetime.now(UTC).date().isoformat()
    text = read_me(card, lines, seconds=seconds, day=day)
    (to / READ_ME).write_text(text, encoding="utf-8")
    make_readable(to)


def _keys(bench: Bench) -> Sequence[str]:
    """Of every text that had a part in the weights, those that chose the epoch included."""
    return sorted({*text_keys(all_texts(bench)), *seen_by(bench.base.path)})


def served_as(model: Model, source: str) -> Model:
    """Say in the catalogue's terms how a model trained from another is served: as that one was."""
    return Model(source=source, **_settings(model))


def catalogue_lines(plan: TrainingPlan, model: Model) -> str:
    """Write the two lines of a catalogue that serve what was trained from a model."""
    return entry_lines(plan, _settings(model))


def _settings(model: Model) -> dict[str, Any]:
    return model.model_dump(include=_INHERITED, exclude_defaults=True)
