"""Reports: what an audit says of a task now, as a desk writes it down and others show it. Pure."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Literal

from pydantic import Field

from smallfirst.wire import Wire

#: Nobody reads more words a minute and knows what they say: adults read 238 on average, and 400 is
#: fast. Source: Brysbaert 2019, How many words do we read per minute?
#: https://doi.org/10.1016/j.jml.2019.104047
MAX_WORDS_A_MINUTE: Final = 1000


class ReviewerReport(Wire):
    """How one person answered blind."""

    person: str = Field(description="The pseudonym of the person.")
    num_answers: int = Field(ge=0, description="The number of texts answered blind.")
    num_golden: int = Field(
        ge=0, description="The number of golden rows answered for the first time."
    )
    num_golden_wrong: int = Field(ge=0, description="The number of those that were wrong.")
    num_hasty: int = Field(
        ge=0, description="The number of answers that came faster than the text can be read."
    )


class AlarmReport(Wire):
    """What an audit says of the answers accepted since a drift's alarm began to raise its share."""

    since_ms: int = Field(ge=0, description="The time since which it stands, on Redis's clock.")
    num_checks: int = Field(ge=0, description="The number of those answers checked blind.")
    rate: float | None = Field(default=None, description="The estimated share of wrong answers.")
    lower: float | None = Field(default=None, description="The lower end of its interval.")
    upper: float | None = Field(default=None, description="The upper end of its interval.")

    @property
    def in_words(self) -> str:
        """The estimate, its interval, how many checks."""
        return _estimate_in_words(self)


class AuditReport(Wire):
    """What an audit says of a task: of all answers accepted under its present promise."""

    v: Literal[1] = 1
    series: str = Field(description="The hash of the promise that it speaks of.")
    at_ms: int = Field(ge=0, description="The time of the report, on Redis's clock.")
    num_accepted: int = Field(ge=0, description="The number of answers accepted under it.")
    num_checks: int = Field(ge=0, description="The number of those that were checked blind.")
    num_waiting: int = Field(ge=0, description="The number of texts that wait for blind answers.")
    num_drawn: int = Field(ge=0, description="The number of checks drawn since the audit began.")
    num_dropped: int = Field(ge=0, description="The number of those that nobody answered in time.")
    num_undecided: int = Field(
        default=0, ge=0, description="The number of checks that another person has yet to look at."
    )
    rate: float | None = Field(default=None, description="The estimated share of wrong answers.")
    lower: float | None = Field(default=None, description="The lower end of its interval.")
    upper: float | None = Field(default=None, description="The upper end of its interval.")
    disagreement: float | None = Field(
        default=None, description="The share of accepted answers that people answer otherwise."
    )
    slips: float | None = Field(
        default=None, description="The share of golden rows that people answer wrongly."
    )
    num_golden: int = Field(default=0, ge=0, description="The number of golden rows answered.")
    target: float | None = Field(
        default=None, description="The share of wrong answers that is promised at most."
    )
    is_broken: bool = Field(
        default=False,
        description="Whether the whole interval lay above the promise at some time, of all answers"
        " or of those since an alarm.",
    )
    reviewers: tuple[ReviewerReport, ...] = Field(
        default=(), description="How each person answered."
    )
    alarm: AlarmReport | None = Field(
        default=None,
        description="What it says of the answers accepted since the alarm of drift that raises the"
        " share of checks; none: no such alarm stands.",
    )
    num_alarms: int = Field(
        default=0,
        ge=0,
        description="The number of such alarms under the promise, by which the confidence of what"
        " is said since each is parted.",
    )
    last_alarm_ms: int | None = Field(
        default=None, description="The time since which the last of them stood, on Redis's clock."
    )

    @property
    def in_words(self) -> str:
        """One line for people: the promise, the estimate, its interval, how many checks."""
        promised = f"promised at most {_percent(self.target)}; " if self.target is not None else ""
        return f"{promised}{_estimate_in_words(self)}"


def read_reports(said: Mapping[str, bytes]) -> dict[str, AuditReport]:
    """Read what desks wrote of tasks; what is no report, as of another version, is left out."""
    found: dict[str, AuditReport] = {}
    for task, raw in said.items():
        with suppress(ValueError):
            found[task] = AuditReport.model_validate_json(raw)
    return found


def _estimate_in_words(report: AuditReport | AlarmReport) -> str:
    if report.rate is None:
        return "blind audit: nothing checked yet"
    ends = f"{_number(report.lower)} to {_number(report.upper)}"
    checks = "1 check" if report.num_checks == 1 else f"{report.num_checks:,} checks"
    return f"blind audit {_percent(report.rate)} ({ends}), {checks}"


def _percent(share: float | None) -> str:
    return f"{_number(share)} %"


def _number(share: float | None) -> str:
    """A share in per cent, as few digits as tell it."""
    percent = 100 * (share or 0.0)
    return f"{percent:.1f}".removesuffix(".0") if percent >= 0.1 else f"{percent:.2g}"
