"""With the settings as they come, a killed worker's jobs start elsewhere within ten seconds."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.invariants import Stopwatch
from tests.support.one_task import CATALOGUE
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Job, Priority
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.settings import RouterSettings, WorkerSettings
from smallfirst_router.__main__ import build
from smallfirst_workers.leases import LeaseKeeper

pytestmark = pytest.mark.timeout(120)

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)


@pytest.mark.parametrize("state", ["in work", "not started"])
def test_a_killed_workers_jobs_start_elsewhere_within_ten_seconds(
    redis: Any, redis_url: str, tmp_path: Path, state: str, wait_until: WaitUntil
) -> None:
    """Killed just after it claimed, when its lease is longest; or with a message not yet begun."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    lease = timedelta(seconds=WorkerSettings(pool="cpu").lease_seconds)
    beat = timedelta(seconds=WorkerSettings(pool="cpu").heartbeat_seconds)
    router = build(RouterSettings.model_validate({"redis_url": redis_url, "catalogue": catalogue}))
    router.open()
    job = Job(id="a", task="topic", text="poison")
    redis.xadd(OWN.jobs, {"job": job.model_dump_json()})
    dead = Ledger(redis, KEYS, "cpu/h/1/dead")
    dead.lives.beat("cpu")
    router.step()
    message = redis.rpop(KEYS.queue("cpu", Priority.BULK))
    if state == "in work":
        _claim(dead, message)
    else:
        redis.hset(KEYS.unacked("cpu"), "tag", message)
    watch = Stopwatch(f"job of a killed worker, {state}")

    living = Ledger(redis, KEYS, "cpu/h/2/living")
    holder = LeaseKeeper(living, "cpu", lease=lease, beat=beat)
    holder.open()

    def is_begun() -> bool:
        router.step()
        raw = redis.rpop(KEYS.queue("cpu", Priority.BULK))
        return raw is not None and _claim(living, raw)

    wait_until(is_begun, description="the job starts elsewhere", timeout=60)
    seconds = watch.report()
    holder.close()
    assert lease.total_seconds() - 1 < seconds < 10


def _claim(worker: Ledger, raw: bytes) -> bool:
    """Begin what a message brings; whether that was any."""
    body = json.loads(base64.b64decode(json.loads(raw)["body"]))
    message = BatchMessage.model_validate(body[0][0], strict=False)
    return bool(worker.claim(BULK, message.entries["bulk"], starts=message.starts)[1])
