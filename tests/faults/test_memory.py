"""A router in a small container: whatever producers write, it ends all of it in 512 MiB.

The routers are real processes. A cluster kills whoever grows beyond its limit, so what is checked
is the most that one ever had in memory.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Job, Priority, Result, Status
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger

pytestmark = pytest.mark.timeout(180)

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
LIMIT_KB = 512 * 1024
MEGABYTE = 1_000_000
#: Names the entries of a stream. One by one: a quarter of a gigabyte at once takes Redis long, too.
ENTRIES = """
local entries, after = {}, '-'
while true do
  local found = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', 1)[1]
  if not found then return entries end
  entries[#entries + 1] = found[1]
  after = '(' .. found[1]
end
"""
CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  ids:
    kind: tag
    labels: {ssn: a, card: a, iban: a, email: a, phone: a}
    cascade: [{rule: {find: [ssn, card, iban, email, phone]}, accept: always}]
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.8}]
"""


class RouterProcess:
    """One router, and the most memory that it ever had."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def peak_kb(self) -> int:
        """Its largest resident set so far; fails where it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [each for each in status.splitlines() if each.startswith("VmHWM")]
        return int(line.split()[1])


@contextmanager
def router_of(redis_url: str, folder: Path, name: str = "router") -> Iterator[RouterProcess]:
    """Run a router with leases of a second."""
    catalogue = folder / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    environment = {
        **os.environ,
        "SMALLFIRST_REDIS_URL": redis_url,
        "SMALLFIRST_CATALOGUE": str(catalogue),
        "SMALLFIRST_LEASE_SECONDS": "1",
        "SMALLFIRST_LOG_FORMAT": "json",
    }
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "smallfirst_router"]
    with (
        log.open("wb") as words,
        subprocess.Popen(command, env=environment, stdout=words, stderr=words) as process,
    ):
        try:
            yield RouterProcess(process, log)
        finally:
            process.kill()


def submit(redis: Any, job_id: str, task: str, text: str) -> None:
    """Submit one job."""
    redis.xadd(OWN.jobs, {"job": json.dumps({"id": job_id, "task": task, "text": text})})


def num_results(redis: Any) -> int:
    """How many jobs have ended."""
    return len(list(redis.scan_iter(match=OWN.result("*"), count=1000)))


def events(router: RouterProcess, name: str) -> list[dict[str, Any]]:
    """What it logged under this name."""
    lines = [json.loads(line) for line in router.log.read_text().splitlines()]
    return [line for line in lines if line["event"] == name]


def num_recovered(router: RouterProcess) -> int:
    """How many entries it says it has recovered."""
    return sum(event["num_entries"] for event in events(router, "entries.recovered"))


def leave_to_the_dead(redis: Any) -> None:
    """Let a router have held the whole backlog, and have died a minute ago."""
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    entries = redis.eval(ENTRIES, 1, BULK)
    redis.xgroup_setid(BULK, POOL_GROUP, entries[-1])
    redis.xclaim(BULK, POOL_GROUP, "dead", 0, entries, idle=60_000, justid=True, force=True)


def test_documents_that_take_longer_than_a_lease(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Two routers share them and end all, each once, and say what would help."""
    document = " ".join(f"{n % 900 + 100}-{n % 9000 + 1000}" for n in range(6_000))
    for number in range(80):
        submit(redis, f"d-{number}", "ids", document)
    with ExitStack() as stack:
        routers = [
            stack.enter_context(router_of(redis_url, tmp_path, name)) for name in ("r1", "r2")
        ]
        wait_until(lambda: num_results(redis) == 80, description="all have ended", timeout=90)
        assert max(router.peak_kb for router in routers) < LIMIT_KB
        assert redis.xlen(OWN.jobs) == 0
        assert [len(events(router, "triage.slow")) for router in routers] in (
            [1, 1],
            [0, 1],
            [1, 0],
        )


def test_files_that_somebody_sent_by_mistake(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Each is refused by its size, and the job behind them is answered."""
    for number in range(20):
        submit(redis, f"big-{number}", "ids", "x" * 20 * MEGABYTE)
    submit(redis, "good", "ids", "card 4111 1111 1111 1111")
    with router_of(redis_url, tmp_path) as router:
        wait_until(lambda: redis.exists(OWN.result("good")), description="answered", timeout=60)
        assert router.peak_kb < LIMIT_KB
    statuses = {
        Result.model_validate_json(redis.get(OWN.result(f"big-{number}"))).status
        for number in range(20)
    }
    assert statuses == {Status.REFUSED}
    assert redis.xlen(KEYS.dead) == 20
    assert redis.xlen(OWN.jobs) == 0


def test_jobs_as_large_as_they_may_be(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """They are parked, formed into batches, and recovered from a router that died."""
    # In JSON each of these letters is six bytes.
    text = "é" * 174_000
    num_jobs = 250
    for number in range(num_jobs):
        submit(redis, f"j-{number}", "topic", text)
    with router_of(redis_url, tmp_path, "first") as first:
        wait_until(lambda: redis.xlen(OWN.jobs) == 0, description="all are parked", timeout=90)
        Ledger(redis, KEYS, "cpu/host/1/w").lives.beat("cpu")
        wait_until(
            lambda: redis.llen(KEYS.queue("cpu", Priority.BULK)),
            description="batches leave",
            timeout=30,
        )
        assert first.peak_kb < LIMIT_KB
    leave_to_the_dead(redis)
    with router_of(redis_url, tmp_path, "second") as second:
        wait_until(
            lambda: num_recovered(second) >= num_jobs,
            description="all are recovered",
            timeout=60,
        )
        assert second.peak_kb < LIMIT_KB
    assert redis.xlen(BULK) == num_jobs
    assert Job.model_validate_json(redis.xrange(BULK, count=1)[0][1][b"job"]).id == "j-0"
