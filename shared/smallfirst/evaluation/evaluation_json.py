"""An evaluation for programs: the figures of the page, and the sentences. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from smallfirst.catalogue import Promise
from smallfirst.evaluation.alternatives import Alternative
from smallfirst.evaluation.conclusions import headline, sentences
from smallfirst.evaluation.evaluating import Evaluation, StepShare
from smallfirst.evaluation.label_figures import LabelFigures

#: Digits after the point.
_DIGITS = 9


def as_json(
    found: Evaluation, measured: Sequence[tuple[str, str]], promise: Promise | None = None
) -> dict[str, Any]:
    """Lay an evaluation out as JSON; shares are from 0 to 1, costs in the catalogue's currency."""
    laid = {
        "task": found.task,
        "currency": found.currency,
        "num_rows": found.num_rows,
        "headline": headline(found),
        "sentences": sentences(found, promise),
        "cascade": _alternative(found.cascade),
        "alternatives": [_alternative(each) for each in found.alternatives],
        "comparison": {
            **asdict(found.comparison),
            "rival": found.comparison.rival.name,
        },
        "steps": [_step(step) for step in found.steps],
        "risk_coverage": [asdict(curve) for curve in found.curves],
        "reliability": [asdict(each) for each in found.reliabilities],
        "confusion": asdict(found.confusion) if found.confusion else None,
        "labels": [_label(each) for each in found.labels],
        "failures": [asdict(each) for each in found.failures],
        "foreign": asdict(found.foreign) if found.foreign else None,
        "measured": dict(measured),
    }
    rounded: dict[str, Any] = _rounded(laid)
    return rounded


def _alternative(each: Alternative) -> dict[str, Any]:
    error = each.error_interval
    return {
        "way": str(each.way),
        "name": each.name,
        "steps": each.steps,
        "coverage": each.coverage,
        "accuracy": each.accuracy,
        "accuracy_interval": asdict(each.accuracy_interval),
        "error": each.error,
        "error_interval": asdict(error) if error else None,
        "answered_by": [count / each.num_rows for count in each.answered_by],
        "cost_per_million": each.cost_per_million,
        "worker_seconds": each.seconds,
        "latency_seconds": each.latency_seconds,
    }


def _step(step: StepShare) -> dict[str, Any]:
    acceptance = step.acceptance
    is_one = acceptance.by_label is None and not acceptance.is_never and not step.is_void
    return {
        **asdict(step.about),
        "threshold": acceptance.threshold if is_one else None,
        "temperature": acceptance.temperature,
        "asked": step.asked,
        "answered": step.answered,
        "right": step.right,
        "cost_per_million_asked": step.cost * 1e6,
    }


def _label(each: LabelFigures) -> dict[str, Any]:
    precision, recall = each.precision_interval, each.recall_interval
    return {
        **asdict(each),
        "precision": each.precision,
        "precision_interval": asdict(precision) if precision else None,
        "recall": each.recall,
        "recall_interval": asdict(recall) if recall else None,
    }


def _rounded(value: Any) -> Any:
    """Drop the digits that mean nothing, at any depth."""
    match value:
        case float():
            return round(value, _DIGITS)
        case dict():
            return {key: _rounded(member) for key, member in value.items()}
        case list() | tuple():
            return [_rounded(member) for member in value]
    return value
