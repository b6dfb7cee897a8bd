"""A router is killed or paused at exact points: no job is lost, none has two results.

The router is a real process, its peer is stepped here, and the worker is the real ledger's.
"""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.invariants import Stopwatch, assert_unchanged, digests, lasting_keys, remains
from tests.support.notices import Notices, listening
from tests.support.shapes import result_for

from smallfirst.jobs import Job, Priority
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Finish, Settled
from smallfirst.settings import RouterSettings
from smallfirst_router.__main__ import build
from smallfirst_router.router import Router
from smallfirst_workers.leases import LeaseKeeper

pytestmark = pytest.mark.timeout(180)

WaitUntil = Callable[..., None]
KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
IDS = [f"j-{number}" for number in range(20)]
LEASE = timedelta(seconds=1)
CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, batch_jobs: 4}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.8}]
"""
POINTS = [
    "after XREADGROUP {sf:0}:jobs:default",
    "after read {sf:0}:jobs:default",
    "before settle {sf:0}:jobs:default",
    "after settle {sf:0}:jobs:default",
    "after read {sf:0}:backlog:cpu:bulk",
    "after hand_over {sf:0}:backlog:cpu:bulk",
    "before LPUSH sf:celery:cpu",
    "after LPUSH sf:celery:cpu",
    "after recover {sf:0}:jobs:default",
    "after recover {sf:0}:backlog:cpu:bulk",
]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue with one task for a model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


class Pool:
    """A pool's one worker: it beats, claims what Celery's list names, and settles it."""

    def __init__(self, redis: Any, notices: Notices) -> None:
        self._redis = redis
        self.notices = notices
        self._ledger = Ledger(redis, KEYS, "worker-a")
        self.holder = LeaseKeeper(self._ledger, "cpu", lease=LEASE, beat=LEASE / 3)
        self.settled = Settled()

    def work(self) -> None:
        """Run every batch that is published, each twice: a doubled message does no harm."""
        while raw := self._redis.rpop(KEYS.queue("cpu", Priority.BULK)):
            body = json.loads(base64.b64decode(json.loads(raw)["body"]))
            message = BatchMessage.model_validate(body[0][0], strict=False)
            for _ in range(2):
                self._run(message)

    def _run(self, message: BatchMessage) -> None:
        _, claimed = self._ledger.claim(BULK, message.entries["bulk"], starts=message.starts)
        rows = [
            Finish(
                entry=found.entry,
                producer="default",
                result=result_for(
                    found.fields[b"id"].decode(), metadata={"nonce": os.urandom(4).hex()}
                ),
                reply_to="me",
            )
            for found in claimed
        ]
        self.settled += self._ledger.settle(BULK, POOL_GROUP, rows)


@pytest.fixture
def pool(redis: Any) -> Iterator[Pool]:
    """A worker that lives."""
    with listening(redis) as notices:
        pool = Pool(redis, notices)
        pool.holder.open()
        yield pool
        pool.holder.leave()
        pool.holder.close()


def submit(redis: Any) -> None:
    """Submit the jobs."""
    for job_id in IDS:
        job = Job(id=job_id, task="topic", text="hello", reply_to="me")
        redis.xadd(OWN.jobs, {"job": job.model_dump_json()})


@contextmanager
def struck_router(
    redis_url: str, catalogue: Path, point: str, number: signal.Signals
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a router that sends itself this signal at this point."""
    environment = {
        **os.environ,
        "SMALLFIRST_REDIS_URL": redis_url,
        "SMALLFIRST_CATALOGUE": str(catalogue),
        "SMALLFIRST_LEASE_SECONDS": str(LEASE.total_seconds()),
        "STRIKE": point,
        "STRIKE_SIGNAL": str(int(number)),
    }
    arguments = [sys.executable, "-m", "tests.support.router_to_strike"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(arguments, env=environment, cwd=root) as process:
        yield process
        process.kill()


def peer_of(redis_url: str, catalogue: Path) -> Router:
    """A second replica, stepped by the test."""
    settings = RouterSettings.model_validate(
        {"redis_url": redis_url, "catalogue": catalogue, "lease_seconds": LEASE.total_seconds()}
    )
    router = build(settings)
    router.open()
    return router


def answered(redis: Any, peer: Router, pool: Pool) -> Callable[[], bool]:
    """Step the peer and the worker; true when every job has its result and nothing is left."""

    def is_done() -> bool:
        peer.step()
        pool.work()
        return len(digests(redis, IDS)) == len(IDS) and not remains(redis, ["cpu"])

    return is_done


def assert_once(redis: Any, pool: Pool) -> None:
    """One result and one notice for each job, and no key that lasts."""
    assert (pool.settled.results, pool.settled.fenced) == (len(IDS), 0)
    assert sorted(pool.notices.of("me")) == sorted(IDS)
    assert lasting_keys(redis) == []


def leave_submissions(redis: Any) -> None:
    """What a dead router had read."""
    dead = Ledger(redis, KEYS, "dead")
    dead.open([OWN.jobs], ROUTER_GROUP)
    read = dead.read([OWN.jobs], ROUTER_GROUP, count=len(IDS))
    entries = [entry.entry for entry in read]
    redis.xclaim(OWN.jobs, ROUTER_GROUP, "dead", 0, entries, idle=60_000, justid=True)


def leave_work(redis: Any, peer: Router) -> None:
    """What a dead worker had in hand."""
    peer.step()
    peer.close()
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    Ledger(redis, KEYS, "dead").read([BULK], POOL_GROUP, count=len(IDS))
    entries = [entry for entry, _ in redis.xrange(BULK)]
    redis.xclaim(BULK, POOL_GROUP, "dead", 0, entries, idle=60_000, justid=True)


@pytest.mark.parametrize("point", POINTS)
def test_a_router_killed_at_a_point_loses_and_doubles_nothing(
    redis: Any, redis_url: str, catalogue: Path, pool: Pool, point: str, wait_until: WaitUntil
) -> None:
    """Whatever it had read, parked, queued, published or recovered, its peer brings to an end."""
    submit(redis)
    if "recover {sf:0}:jobs:default" in point:
        leave_submissions(redis)
    if "recover {sf:0}:backlog" in point:
        leave_work(redis, peer_of(redis_url, catalogue))
    with struck_router(redis_url, catalogue, point, signal.SIGKILL) as process:
        assert process.wait(60) == -signal.SIGKILL
    watch = Stopwatch(f"router killed {point}")
    is_done = answered(redis, peer_of(redis_url, catalogue), pool)
    wait_until(is_done, description="every job has its result", timeout=60)
    watch.report()
    assert_once(redis, pool)


@pytest.mark.parametrize(
    "point",
    [
        "before settle {sf:0}:jobs:default",
        "before hand_over {sf:0}:backlog",
        "before LPUSH sf:celery:cpu",
    ],
)
def test_a_router_that_was_paused_does_no_harm_when_it_goes_on(
    redis: Any, redis_url: str, catalogue: Path, pool: Pool, point: str, wait_until: WaitUntil
) -> None:
    """Its leases went to its peer meanwhile; what it then says or publishes changes nothing."""
    submit(redis)
    with struck_router(redis_url, catalogue, point, signal.SIGSTOP) as process:
        pid = process.pid
        wait_until(lambda: is_paused(pid), description="the router pauses", timeout=60)
        is_done = answered(redis, peer_of(redis_url, catalogue), pool)
        wait_until(is_done, description="every job has its result", timeout=60)
        before = digests(redis, IDS)
        os.kill(pid, signal.SIGCONT)
        process.terminate()
        assert process.wait(60) == 0
    pool.work()
    assert_unchanged(redis, before)
    assert remains(redis, ["cpu"]) == {}
    assert_once(redis, pool)


def is_paused(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
