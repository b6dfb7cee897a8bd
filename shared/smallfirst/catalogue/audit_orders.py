"""Orders of audits: what routers and workers are told of a task's audit, and for which promise."""

import hashlib
import json
from collections.abc import Mapping

from smallfirst.audit.drawing import AuditOrder
from smallfirst.catalogue.audits import WhenBroken
from smallfirst.catalogue.pools import Model
from smallfirst.catalogue.step_specs import step_specs
from smallfirst.catalogue.tasks import Task


def audit_order(task: Task, models: Mapping[str, Model]) -> AuditOrder | None:
    """What whoever settles a job of the task is told; None where nothing is checked."""
    if task.audit is None:
        return None
    keep_seconds = round(task.audit.keep.total_seconds())
    series = audit_series(task, models)
    return AuditOrder(
        share=task.audit.share,
        keep_seconds=keep_seconds,
        series=series,
        stops=task.audit.when_broken is WhenBroken.STOP,
    )


def audit_series(task: Task, models: Mapping[str, Model]) -> str:
    """Hash what answers are accepted by: the steps, their acceptance, what was promised of them.

    A new promise is another one, whatever its thresholds: what was found before speaks of the
    promise before. Calibrated anew on the same rows with the same result, it is the same. Which
    single step is equal, what the rows were like, and what is done where jobs are unlike them
    belongs to no promise, and older versions hash without it.
    """
    beside = {"made_at", "equal_single", "reference", "cautious"}
    promise = task.promise
    said = {
        "specs": step_specs(task, models),
        "acceptances": [step.acceptance.to_json() for step in task.machine_steps],
        "promise": promise.model_dump(mode="json", exclude=beside) if promise else None,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
