"""How an evaluation was measured: what a reader needs to judge it, or to measure it again."""

import hashlib
import os
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from smallfirst.catalogue import Catalogue, Promise, Task
from smallfirst.evaluation.calibrating import data_digest
from smallfirst.evaluation.scores import Scores

_STATISTICS = (
    "shares: Clopper and Pearson, exact; differences of the same rows: Agresti and Min 2005, and"
    " McNemar's exact test; all two-sided at 95 %"
)
_LATENCY = (
    "waiting and work, added up over the steps asked; all rows were sent at once and step after"
    " step, so waiting is that of a fleet under full load"
)


@dataclass(frozen=True)
class Circumstances:
    """Under which an evaluation was made.

    Attributes:
        data: The file of rows.
        num_left_out: Rows of it that a model was trained on.
        catalogue_path: Of the catalogue.
        made_at: UTC.
    """

    data: Path
    num_left_out: int
    catalogue_path: Path
    made_at: datetime


def how_measured(
    scores: Scores, catalogue: Catalogue, promise: Promise | None, about: Circumstances
) -> list[tuple[str, str]]:
    """List what the figures rest on, as names and values. Files are named without their folders."""
    return [
        ("rows", _rows(scores, about)),
        ("measured", f"{about.made_at:%Y-%m-%d %H:%M} UTC, smallfirst {version('smallfirst')}"),
        ("catalogue", f"{about.catalogue_path.name}, SHA-256 {_digest(about.catalogue_path)}"),
        ("thresholds", _thresholds(promise, scores)),
        ("prices", _prices(catalogue, catalogue.tasks[scores.task])),
        ("machine", machine()),
        ("intervals", _STATISTICS),
        ("latency", _LATENCY),
    ]


def machine() -> str:
    """Say what this machine is, without its name."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()},"
        f" Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}"
    )


def _rows(scores: Scores, about: Circumstances) -> str:
    left_out = f", {about.num_left_out:,} seen in training left out" if about.num_left_out else ""
    return (
        f"{len(scores.rows):,} labelled rows of {about.data.name}{left_out};"
        f" hash {data_digest(scores.rows)}"
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _thresholds(promise: Promise | None, scores: Scores) -> str:
    if promise is None:
        return "as the catalogue says; not calibrated"
    same = promise.data == data_digest(scores.rows)
    where = ", on these very rows, which flatters them" if same else ", on other rows"
    return f"calibrated {promise.made_at:%Y-%m-%d} on {promise.num_rows:,} rows{where}"


def _prices(catalogue: Catalogue, task: Task) -> str:
    """Name what the task's models cost: their pools' hours, and what an endpoint charges."""
    models = [catalogue.models[name] for step in task.cascade for name in step.asks]
    tiers = {model.tier for model in models}
    hours = [
        f"{name} {pool.price_per_hour:g} {catalogue.currency} an hour of a worker"
        for name, pool in catalogue.pools.items()
        if pool.tier in tiers
    ]
    charged = [
        f"{model.source} {model.price_per_million_tokens.input:g} and"
        f" {model.price_per_million_tokens.output:g} a million tokens of input and output"
        for model in models
        if model.price_per_million_tokens is not None
    ]
    return "; ".join([*hours, *charged]) or "nothing has one"
