"""Desks and Redis die while people answer: each job has one result, and it is the one confirmed."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from redis import Redis
from tests.support.desks import ALL, Browser, RunningDesk, folder_for, start_desk
from tests.support.reviews import KEYS, OWN, STREAM, topic, wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Result
from smallfirst.local.redis_server import RedisServer

pytestmark = pytest.mark.timeout(300)

log = structlog.get_logger()

NUM_JOBS = 60
#: A lease is short, so that what a dead desk's people had in hand is others' soon.
SETTINGS = {"desk_undo_seconds": 1, "desk_lease_seconds": 2}


class Reviewer:
    """Somebody who answers whatever is next, in whatever way, until nothing waits.

    Args:
        name: To sign in with.
        url: Gives the desk's address of the moment.
        seed: Of the answers.
        task: Whose jobs are answered.
    """

    def __init__(self, name: str, url: Callable[[], str], seed: int, task: str = "topic") -> None:
        self._task = task
        self._name = name
        self._url = url
        self._random = random.Random(seed)
        #: What was confirmed: the last answer to each job's page.
        self.confirmed: dict[str, str] = {}
        self.is_told = threading.Event()
        self.thread = threading.Thread(target=self._work, name=name)

    def _work(self) -> None:
        while not self.is_told.is_set():
            try:
                self._answer_all()
            except (httpx.TransportError, AssertionError):
                # The desk died, or showed an error page: begin anew.
                self.is_told.wait(0.1)

    def _answer_all(self) -> None:
        browser = Browser(self._url())
        try:
            browser.sign_in(self._name)
            while not self.is_told.is_set():
                browser.begin(self._task)
                if "/jobs/" not in browser.path:
                    self.is_told.wait(0.1)
                    continue
                entry, label = browser.path, self._random.choice("abc")
                browser.answer(label=label)
                if "Answered." in browser.html:
                    self.confirmed[entry.rpartition("-bulk-")[2]] = label
        finally:
            browser.close()


@contextmanager
def reviewers(url: Callable[[], str], seed: int, task: str = "topic") -> Iterator[list[Reviewer]]:
    """Let people answer as long as the block runs."""
    people = [Reviewer(f"r{n}", url, seed + n, task) for n in range(3)]
    for person in people:
        person.thread.start()
    try:
        yield people
    finally:
        for person in people:
            person.is_told.set()
        for person in people:
            person.thread.join()


def label_of(redis: Any, job_id: str) -> str:
    """The label of a job's result."""
    answer = Result.model_validate_json(redis.get(OWN.result(job_id))).answer
    assert isinstance(answer, LabelAnswer)
    return answer.label


def num_ended(redis: Any) -> int:
    """How many jobs have their result."""
    return int(redis.exists(*(OWN.result(f"a{n}") for n in range(NUM_JOBS))))


@pytest.mark.parametrize("struck", ["desk", "redis"])
def test_what_was_confirmed_is_the_one_result(
    tmp_path: Path, wait_until: WaitUntil, struck: str
) -> None:
    """Of 60 jobs, three people and three kills none is lost, doubled, or answered otherwise."""
    seed = random.randrange(1_000_000)
    log.info("seed", seed=seed)
    folder_for(tmp_path, {f"r{n}": ALL for n in range(3)})
    server = RedisServer.start(tmp_path / "redis")
    desks: list[RunningDesk] = []
    try:
        with Redis.from_url(server.url) as redis:
            wait_for_people(redis, *(topic(f"a{n}") for n in range(NUM_JOBS)))
            entries = {e.decode(): f[b"id"].decode() for e, f in redis.xrange(STREAM)}
        desks.append(start_desk(server.url, tmp_path, **SETTINGS))
        with reviewers(lambda: desks[-1].url, seed) as people:
            for round_number in range(3):
                with Redis.from_url(server.url) as redis:
                    least = 12 * (round_number + 1)
                    wait_until(
                        lambda least=least, redis=redis: num_ended(redis) >= least,  # type: ignore[misc]
                        description="some are answered",
                        timeout=60,
                    )
                if struck == "desk":
                    desks[-1].kill()
                    desks.append(start_desk(server.url, tmp_path, **SETTINGS))
                else:
                    os.kill(server.child.pid, signal.SIGKILL)
                    wait_until(
                        lambda child=server.child: child.exit_code() is not None,  # type: ignore[misc]
                        description="Redis is dead",
                    )
                    server = RedisServer.start(tmp_path / "redis")
            with Redis.from_url(server.url) as redis:
                wait_until(
                    lambda: num_ended(redis) == NUM_JOBS, description="all ended", timeout=120
                )
        with Redis.from_url(server.url) as redis:
            assert not redis.xlen(STREAM)
            # A desk forgets what was decided once it is settled, or the one after it does.
            wait_until(
                lambda: not redis.exists(KEYS.review("topic"), KEYS.decisions, KEYS.decided),
                description="nothing is left of the decisions",
            )
            confirmed = {
                entry: each for person in people for entry, each in person.confirmed.items()
            }
            assert confirmed
            for entry, label in confirmed.items():
                assert label_of(redis, entries[entry]) == label
    finally:
        for desk in desks:
            if desk.process.poll() is None:
                desk.process.terminate()
            desk.process.wait(20)
        server.stop()
