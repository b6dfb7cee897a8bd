"""Desks die while people answer blind: each check is recorded once, and as it was confirmed."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis
from tests.support.audits import CHECKS, KEYS, order_of, settled
from tests.support.desks import folder_for, start_desk
from tests.support.scripted_reviewers import reviewers
from tests.support.waiting import WaitUntil

from smallfirst.ledger.checks import CheckRecord
from smallfirst.local.redis_server import RedisServer
from smallfirst_desk.users import read_users

pytestmark = pytest.mark.timeout(300)

log = structlog.get_logger()

NUM_CHECKS = 40
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade: [{rule: {patterns: [{label: a, pattern: text}]}}]
    audit: 1.0
"""


def records_of(redis: Any) -> list[CheckRecord]:
    """How checks ended, without what was written while another person was asked."""
    rows = redis.xrange(KEYS.audited("topic"))
    ended = [fields[b"record"] for _, fields in rows if b"record" in fields]
    return list(map(CheckRecord.model_validate_json, ended))


def ends_as_it_should(record: CheckRecord) -> bool:
    """Whether as many different people looked as its ending takes."""
    differ = [each.is_wrong for each in record.answers]
    is_each_once = len({each.person for each in record.answers}) == len(differ)
    endings = {
        False: [[False], [True, False], [True, True, False]],
        True: [[True, True], [True, True, True]],
    }
    return is_each_once and differ in endings[record.is_wrong]


def test_each_check_is_recorded_once_whatever_dies(tmp_path: Path, wait_until: WaitUntil) -> None:
    """Two desks at once, one killed three times; nothing is lost, doubled, or changed."""
    seed = random.randrange(1_000_000)
    log.info("seed", seed=seed)
    folder_for(tmp_path, {f"r{n}": ("topic",) for n in range(3)}, catalogue=CATALOGUE)
    more = {"desk_undo_seconds": 1, "desk_lease_seconds": 2, "desk_answers": tmp_path / "answers"}
    with RedisServer(tmp_path / "redis", persistent=False) as server:
        redis: Any = Redis.from_url(server.url)
        settled(redis, NUM_CHECKS, order_of())
        ids = {e.decode(): json.loads(f[b"job"])["id"] for e, f in redis.xrange(CHECKS)}
        steady = start_desk(server.url, tmp_path, **more)
        desks = [start_desk(server.url, tmp_path, **more)]
        try:
            with reviewers(lambda: desks[-1].url, seed, task="@blind.topic") as people:
                for least in (8, 16, 24):
                    wait_until(
                        lambda least=least: redis.xlen(KEYS.audited("topic")) >= least,  # type: ignore[misc]
                        description="some are recorded",
                        timeout=60,
                    )
                    desks[-1].kill()
                    desks.append(start_desk(server.url, tmp_path, **more))
                wait_until(lambda: not redis.xlen(CHECKS), description="all ended", timeout=120)
            records = records_of(redis)
            assert sorted(each.check for each in records) == sorted(ids)
            assert all(ends_as_it_should(each) for each in records)
            users = read_users(tmp_path / "users.yaml").users
            answers = {(each.check, a.person): a for each in records for a in each.answers}
            for number, person in enumerate(people):
                for entry, label in person.confirmed.items():
                    said = answers[entry, users[f"r{number}"].pseudonym]
                    assert said.is_wrong == (label != "a")
            lines = (tmp_path / "answers" / "topic.jsonl").read_text("utf-8").splitlines()
            rows = [json.loads(line) for line in lines]
            # A desk may die between a row and its record: then the row stands twice.
            assert Counter(row["id"] for row in rows).keys() == set(ids.values())
        finally:
            for desk in (steady, *desks):
                if desk.process.poll() is None:
                    desk.process.terminate()
                desk.process.wait(20)
            redis.close()
