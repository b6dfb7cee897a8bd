"""A router, a desk and Redis die beside each other, while jobs escalate and people answer.

Each job that was confirmed to its producer has exactly one result, and it is what the person was
told.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis
from tests.support.desks import RunningDesk, folder_for, start_desk
from tests.support.invariants import assert_unchanged, digests, lasting_keys, remains
from tests.support.redis_settings import write_before_answering
from tests.support.reviews import KEYS
from tests.support.scripted_reviewers import reviewers
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Result, Status, Tier
from smallfirst.local.redis_server import RedisServer

pytestmark = pytest.mark.timeout(400)

log = structlog.get_logger()

#: A rule is asked before any person, and finds its words in no text of these.
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade:
      - {rule: {patterns: [{label: a, pattern: 'found by the rule'}]}, accept: always}
      - person: {wait: 1h}
"""
ROUNDS = ("router", "desk", "redis", "router and desk", "all")
AT_ONCE = 12
NUM_JOBS = AT_ONCE * (len(ROUNDS) + 1)
SETTINGS = {"desk_undo_seconds": 1, "desk_lease_seconds": 2}


class PeopleFleet:
    """A Redis, a router and a desk, each of which may die and come again.

    Args:
        folder: Where all of it lies.
        wait_until: Of the tests.
    """

    def __init__(self, folder: Path, wait_until: WaitUntil) -> None:
        self._folder = folder_for(
            folder, {f"r{n}": ["topic"] for n in range(3)}, catalogue=CATALOGUE
        )
        self._wait_until = wait_until
        self.redis_server = RedisServer.start(folder / "redis")
        write_before_answering(self.redis_server.url)
        self.router = self._start_router()
        self.desk: RunningDesk = start_desk(self.url, self._folder, **SETTINGS)

    @property
    def url(self) -> str:
        """Where Redis is."""
        return self.redis_server.url

    def _start_router(self) -> "subprocess.Popen[bytes]":
        settings = {
            "SMALLFIRST_REDIS_URL": self.url,
            "SMALLFIRST_CATALOGUE": str(self._folder / "catalogue.yaml"),
            "SMALLFIRST_LEASE_SECONDS": "2",
            "SMALLFIRST_HEARTBEAT_SECONDS": "0.5",
        }
        with (self._folder / "router.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "smallfirst_router"],
                env={**os.environ, **settings},
                stdout=output,
                stderr=output,
            )

    def strike(self, what: str) -> None:
        """Kill parts in the midst of whatever they do, and start them again."""
        if what in {"router", "router and desk", "all"}:
            self.router.kill()
            self.router.wait(10)
        if what in {"redis", "all"}:
            server = self.redis_server.child
            os.kill(server.pid, signal.SIGKILL)
            self._wait_until(lambda: server.exit_code() is not None, description="Redis is dead")
            self.redis_server = RedisServer.start(self._folder / "redis")
        if what in {"desk", "router and desk", "all"}:
            self.desk.kill()
            self.desk = start_desk(self.url, self._folder, **SETTINGS)
        if self.router.poll() is not None:
            self.router = self._start_router()

    def stop(self) -> None:
        """End everything."""
        for process in (self.router, self.desk.process):
            if process.poll() is None:
                process.terminate()
            process.wait(20)
        self.redis_server.stop()


@contextmanager
def fleet_in(folder: Path, wait_until: WaitUntil) -> Iterator[PeopleFleet]:
    """Run a fleet as long as the block does."""
    fleet = PeopleFleet(folder, wait_until)
    try:
        yield fleet
    finally:
        fleet.stop()


def ids_of(round_number: int) -> list[str]:
    """The jobs of one round."""
    return [f"a{round_number}-{n}" for n in range(AT_ONCE)]


def submit(fleet: PeopleFleet, round_number: int) -> None:
    """Submit a round's jobs, all of which are confirmed."""
    with Client(fleet.url) as client:
        client.submit_many(Job(id=name, task="topic", text=name) for name in ids_of(round_number))


def test_a_job_of_people_ends_once_whoever_dies(tmp_path: Path, wait_until: WaitUntil) -> None:
    """Of 72 jobs, in five rounds of kills, none is lost, doubled, or answered otherwise."""
    seed = random.randrange(1_000_000)
    log.info("seed", seed=seed)
    seen: dict[str, str] = {}
    with ExitStack() as running:
        fleet = running.enter_context(fleet_in(tmp_path, wait_until))
        people = running.enter_context(reviewers(lambda: fleet.desk.url, seed))
        for number, what in enumerate(ROUNDS):
            # They are on their way, unread, parked, or in a person's hands.
            submit(fleet, number)
            wait_until(
                lambda least=AT_ONCE * number + 2: len(ended(fleet)) >= least,  # type: ignore[misc]
                description=f"some are answered before {what} dies",
                timeout=90,
            )
            seen |= ended(fleet)
            fleet.strike(what)
            assert_what_was_seen(fleet, seen)
        submit(fleet, len(ROUNDS))
        wait_until(lambda: len(ended(fleet)) == NUM_JOBS, description="all ended", timeout=120)
        with Redis.from_url(fleet.url) as redis:
            wait_until(
                lambda: not redis.exists(KEYS.review("topic"), KEYS.decisions, KEYS.decided),
                description="nothing is left of the decisions",
            )
            assert_unchanged(redis, seen)
            assert not remains(redis, ["@people.topic"])
            assert_answered_as_told(
                redis, {k: v for each in people for k, v in each.confirmed.items()}
            )
            assert not lasting_keys(redis)


def ended(fleet: PeopleFleet) -> dict[str, str]:
    """The digest of each result that there is, by id."""
    names = [name for number in range(len(ROUNDS) + 1) for name in ids_of(number)]
    with Redis.from_url(fleet.url) as redis:
        return digests(redis, names)


def assert_what_was_seen(fleet: PeopleFleet, seen: dict[str, str]) -> None:
    """No result that was there before a kill is another after it."""
    with Redis.from_url(fleet.url) as redis:
        assert_unchanged(redis, seen)


def assert_answered_as_told(redis: Any, confirmed: dict[str, str]) -> None:
    """Each result is a person's, after the rule was asked; what was confirmed is what it says."""
    assert confirmed
    for number in range(len(ROUNDS) + 1):
        for name in ids_of(number):
            raw = redis.get(KEYS.of_producer("default").result(name))
            result = Result.model_validate_json(raw)
            assert result.status is Status.ANSWERED
            assert [each.tier for each in result.trail] == [Tier.RULE, Tier.HUMAN]
            assert isinstance(result.answer, LabelAnswer)
            assert name not in confirmed or result.answer.label == confirmed[name]
