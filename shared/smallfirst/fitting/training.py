"""Having a model trained by a process of its own, within a time that is never exceeded."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallfirst.evaluation.single_step_catalogue import as_yaml
from smallfirst.fitting.drafting import Written
from smallfirst.local.training_process import training_command
from smallfirst.process.training_plan import TOO_LONG, TrainingPlan


@dataclass(frozen=True)
class Done:
    """The model is there."""


@dataclass(frozen=True)
class TooLong:
    """It would take longer than it may.

    Attributes:
        needed: Seconds of its steps, at least.
    """

    needed: float


@dataclass(frozen=True)
class Failed:
    """It ended without a model.

    Attributes:
        reason: In words; no text of a row is in it.
    """

    reason: str


def trained(
    plan: TrainingPlan, material: tuple[Written, Sequence[Mapping[str, Any]]], seconds: float
) -> Done | TooLong | Failed:
    """Train a model as a plan says.

    Args:
        plan: Its catalogue and rows are names of files that are written here.
        material: What stands in them.
        seconds: After which it is ended, whatever it was at.
    """
    catalogue, rows = material
    with tempfile.TemporaryDirectory(prefix="smallfirst-fit-") as name:
        folder = Path(name)
        placed = plan.model_copy(
            update={"catalogue": folder / plan.catalogue, "data": folder / plan.data}
        )
        placed.catalogue.write_text(as_yaml(catalogue), encoding="utf-8")
        placed.data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        return _run(placed, folder / "log", seconds)


def _run(plan: TrainingPlan, log: Path, seconds: float) -> Done | TooLong | Failed:
    pipe = subprocess.PIPE
    with (
        log.open("wb") as errors,
        subprocess.Popen(  # noqa: S603 - our own module
            training_command(), stdin=pipe, stdout=pipe, stderr=errors
        ) as child,
    ):
        try:
            said, _ = child.communicate(plan.model_dump_json().encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            return TooLong(seconds)
        except KeyboardInterrupt:
            child.wait()  # The terminal has told it too.
            raise
    if child.returncode == 0:
        return Done()
    if child.returncode == TOO_LONG:
        return TooLong(float(json.loads(said.splitlines()[-1])["needed"]))
    return Failed(_last_line(log) or f"it ended with status {child.returncode}")


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("smallfirst: ") if lines else ""
