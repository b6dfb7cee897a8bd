"""Drift, said: jobs of each task beside the rows of its promise, for people and for metrics."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from redis.exceptions import NoPermissionError

from smallfirst.catalogue import Catalogue, Drift, Promise, QuantityReference
from smallfirst.catalogue.drifts import Alarm
from smallfirst.catalogue.promises import promise_digest
from smallfirst.drift.bins import OTHER_LABELS
from smallfirst.drift.judging import DriftState, Judged, Limits, Periods, Rows, judge
from smallfirst.ledger.alarms import Alarms, Standing, StandingAlarm, of_promises
from smallfirst.ledger.keys import date_of, hour_of
from smallfirst.ledger.seen import Period, Quantity, SeenPeriod, read_seen
from smallfirst.ledger.slices import Slice

#: As many days as books are kept; and of so many hours what was counted is read.
KEPT_DAYS: Final = 35
KEPT_HOURS: Final = 24
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
#: Between two looks of a process that is asked more often.
EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True)
class QuantityReport:
    """One quantity of a task.

    Attributes:
        reference: What was counted of rows.
        judged: What is said of jobs.
    """

    reference: QuantityReference
    judged: Judged


@dataclass(frozen=True)
class DriftReport:
    """All quantities of a task.

    Attributes:
        alarm: What the catalogue wants an alarm to do; None where it wants none.
        has_reference: Whether the promise says what its rows were like.
        quantities: In the order of the promise.
    """

    alarm: Alarm | None
    has_reference: bool
    quantities: tuple[QuantityReport, ...] = ()

    @property
    def raises_alarm(self) -> bool:
        """Whether the catalogue wants an alarm."""
        return self.alarm is not None

    @property
    def has_drifted(self) -> bool:
        """Whether any quantity has."""
        return any(each.judged.state is DriftState.DRIFTED for each in self.quantities)


def kept_periods(now_ms: int) -> list[Period]:
    """The days of which counts are kept, and the last hours; the oldest of each first."""
    days = [now_ms - ago * _DAY_MS for ago in reversed(range(KEPT_DAYS))]
    hours = [now_ms - ago * _HOUR_MS for ago in reversed(range(KEPT_HOURS))]
    return [
        *(Period(date_of(each)) for each in days),
        *(Period(date_of(each), hour_of(each)) for each in hours),
    ]


def drift_reports(
    catalogue: Catalogue, seen: Mapping[Period, SeenPeriod]
) -> dict[str, DriftReport]:
    """Compare the jobs of each task that has a promise with its rows."""
    return {
        name: _report_of(name, task.promise, task.drift, seen)
        for name, task in catalogue.tasks.items()
        if task.promise is not None
    }


def read_drift(first: Slice, catalogue: Catalogue, now_ms: int) -> dict[str, DriftReport]:
    """Read what was counted, and compare; see `drift_reports`."""
    return drift_reports(catalogue, read_seen(first, kept_periods(now_ms)))


def read_alarms(
    first: Slice, catalogue: Catalogue, standing: Standing, now_ms: int
) -> dict[str, StandingAlarm]:
    """Read what was counted, and say which alarms stand of tasks where something is done then.

    Args:
        first: The fleet's first slice.
        catalogue: In force.
        standing: What stood until now.
        now_ms: Redis's clock.
    """
    tasks = {name: task for name, task in catalogue.tasks.items() if _acts(task.drift)}
    if not tasks:
        return {}
    reports = read_drift(first, catalogue.model_copy(update={"tasks": tasks}), now_ms)
    promises = {name: promise_digest(task.promise) for name, task in tasks.items() if task.promise}
    drifted = {name: promises[name] for name, each in reports.items() if each.has_drifted}
    return alarms_of(drifted, standing, now_ms)


def alarms_of(
    drifted: Mapping[str, str], standing: Standing, now_ms: int
) -> dict[str, StandingAlarm]:
    """Which alarms stand now; one that stood goes on. Pure.

    Args:
        drifted: The hash of its promise of each task whose jobs have drifted.
        standing: What stood until now.
        now_ms: Redis's clock.
    """
    going_on = of_promises(standing, drifted)
    return {
        name: going_on.get(name) or StandingAlarm(promise=promise, since_ms=now_ms)
        for name, promise in drifted.items()
    }


def standing_of(first: Slice, catalogue: Catalogue) -> dict[str, StandingAlarm]:
    """Read which alarms are in force, of tasks where something is done then."""
    promises = {
        name: promise_digest(task.promise)
        for name, task in catalogue.tasks.items()
        if task.promise is not None and _acts(task.drift)
    }
    return of_promises(Alarms(first.redis, first.keys).standing(), promises) if promises else {}


def _acts(drift: Drift | None) -> bool:
    return drift is not None and drift.alarm.acts


def _report_of(
    name: str, promise: Promise, drift: Drift | None, seen: Mapping[Period, SeenPeriod]
) -> DriftReport:
    reference, told = promise.reference, drift or Drift()
    if reference is None:
        return DriftReport(drift.alarm if drift else None, has_reference=False)
    limits = Limits(told.false_alarms, told.least_index, len(reference.quantities))
    distinct = reference.num_distinct / reference.num_rows
    digest, quantities = promise_digest(promise), []
    for each in reference.quantities:
        rows = Rows(tuple(each.counts), tuple(each.counts.values()), min(1.0, distinct))
        found = _Found(Quantity(name, digest, each.what, each.step), rows.bins, promise.made_at)
        days, hours = found.in_days(seen), found.in_hours(seen)
        quantities.append(QuantityReport(each, judge(rows, days, hours, limits)))
    return DriftReport(
        drift.alarm if drift else None, has_reference=True, quantities=tuple(quantities)
    )


@dataclass(frozen=True)
class _Found:
    """What to find of one quantity.

    Attributes:
        quantity: Its name.
        bins: Of the reference.
        made_at: When the promise was made.
    """

    quantity: Quantity
    bins: Sequence[str]
    made_at: datetime

    def in_days(self, seen: Mapping[Period, SeenPeriod]) -> Periods:
        """What was counted day by day."""
        return self._in([each for each in seen if not each.hour], seen)

    def in_hours(self, seen: Mapping[Period, SeenPeriod]) -> Periods:
        """What was counted in the last hours."""
        return self._in([each for each in seen if each.hour], seen)

    def _in(self, periods: Sequence[Period], seen: Mapping[Period, SeenPeriod]) -> Periods:
        """In periods with counts: bets of an empty one are those of the next, with less capital."""
        told = [each for each in sorted(periods) if seen[each].get(self.quantity)]
        return Periods(
            [self._number(each) for each in told],
            [_in_bins(seen[each][self.quantity], self.bins) for each in told],
            [str(each) for each in told],
        )

    def _number(self, period: Period) -> int:
        """How many days, or hours, there were since the promise was made; this one among them."""
        if not period.hour:
            return max(1, (date.fromisoformat(period.date) - self.made_at.date()).days + 1)
        begins = datetime.fromisoformat(f"{period.date}T{period.hour}:00+00:00")
        made = self.made_at.replace(minute=0, second=0, microsecond=0)
        return max(1, (begins - made) // timedelta(hours=1) + 1)


def _in_bins(found: Mapping[str, int], bins: Sequence[str]) -> list[int]:
    """Lay counts out; a label beyond those counted apart is among the others."""
    counts = dict.fromkeys(bins, 0)
    for name, count in found.items():
        place = name if name in counts else OTHER_LABELS
        if place in counts:
            counts[place] += count
    return list(counts.values())


class DriftWatch:
    """Looks once a minute, however often it is asked.

    Args:
        first: The fleet's first slice.
    """

    def __init__(self, first: Slice) -> None:
        self._first = first
        self._due = 0.0
        self._metrics: list[Metric] = []

    def metrics(self, catalogue: Catalogue, now_ms: int) -> list[Metric]:
        """Tell of the tasks that want an alarm."""
        if time.monotonic() >= self._due:
            reports = read_drift(self._first, catalogue, now_ms)
            told = {name: each for name, each in reports.items() if each.raises_alarm}
            self._metrics = [*drift_metrics(told), *self._in_force(catalogue)]
            self._due = time.monotonic() + EVERY_SECONDS
        return self._metrics

    def _in_force(self, catalogue: Catalogue) -> Iterator[Metric]:
        """Tell what is done about drift, of each task that has something done."""
        acting = {
            name: task.drift
            for name, task in catalogue.tasks.items()
            if task.drift is not None and task.drift.alarm.acts
        }
        # Rules of an older version do not let it read the alarms: they alone are not told then.
        with suppress(NoPermissionError):
            yield in_force_metric(acting, standing_of(self._first, catalogue))


def in_force_metric(acting: Mapping[str, Drift], standing: Standing) -> Metric:
    """Tell which alarms do something now."""
    metric = GaugeMetricFamily(
        "smallfirst_drift_in_force",
        "Whether a task's thresholds are raised, or more of its answers checked, since its jobs"
        " have drifted.",
        labels=("task", "alarm"),
    )
    for task, drift in acting.items():
        metric.add_metric([task, str(drift.alarm)], float(task in standing))
    return metric


_LABELS: Final = ("task", "quantity", "step")


def drift_metrics(reports: Mapping[str, DriftReport]) -> Iterator[Metric]:
    """Tell what is said of each quantity; a quantity that no step is asked for has no step."""
    evidence = GaugeMetricFamily(
        "smallfirst_drift_evidence_ratio",
        "How near the proof is that a task's jobs are unlike the rows it was calibrated on; 1 and"
        " above is one.",
        labels=_LABELS,
    )
    index = GaugeMetricFamily(
        "smallfirst_drift_stability_index",
        "The population stability index of a task's jobs against the rows it was calibrated on.",
        labels=_LABELS,
    )
    alarm = GaugeMetricFamily(
        "smallfirst_drift_alarm",
        "Whether it is proven that a task's jobs have changed, and by more than a little.",
        labels=_LABELS,
    )
    for task, report in reports.items():
        for each in report.quantities:
            step = "" if each.reference.step is None else str(each.reference.step)
            labels = [task, str(each.reference.what), step]
            evidence.add_metric(labels, each.judged.evidence)
            alarm.add_metric(labels, float(each.judged.state is DriftState.DRIFTED))
            if each.judged.index is not None:
                index.add_metric(labels, each.judged.index)
    yield from (evidence, index, alarm)
