"""Desks and Redis die while people answer: each job has one result, and it is the one confirmed."""

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis
from tests.support.desks import ALL, RunningDesk, folder_for, start_desk
from tests.support.reviews import KEYS, OWN, STREAM, topic, wait_for_people
from tests.support.scripted_reviewers import Reviewer, reviewers
from tests.support.waiting import WaitUntil

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Result
from smallfirst.local.redis_server import RedisServer
from smallfirst_desk.users import read_users

pytestmark = pytest.mark.timeout(300)

log = structlog.get_logger()

NUM_JOBS = 60
#: A lease is short, so that what a dead desk's people had in hand is others' soon.
SETTINGS = {"desk_undo_seconds": 1, "desk_lease_seconds": 2}


def label_of(redis: Any, job_id: str) -> str:
    """The label of a job's result."""
    answer = Result.model_validate_json(redis.get(OWN.result(job_id))).answer
    assert isinstance(answer, LabelAnswer)
    return answer.label


def num_ended(redis: Any) -> int:
    """How many jobs have their result."""
    return int(redis.exists(*(OWN.result(f"a{n}") for n in range(NUM_JOBS))))


def all_stand_in_their_trails(redis: Any, people: list[Reviewer], names: list[str]) -> bool:
    """Whether each answer that was confirmed is in its job's trail, and the rule has decided."""
    said: dict[tuple[str, str], str] = {}
    for number in range(NUM_JOBS):
        result = Result.model_validate_json(redis.get(OWN.result(f"a{number}")))
        trail = [*result.trail[:-1], result.trail[-1].model_copy(update={"answer": result.answer})]
        labels = [a.answer.label for a in trail if isinstance(a.answer, LabelAnswer)]
        assert len({attempt.revision for attempt in trail}) == len(labels) == len(trail)
        assert labels.count(labels[-1]) == 2 or len(labels) == 3
        said |= {(f"a{number}", a.revision): each for a, each in zip(trail, labels, strict=True)}
    return all(
        said[job_id, name] == label
        for person, name in zip(people, names, strict=True)
        for job_id, label in person.confirmed.items()
    )


@pytest.mark.parametrize(
    ("struck", "reviewers_wanted"), [("desk", 1), ("redis", 1), ("desk", 2), ("redis", 2)]
)
def test_what_was_confirmed_is_the_one_result(
    tmp_path: Path, wait_until: WaitUntil, struck: str, reviewers_wanted: int
) -> None:
    """Of 60 jobs, three people and three kills none is lost, doubled, or answered otherwise.

    Nor where two people answer each, and a third where they differ.
    """
    seed = random.randrange(1_000_000)
    log.info("seed", seed=seed)
    folder_for(tmp_path, {f"r{n}": ALL for n in range(3)})
    server = RedisServer.start(tmp_path / "redis")
    desks: list[RunningDesk] = []
    try:
        with Redis.from_url(server.url) as redis:
            jobs = [topic(f"a{n}") for n in range(NUM_JOBS)]
            wait_for_people(redis, *jobs, reviewers=reviewers_wanted)
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
            confirmed = {name: each for person in people for name, each in person.confirmed.items()}
            assert confirmed
            if reviewers_wanted == 1:
                assert all(label_of(redis, job_id) == label for job_id, label in confirmed.items())
                return
            users = read_users(tmp_path / "users.yaml").users
            names = [users[f"r{n}"].pseudonym for n in range(len(people))]
            assert all_stand_in_their_trails(redis, people, names)
            assert redis.xlen(KEYS.pairs("topic")) == NUM_JOBS
    finally:
        for desk in desks:
            if desk.process.poll() is None:
                desk.process.terminate()
            desk.process.wait(20)
        server.stop()
