"""Drift in the catalogue: what it says, what is refused, and that it voids no promise."""

from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Drift, step_specs

LARGE: dict[str, Any] = {"tier": "llm", "endpoint": "https://example.org/v1", "source": "large"}


def catalogue(drift: object, accept: object = "calibrated", **more: object) -> Catalogue:
    """A catalogue with one task, which a small model and then a large one answer."""
    task: dict[str, Any] = {
        "kind": "classify",
        "labels": {"up": "Up.", "down": "Down."},
        "cascade": [{"model": "mini", "accept": accept}, {"model": "large"}],
        "drift": drift,
        **more,
    }
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {
                "cpu": {"tier": "slm", "max_parameters": "50M"},
                "calls": {"tier": "llm", "max_parameters": "10B"},
            },
            "models": {"mini": {"source": "bundled:minilm"}, "large": LARGE},
            "tasks": {"topic": task},
        }
    )


def test_an_empty_drift_is_the_usual_one() -> None:
    """An alert, one false alarm in a hundred promises, and no alarm for a small change."""
    assert catalogue({}).tasks["topic"].drift == Drift()
    assert catalogue({"alarm": "alert"}).tasks["topic"].drift == Drift()
    assert catalogue(None).tasks["topic"].drift is None


@pytest.mark.parametrize(
    ("drift", "rule"),
    [
        ({"alarm": "shout"}, "must be `alert` or `raise_threshold` or `audit_more`: tell"),
        ({"alarm": 1}, "must be `alert`"),
        ({"alarm": "audit_more"}, "the task has no `audit`, so there is no share of checks to"),
        ({"times": 2}, "`times` is for `alarm: audit_more`"),
        ({"alarm": "raise_threshold", "times": 2}, "`times` is for `alarm: audit_more`"),
        ({"alarm": "audit_more", "times": 1}, "greater than 1"),
        ({"alarm": "audit_more", "times": 101}, "less than or equal to 100"),
        ({"false_alarms": 0}, "greater than or equal to 0.000001"),
        ({"false_alarms": 0.5}, "less than or equal to 0.2"),
        ({"least_index": -1}, "greater than or equal to 0"),
        ({"least_index": float("nan")}, "finite"),
        ({"threshold": 1}, "Extra inputs"),
        (0.1, "valid dictionary"),
    ],
)
def test_what_makes_no_sense_is_refused(drift: object, rule: str) -> None:
    """With the rule, and what to say instead."""
    with pytest.raises(ValidationError, match=rule):
        catalogue(drift)


def test_without_a_calibrated_step_there_is_nothing_to_compare_with() -> None:
    """The catalogue is refused: nothing would be watched."""
    with pytest.raises(ValidationError, match="no step says `accept: calibrated`, so there are no"):
        catalogue({}, accept=0.8)


@pytest.mark.parametrize("alarm", ["alert", "raise_threshold", "audit_more"])
def test_drift_voids_no_promise(alarm: str) -> None:
    """Adding it changes no step, not of a large model either, which reads what a task says."""
    both = [catalogue({"alarm": alarm}, audit=0.1), catalogue(None, audit=0.1)]
    specs = [step_specs(each.tasks["topic"], each.models) for each in both]
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("said", "times"), [({}, 4.0), ({"times": 2.5}, 2.5), ({"times": 100}, 100.0)]
)
def test_the_share_of_audits_is_multiplied_as_the_catalogue_says(
    said: dict[str, float], times: float
) -> None:
    """By four where it does not say; another alarm multiplies nothing."""
    drift = catalogue({"alarm": "audit_more", **said}, audit=0.1).tasks["topic"].drift
    assert drift is not None
    assert (drift.audit_times, drift.alarm.acts) == (times, True)
    assert (Drift().audit_times, Drift().alarm.acts) == (1.0, False)
