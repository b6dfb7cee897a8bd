"""Drift, said: jobs of each task beside the rows of its promise, for people and for metrics."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from smallfirst.catalogue import Catalogue, Drift, Promise, QuantityReference
from smallfirst.catalogue.promises import promise_digest
from smallfirst.drift.bins import OTHER_LABELS
from smallfirst.drift.judging import Days, DriftState, Judged, Limits, Rows, judge
from smallfirst.ledger.keys import date_of
from smallfirst.ledger.seen import Quantity, SeenDay, read_seen
from smallfirst.ledger.slices import Slice

#: As many days as books are kept.
KEPT_DAYS: Final = 35
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
        raises_alarm: Whether the catalogue wants an alarm.
        has_reference: Whether the promise says what its rows were like.
        quantities: In the order of the promise.
    """

    raises_alarm: bool
    has_reference: bool
    quantities: tuple[QuantityReport, ...] = ()

    @property
    def has_drifted(self) -> bool:
        """Whether any quantity has."""
        return any(each.judged.state is DriftState.DRIFTED for each in self.quantities)


def kept_dates(now_ms: int) -> list[str]:
    """The days of which counts are kept, oldest first."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    days = [now - timedelta(days=ago) for ago in reversed(range(KEPT_DAYS))]
    return [date_of(round(day.timestamp() * 1000)) for day in days]


def drift_reports(catalogue: Catalogue, seen: Mapping[str, SeenDay]) -> dict[str, DriftReport]:
    """Compare the jobs of each task that has a promise with its rows."""
    return {
        name: _report_of(name, task.promise, task.drift, seen)
        for name, task in catalogue.tasks.items()
        if task.promise is not None
    }


def read_drift(first: Slice, catalogue: Catalogue, now_ms: int) -> dict[str, DriftReport]:
    """Read what was counted, and compare; see `drift_reports`."""
    return drift_reports(catalogue, read_seen(first, kept_dates(now_ms)))


def _report_of(
    name: str, promise: Promise, drift: Drift | None, seen: Mapping[str, SeenDay]
) -> DriftReport:
    reference, told = promise.reference, drift or Drift()
    if reference is None:
        return DriftReport(drift is not None, has_reference=False)
    limits = Limits(told.false_alarms, told.least_index, len(reference.quantities))
    distinct = reference.num_distinct / reference.num_rows
    digest, began = promise_digest(promise), promise.made_at.date()
    quantities = []
    for each in reference.quantities:
        rows = Rows(tuple(each.counts), tuple(each.counts.values()), min(1.0, distinct))
        days = _days(Quantity(name, digest, each.what, each.step), rows.bins, seen, began)
        quantities.append(QuantityReport(each, judge(rows, days, limits)))
    return DriftReport(drift is not None, has_reference=True, quantities=tuple(quantities))


def _days(
    quantity: Quantity, bins: Sequence[str], seen: Mapping[str, SeenDay], began: date
) -> Days:
    """The days with counts: without any, a day's bets are those of the next, with less capital."""
    numbers, counts, dates = [], [], []
    for day in sorted(seen):
        found = seen[day].get(quantity)
        if found:
            numbers.append(max(1, (date.fromisoformat(day) - began).days + 1))
            counts.append(_in_bins(found, bins))
            dates.append(day)
    return Days(numbers, counts, dates)


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
            self._metrics = list(drift_metrics(told))
            self._due = time.monotonic() + EVERY_SECONDS
        return self._metrics


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
