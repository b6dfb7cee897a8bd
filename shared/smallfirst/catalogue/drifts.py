"""Drift in the catalogue: what is done where a task's jobs are no longer like its rows."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from smallfirst.catalogue.choices import one_of
from smallfirst.kinds.entries import Entry


class Alarm(StrEnum):
    """What an alarm does."""

    ALERT = "alert"


#: What an alarm may be wished to do, and this version leaves to people.
_LEFT_TO_PEOPLE: Final = {
    "raise_threshold": "calibrate on rows of today",
    "audit_more": "raise the share of `audit` by hand",
}


def _known(value: object) -> object:
    if isinstance(value, str) and value in _LEFT_TO_PEOPLE:
        remedy = _LEFT_TO_PEOPLE[value]
        raise ValueError(f"`{value}` is left to people in this version: say `alert`, and {remedy}")
    return value


class Drift(Entry):
    """When it is held that a task's jobs have changed, against the rows it was calibrated on."""

    alarm: Annotated[Alarm, one_of(Alarm, "tell Prometheus"), BeforeValidator(_known)] = Field(
        default=Alarm.ALERT,
        description="What is done when they have: `alert` tells Prometheus, whose alert is"
        " SmallfirstDrift.",
    )
    false_alarms: float = Field(
        default=0.01,
        ge=1e-6,
        le=0.2,
        description="The probability that jobs which are like the rows ever raise an alarm, however"
        " long and often one looks: 0.000001 to 0.2.",
    )
    least_index: float = Field(
        default=0.1,
        ge=0.0,
        le=10.0,
        description="The population stability index below which no change raises an alarm, however"
        " sure: 0 to 10. Below 0.1 a change is called small, from 0.25 on large.",
    )
