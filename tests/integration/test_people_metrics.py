"""What the exporter tells of the jobs that wait for people: in whose hands, how long, till when."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis
from tests.support.desks import CATALOGUE
from tests.support.reviews import (
    KEYS,
    decision,
    leased,
    make_final,
    review_of,
    run_out,
    topic,
    wait_for_people,
)
from yaml import safe_load

from smallfirst.catalogue import Catalogue
from smallfirst.exporter import Fleet
from smallfirst.jobs import Job
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.people_loads import LOOKED_AT
from smallfirst.ledger.slices import Slice

Value = Callable[..., float | None]


@pytest.fixture
def registry(redis: Redis) -> CollectorRegistry:
    """What a scrape reads, of a fleet whose tasks all ask people."""
    registry = CollectorRegistry(auto_describe=False)
    catalogue = Catalogue.model_validate(safe_load(CATALOGUE))
    slices = [Slice(redis, KEYS), Slice(redis, Keys("sf", 1))]
    registry.register(Fleet(slices, CeleryLists(redis, KEYS), lambda: catalogue))
    return registry


@pytest.fixture
def value(registry: CollectorRegistry) -> Value:
    """Read one sample of a task's."""

    def sample(name: str, task: str = "topic", **labels: str) -> float | None:
        return registry.get_sample_value(f"smallfirst_people_{name}", {"task": task, **labels})

    return sample


def states(value: Value, task: str = "topic") -> list[float | None]:
    """The jobs that wait, are in hand, and are decided."""
    return [value("jobs", task, state=state) for state in ("waiting", "in_hand", "decided")]


def test_of_nothing_it_tells_nothing(value: Value) -> None:
    """Before any job came, counts are nought, and no end is told that there is not."""
    assert states(value) == [0, 0, 0]
    assert value("oldest_job_age_seconds") == 0
    assert value("first_end_seconds") is None
    assert value("least_left_ratio") is None


def test_a_job_is_counted_in_one_state_at_a_time(redis: Any, value: Value) -> None:
    """It waits; a person has it; is silent for too long; it is decided; it has ended."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    review = review_of(redis)
    assert states(value) == [2, 0, 0]
    mine = leased(review, "ann")
    assert states(value) == [1, 1, 0]
    run_out(redis, mine.place.entry)
    assert states(value) == [2, 0, 0]
    mine = leased(review, "ben")
    review.decide(mine.held, mine.place, decision("ben", mine))
    assert states(value) == [1, 0, 1]
    make_final(redis)
    review.settle_decided()
    assert states(value) == [1, 0, 0]


def test_the_end_is_that_of_what_nobody_has_in_hand(redis: Any, value: Value) -> None:
    """Whoever takes the most urgent one has it told no longer; the next one's end is."""
    waits = {"soon": timedelta(minutes=5), "later": timedelta(minutes=50)}
    wait_for_people(redis, topic("later"), topic("soon"), waits=waits)
    assert value("first_end_seconds") == pytest.approx(300, abs=30)
    leased(review_of(redis), "ann")
    assert value("first_end_seconds") == pytest.approx(3000, abs=30)
    leased(review_of(redis), "ben")
    assert value("first_end_seconds") is None


def test_what_is_left_is_a_share_of_each_jobs_own_wait(redis: Any, value: Value) -> None:
    """A short wait that has just begun is no cause for alarm; a long one at its end is."""
    wait_for_people(redis, topic("short"), waits={"short": timedelta(seconds=60)})
    assert (value("least_left_ratio") or 0) > 0.5
    now_ms = review_of(redis).now_ms()
    # As if it had come an hour ago, and had five minutes left.
    redis.zadd(KEYS.review("topic"), {f"bulk:{now_ms - 3_600_000}-0": now_ms + 300_000})
    assert value("least_left_ratio") == pytest.approx(300 / 3900, abs=0.02)
    assert value("oldest_job_age_seconds") == pytest.approx(3600, abs=30)


def test_a_wait_that_is_over_is_told_as_such(redis: Any, value: Value) -> None:
    """Where no router ends it, the time is negative, and nothing is left."""
    now_ms = review_of(redis).now_ms()
    redis.zadd(KEYS.review("topic"), {f"bulk:{now_ms - 10_000}-0": now_ms - 5_000})
    redis.expire(KEYS.review("topic"), 60)
    assert (value("first_end_seconds") or 0) < 0
    assert (value("least_left_ratio") or 0) < 0


def test_slices_are_one_fleet(redis: Any, value: Value) -> None:
    """Counts are sums; the oldest and the first to end are those of all slices."""
    wait_for_people(redis, topic("here"))
    other = {"there": timedelta(minutes=5)}
    wait_for_people(redis, topic("there"), keys=Keys("sf", 1), waits=other)
    assert states(value) == [2, 0, 0]
    assert value("first_end_seconds") == pytest.approx(300, abs=30)


def test_tasks_bound_the_series(redis: Any, registry: CollectorRegistry) -> None:
    """However many jobs and people there are, and whatever is no task of the catalogue."""
    wait_for_people(redis, *(topic(f"a{n}") for n in range(20)), Job(task="gone", text="x"))
    for person in range(10):
        leased(review_of(redis), f"person-{person}")
    samples = [
        sample
        for family in registry.collect()
        if family.name.startswith("smallfirst_people_")
        for sample in family.samples
    ]
    assert {sample.labels["task"] for sample in samples} == set(safe_load(CATALOGUE)["tasks"])
    assert len(samples) <= 6 * len(safe_load(CATALOGUE)["tasks"])
    assert not [sample for sample in samples if "person" in str(sample.labels.values())]


def test_a_look_costs_no_more_for_more_jobs(redis: Any, value: Value) -> None:
    """Beyond a thousand the counts are still right, and those that end first are looked at."""
    now_ms = review_of(redis).now_ms()
    many = {f"bulk:{now_ms - n}-0": now_ms + 1000 * n for n in range(1, LOOKED_AT * 3)}
    redis.zadd(KEYS.review("topic"), many)
    redis.expire(KEYS.review("topic"), 60)
    assert value("jobs", state="waiting") == len(many)
    assert value("first_end_seconds") == pytest.approx(1, abs=5)
    # The thousandth by its end came a second ago.
    assert (value("oldest_job_age_seconds") or 0) < 30
