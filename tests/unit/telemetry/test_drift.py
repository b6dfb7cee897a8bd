"""Reports of drift: which counts are compared with which rows, and what is told of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from tests.support.drifting import CATALOGUE, NUM_ROWS, OTHERWISE, ROWS, calibrated, reference

from smallfirst.catalogue import Promise
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.promises import promise_digest
from smallfirst.drift.judging import DriftState
from smallfirst.ledger.seen import Period, Quantity, SeenPeriod
from smallfirst.telemetry.drift import (
    KEPT_DAYS,
    KEPT_HOURS,
    DriftReport,
    drift_metrics,
    drift_reports,
    kept_periods,
)

Counts = dict[Period, SeenPeriod]


def day_of(promise: Promise, jobs: object = ROWS) -> SeenPeriod:
    """What a day's hash says of jobs."""
    own = promise_digest(promise)
    assert isinstance(jobs, dict)
    return {Quantity("topic", own, what, step): found for (what, step), found in jobs.items()}


def report_of(folder: Path, days: dict[int, object], **more: object) -> DriftReport:
    """What is said, given jobs by how many days ago they came."""
    path, promise = calibrated(folder, **more)  # type: ignore[arg-type]
    now = datetime.now(UTC)
    seen: Counts = {
        Period(f"{now - timedelta(days=ago):%Y-%m-%d}"): day_of(promise, jobs)
        for ago, jobs in days.items()
    }
    return drift_reports(load_catalogue(path), seen)["topic"]


def test_a_day_counts_from_when_the_promise_was_made(tmp_path: Path) -> None:
    """The same change proves less where more days may have begun it."""
    soon, late = tmp_path / "soon", tmp_path / "late"
    soon.mkdir()
    late.mkdir()
    jobs = {0: {("length", None): {"64": 100, "128": 100, "256": 60}}}
    young, old = (
        report_of(folder, dict(jobs), days_ago=ago) for folder, ago in ((soon, 0), (late, 300))
    )
    pairs = zip(young.quantities, old.quantities, strict=True)
    lengths, *others = [(one.judged, other.judged) for one, other in pairs]
    assert lengths[0].evidence > lengths[1].evidence >= 0.0
    assert {each.state for pair in others for each in pair} == {DriftState.UNKNOWN}


def test_a_label_that_no_row_had_counts_among_the_others(tmp_path: Path) -> None:
    """A label that the catalogue has since is none of the reference's."""
    jobs = {("label", None): {"a": 10, "new": 5, "": 1}, ("length", None): {"odd": 3}}
    labels, lengths = (
        next(
            each.judged
            for each in report_of(tmp_path, {0: jobs}).quantities
            if each.reference.what == what
        )
        for what in ("label", "length")
    )
    assert labels.now == {"a": 10, "b": 0, "": 6}
    assert lengths.state is DriftState.UNKNOWN


def test_rows_that_are_alike_are_weighed_as_few(tmp_path: Path) -> None:
    """What a template's rows prove is what one of them does."""
    many, few = tmp_path / "many", tmp_path / "few"
    many.mkdir()
    few.mkdir()
    days = {0: dict(OTHERWISE)}
    assert report_of(many, dict(days)).has_drifted
    alike = reference().model_copy(update={"num_distinct": NUM_ROWS // 200})
    assert not report_of(few, dict(days), reference=alike).has_drifted


def test_a_task_without_drift_is_compared_and_raises_no_alarm(tmp_path: Path) -> None:
    """`smallfirst drift` shows it; no metric tells of it."""
    path, promise = calibrated(tmp_path)
    path.write_text(CATALOGUE.replace("    drift: {alarm: alert}\n", ""))
    today = Period(f"{datetime.now(UTC):%Y-%m-%d}")
    found = drift_reports(load_catalogue(path), {today: day_of(promise, OTHERWISE)})["topic"]
    assert found.has_drifted
    assert not found.raises_alarm


def test_metrics_tell_what_is_known(tmp_path: Path) -> None:
    """An index is of jobs: before the first there is none, and no alarm."""
    found = list(drift_metrics({"topic": report_of(tmp_path, {0: dict(OTHERWISE)})}))
    assert value_of(found, "alarm", "length", "") == 1
    assert value_of(found, "alarm", "label", "") == 0
    assert value_of(found, "evidence_ratio", "escalation", "0") > 1
    assert value_of(found, "stability_index", "confidence", "0") == pytest.approx(0.88, abs=0.02)
    empty = list(drift_metrics({"topic": report_of(tmp_path, {})}))
    assert [len(metric.samples) for metric in empty] == [len(ROWS), 0, len(ROWS)]
    assert value_of(empty, "alarm", "length", "") == 0


def value_of(found: list[Metric], name: str, quantity: str, step: str) -> float:
    """One sample."""
    labels = {"task": "topic", "quantity": quantity, "step": step}
    [value] = [
        sample.value
        for metric in found
        for sample in metric.samples
        if sample.name == f"smallfirst_drift_{name}" and sample.labels == labels
    ]
    return value


def test_as_many_periods_are_read_as_are_kept() -> None:
    """The oldest first, none twice: days and then the last hours, over midnight."""
    periods = kept_periods(1_800_000_000_000)
    days = [each for each in periods if not each.hour]
    hours = [each for each in periods if each.hour]
    assert (len(set(days)), len(set(hours))) == (KEPT_DAYS, KEPT_HOURS)
    assert [*days, *hours] == [*sorted(days), *sorted(hours)]
    assert str(days[-1]) == "2027-01-15"
    assert (str(hours[0]), str(hours[-1])) == ("2027-01-14 09:00", "2027-01-15 08:00")


def test_a_change_of_this_hour_is_named_by_it(tmp_path: Path) -> None:
    """The day's many jobs hide it; the hour's bets do not."""
    path, promise = calibrated(tmp_path)
    now = datetime.now(UTC)
    odd = {("length", None): {"2048": 500}}
    whole_day = {("length", None): {"64": 150_000, "128": 350_000, "2048": 500}}
    this_hour = Period(f"{now:%Y-%m-%d}", f"{now:%H}")
    seen = {Period(this_hour.date): day_of(promise, whole_day), this_hour: day_of(promise, odd)}
    length = drift_reports(load_catalogue(path), seen)["topic"].quantities[0].judged
    assert length.state is DriftState.DRIFTED
    assert length.since == str(this_hour)
    assert length.num_jobs == 500
