"""Drift in the catalogue: what is done where a task's jobs are no longer like its rows."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, model_validator

from smallfirst.catalogue.choices import one_of
from smallfirst.kinds.entries import Entry

#: By how much the share of audits is multiplied where the catalogue does not say.
AUDIT_TIMES: Final = 4.0


class Alarm(StrEnum):
    """What an alarm does."""

    ALERT = "alert"
    RAISE_THRESHOLD = "raise_threshold"
    AUDIT_MORE = "audit_more"

    @property
    def acts(self) -> bool:
        """Whether it changes what becomes of jobs."""
        return self is not Alarm.ALERT


class Drift(Entry):
    """When it is held that a task's jobs have changed, against the rows it was calibrated on."""

    alarm: Annotated[
        Alarm,
        one_of(Alarm, "tell Prometheus, accept by stricter thresholds, or check more answers"),
    ] = Field(
        default=Alarm.ALERT,
        description="What is done while they have. Each tells Prometheus, whose alert is"
        " SmallfirstDrift, and `alert` does nothing else; `raise_threshold` accepts by the"
        " thresholds that keep half of the target; `audit_more` checks more answers blind.",
    )
    times: float | None = Field(
        default=None,
        gt=1.0,
        le=100.0,
        description="The number by which `audit_more` multiplies the share of `audit`, above 1 to"
        " 100; if not given, 4. No more than all answers are checked.",
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

    @model_validator(mode="after")
    def _times_are_of_audits(self) -> "Drift":
        if self.times is not None and self.alarm is not Alarm.AUDIT_MORE:
            raise ValueError("`times` is for `alarm: audit_more`; leave it out, or say that")
        return self

    @property
    def audit_times(self) -> float:
        """By how much the share of audits is multiplied while an alarm stands."""
        if self.alarm is not Alarm.AUDIT_MORE:
            return 1.0
        return self.times or AUDIT_TIMES
