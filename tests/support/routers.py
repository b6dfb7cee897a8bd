"""Routers that a test steps by hand, on a real Redis, and what they are given and leave behind."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallfirst.broker.celery_app import make_app
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Job, Priority, Result
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.seen import SeenJobs
from smallfirst.settings import RouterSettings
from smallfirst.telemetry.tracing import Tracing
from smallfirst_router.__main__ import Kept, build
from smallfirst_router.dispatch import Dispatch
from smallfirst_router.drift_judge import DriftJudge
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.publishing import Publisher
from smallfirst_router.router import Router
from smallfirst_router.router_time import RouterTime
from smallfirst_router.slice_routers import SliceRouters
from smallfirst_router.triage import Triage

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
#: Of an entry that waits in the queue: longer than a lease, shorter than the queue's patience.
LOST_MS = 30_000
CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, batch_jobs: 4}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  ids:
    kind: tag
    labels: {card: a card}
    cascade: [{rule: {find: [card]}, accept: always}]
  topic:
    kind: classify
    labels: {a: one, b: two}
    max_chars: 100
    cascade: [{model: minilm, accept: 0.8}]
"""


def router_of(
    redis: Any, redis_url: str, catalogue: Path, name: str = "r1", **more: object
) -> Router:
    """Put a router together that is stepped by the test."""
    values = {"redis_url": redis_url, "catalogue": catalogue, **more}
    settings = RouterSettings.model_validate(values)
    ledger = Ledger(redis, KEYS, f"@router/host/1/{name}", Bounds())
    watch = CatalogueWatch(catalogue)
    publisher = Publisher(make_app(settings, role="router"))
    metrics = RouterMetrics()
    triage = Triage(ledger, KEYS, settings, metrics, Tracing())
    dispatch = Dispatch(ledger, KEYS, CeleryLists(redis, KEYS), publisher, settings, metrics)
    router = Router(ledger, triage, dispatch, watch, settings, metrics)
    router.serve(watch.current)
    router.open()
    return router


def built_router(
    redis_url: str, catalogue: Path, judge: DriftJudge | None = None, **more: Any
) -> Router:
    """Open a router as it is run, that is stepped by the test; without a judge, others judge."""
    values = {"redis_url": redis_url, "catalogue": catalogue, **more}
    kept = Kept(RouterTime(0.0), SeenJobs(), judge) if judge else None
    router = build(RouterSettings.model_validate(values), kept=kept)
    router.open()
    return router


def hasty_router(redis_url: str, folder: Path, catalogue: str, **more: Any) -> Router:
    """Open a router as it is run, which soon takes over what nobody renews."""
    path = folder / "catalogue.yaml"
    path.write_text(catalogue, "utf-8")
    return built_router(redis_url, path, lease_seconds=1, **more)


def submit(redis: Any, *jobs: Job | str) -> None:
    """Submit jobs, or whatever else."""
    for job in jobs:
        redis.xadd(OWN.jobs, {"job": job if isinstance(job, str) else job.model_dump_json()})


def result_of(redis: Any, job_id: str) -> Result:
    """The result of a job that has one."""
    raw = redis.get(OWN.result(job_id))
    assert raw is not None, f"{job_id} has no result"
    return Result.model_validate_json(raw)


def topic(job_id: str, text: str = "hello", **more: object) -> Job:
    """A job for the model's task."""
    return Job.model_validate({"id": job_id, "task": "topic", "text": text, **more})


def published(redis: Any) -> list[dict[str, object]]:
    """The Celery messages on the pool's queues, as workers would take them."""
    lists = [redis.lrange(queue, 0, -1) for queue in KEYS.queues("cpu").values()]
    return [json.loads(raw) for messages in lists for raw in reversed(messages)]


def start_worker(redis: Any, name: str = "w1") -> Ledger:
    """Let a worker beat, so that the router sends work."""
    worker = Ledger(redis, KEYS, name)
    worker.lives.beat("cpu")
    return worker


@contextmanager
def running(router: Router | SliceRouters) -> Iterator[None]:
    """Let a router, or the routers of all slices, run on a thread."""
    thread = threading.Thread(target=router.run)
    thread.start()
    try:
        yield
    finally:
        router.stop()
        thread.join()
