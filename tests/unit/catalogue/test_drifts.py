"""Drift in the catalogue: what it says, what is refused, and that it voids no promise."""

from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Drift, step_specs


def catalogue(drift: object, accept: object = "calibrated") -> Catalogue:
    """A catalogue with one task."""
    task: dict[str, Any] = {
        "kind": "classify",
        "labels": {"up": "Up.", "down": "Down."},
        "cascade": [{"model": "mini", "accept": accept}],
        "drift": drift,
    }
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"mini": {"source": "bundled:minilm"}},
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
        ({"alarm": "raise_threshold"}, "left to people in this version: say `alert`"),
        ({"alarm": "audit_more"}, "raise the share of `audit` by hand"),
        ({"alarm": "shout"}, "must be `alert`: tell Prometheus"),
        ({"alarm": 1}, "must be `alert`"),
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


def test_drift_voids_no_promise() -> None:
    """Adding it changes no step."""
    both = [catalogue({}), catalogue(None)]
    specs = [step_specs(each.tasks["topic"], each.models) for each in both]
    assert specs[0] == specs[1]
