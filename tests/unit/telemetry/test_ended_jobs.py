"""The jobs that a process ended, as Prometheus reads them."""

import threading
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from tests.support.shapes import MOMENT, result_for

from smallfirst.jobs import Status
from smallfirst.ledger.settlements import Cancel, Finish
from smallfirst.telemetry.ended_jobs import EndedJobs


@pytest.fixture
def registry() -> CollectorRegistry:
    """What is scraped."""
    return CollectorRegistry(auto_describe=False)


def ended(seconds: float = 0.0, status: Status = Status.ANSWERED, task: str | None = "t") -> Finish:
    """A job that ends so long after its submission."""
    at = MOMENT + timedelta(seconds=seconds)
    return Finish(
        entry="1-1", producer="default", result=result_for(status=status, task=task, finished_at=at)
    )


def test_each_bucket_holds_what_took_no_longer(registry: CollectorRegistry) -> None:
    """A bound belongs to its own bucket, and what is slower than all bounds to the last one."""
    EndedJobs(registry).count([ended(s) for s in (0.0, 1.0, 1.001, 299.0, 90_000.0)])

    def upto(bound: str) -> float | None:
        labels = {"task": "t", "status": "answered", "le": bound}
        return registry.get_sample_value("smallfirst_job_seconds_bucket", labels)

    assert [upto(bound) for bound in ("0.3", "1.0", "3.0", "300.0", "86400.0", "+Inf")] == [
        1,
        2,
        3,
        4,
        4,
        5,
    ]
    of_all = {"task": "t", "status": "answered"}
    assert registry.get_sample_value("smallfirst_job_seconds_count", of_all) == 5
    assert registry.get_sample_value("smallfirst_job_seconds_sum", of_all) == 90_301.001
    assert registry.get_sample_value("smallfirst_ended_jobs_total", of_all) == 5


def test_ways_to_end_are_told_apart(registry: CollectorRegistry) -> None:
    """By status; what names no task of the catalogue, and what ends no job, makes no series."""
    jobs = EndedJobs(registry)
    jobs.count([ended(1), ended(2, Status.FAILED), ended(task=None)])
    jobs.count([Cancel(entry="1-1", producer="default", result=result_for())])
    told = {
        (sample.labels["task"], sample.labels["status"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "smallfirst_ended_jobs_total"
    }
    assert told == {("t", "answered"): 1, ("t", "failed"): 1}


def test_what_failed_was_never_in_time(registry: CollectorRegistry) -> None:
    """However soon: it counts in the last bucket alone, and so as later than any bound."""
    EndedJobs(registry).count([ended(0.1, Status.FAILED), ended(0.1, Status.EXPIRED)])
    buckets = [
        (sample.labels["status"], sample.labels["le"], sample.value)
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "smallfirst_job_seconds_bucket"
    ]
    assert buckets == [("failed", "+Inf", 1), ("expired", "+Inf", 1)]


def test_a_clock_that_was_set_back_takes_no_time_away(registry: CollectorRegistry) -> None:
    """A sum never falls: Prometheus would take it for a process that began anew."""
    EndedJobs(registry).count([ended(2), ended(-7)])
    labels = {"task": "t", "status": "answered"}
    assert registry.get_sample_value("smallfirst_job_seconds_sum", labels) == 2
    fastest = {**labels, "le": "0.3"}
    assert registry.get_sample_value("smallfirst_job_seconds_bucket", fastest) == 1


def test_nothing_is_lost_between_threads(registry: CollectorRegistry) -> None:
    """A worker settles in several threads, and is scraped meanwhile."""
    jobs = EndedJobs(registry)
    rows = [ended() for _ in range(50)]

    def count() -> None:
        for _ in range(40):
            jobs.count(rows)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(registry.collect())
    labels = {"task": "t", "status": "answered"}
    assert registry.get_sample_value("smallfirst_job_seconds_count", labels) == 50 * 40 * 4
