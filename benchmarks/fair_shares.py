"""How even shares are, and how long a small producer waits, while others have floods waiting.

A hundred producers, whose backlogs grow geometrically from one job to 200,000, share a pool that is
far too small for them. Redis and the router are real; a worker stands in that takes as long as it
is told. Prints Markdown; `--write` also writes it to `benchmarks/results/fair_shares.md`.

    python benchmarks/fair_shares.py --write
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from provenance import provenance, write_result
from redis import Redis

from smallfirst import Client, Job, Priority, results
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Attempt, Outcome, Result, Tier
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import read_parked_job
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.producers import Producer, ProducerRegistry
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Finish
from smallfirst.local.redis_server import RedisServer
from smallfirst_router.fair_shares import jain_index

KEYS = Keys()
CATALOGUE = """
version: 1
pools: {{cpu: {{tier: slm, max_parameters: 50M, batch_jobs: {batch_jobs}}}}}
models: {{minilm: {{source: "bundled:minilm"}}}}
tasks:
  topic:
    kind: classify
    labels: {{a: one, b: two}}
    cascade: [{{model: minilm}}]
"""
#: Seconds of a pass besides its jobs', and of each job.
PASS_SECONDS, JOB_SECONDS = 0.004, 0.001
#: A worker says so often that it lives.
BEAT_SECONDS = 2.0


class Worker:
    """Takes batches as a worker does, and answers each job after a while."""

    def __init__(self, url: str) -> None:
        self.served: Counter[str] = Counter()
        self._redis: Any = Redis.from_url(url)
        self._ledger = Ledger(self._redis, KEYS, str(Holder.here("cpu")))
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._work, self._beat)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _beat(self) -> None:
        ledger = Ledger(self._redis, KEYS, str(Holder.here("cpu")))
        while True:
            ledger.lives.beat("cpu")
            if self._stop.wait(BEAT_SECONDS):
                return

    def _work(self) -> None:
        while not self._stop.is_set():
            if found := self._redis.brpop(list(KEYS.queues("cpu").values()), timeout=0.2):
                body = json.loads(base64.b64decode(json.loads(found[1])["body"]))
                self._run(BatchMessage.model_validate(body[0][0], strict=False))

    def _run(self, message: BatchMessage) -> None:
        claimed: dict[str, list[StreamEntry]] = {}
        now_ms = 0
        for priority, entries in message.entries.items():
            stream = KEYS.backlog("cpu", Priority(priority))
            now_ms, claimed[stream] = self._ledger.claim(stream, entries, starts=message.starts)
        time.sleep(PASS_SECONDS + JOB_SECONDS * sum(map(len, claimed.values())))
        for stream, entries in claimed.items():
            rows = [self._answer(entry, now_ms) for entry in entries]
            self._ledger.settle(stream, POOL_GROUP, rows)
            self.served.update(row.producer for row in rows)

    def _answer(self, entry: StreamEntry, now_ms: int) -> Finish:
        held = read_parked_job(entry)
        return Finish(
            entry=entry.entry,
            producer=held.slip.producer,
            result=_result(held.job, held.slip.submitted_ms, now_ms),
            reply_to=held.job.reply_to,
        )


def _result(job: Job, submitted_ms: int, now_ms: int) -> Result:
    answer = LabelAnswer(label="a", confidence=1.0)
    attempt = Attempt(
        step=0, tier=Tier.SLM, model="minilm", revision="1", outcome=Outcome.ACCEPTED, answer=answer
    )
    return results.answered(job, answer, (attempt,), submitted_ms=submitted_ms, now_ms=now_ms)


def main() -> None:
    """Measure at rest and under the flood, print, and write where asked to."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="fair-shares-"))
    with (
        RedisServer(folder, persistent=False) as server,
        Redis.from_url(server.url) as redis,
    ):
        redis.config_set("maxmemory", "6gb")
        text = _measured(redis, server.url, options)
    print(text)
    if options.write:
        write_result("fair_shares", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--producers", type=int, default=100)
    parser.add_argument("--largest", type=int, default=200_000, help="the largest backlog")
    parser.add_argument("--seconds", type=float, default=90.0, help="of the flood")
    parser.add_argument("--probes", type=int, default=150, help="interactive jobs in each phase")
    parser.add_argument("--batch-jobs", type=int, default=16)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _measured(redis: Any, url: str, options: argparse.Namespace) -> str:
    backlogs = backlogs_of(options.producers, options.largest)
    registry = ProducerRegistry(redis, KEYS)
    for name in backlogs:
        registry.write(name, Producer())
    smallest = next(iter(backlogs))
    with _router(redis, url, options.batch_jobs), Worker(url) as worker:
        idle = probe(url, smallest, options.probes, timedelta(seconds=0.1))
        fill(redis, backlogs)
        served, began = Counter(worker.served), time.monotonic()
        busy = probe(url, smallest, options.probes, timedelta(seconds=0.2))
        time.sleep(max(0.0, options.seconds - (time.monotonic() - began)))
        seconds = time.monotonic() - began
        served = worker.served - served
        working = [n for n in backlogs if n != smallest and redis.xlen(stream_of(n))]
    return "\n".join(_report(backlogs, served, working, seconds, idle, busy))


def backlogs_of(num_producers: int, largest: int) -> dict[str, int]:
    """Spread backlogs geometrically, from one job to the largest."""
    places = range(num_producers)
    return {f"p{n:03}": round(largest ** (n / (num_producers - 1))) for n in places}


def stream_of(producer: str) -> str:
    """Where a producer submits."""
    return KEYS.of_producer(producer).jobs


def fill(redis: Any, backlogs: Mapping[str, int]) -> None:
    """Submit everything, the largest backlogs last."""
    for name, count in backlogs.items():
        for start in range(0, count, 5000):
            pipeline = redis.pipeline(transaction=False)
            for number in range(start, min(start + 5000, count)):
                job = {"id": str(number), "task": "topic", "text": "Where is my parcel?"}
                pipeline.xadd(stream_of(name), {"job": json.dumps({**job, "priority": "bulk"})})
            pipeline.execute()


def probe(url: str, producer: str, count: int, pause: timedelta) -> list[float]:
    """Submit interactive jobs one after another; give the seconds until each result."""
    seconds = []
    with Client(url, producer=producer) as client:
        for _ in range(count):
            job = Job(task="topic", text="Where is my parcel?", priority=Priority.INTERACTIVE)
            began = time.perf_counter()
            job_id = client.submit(job)
            client.result(job_id, timeout=120)
            seconds.append(time.perf_counter() - began)
            time.sleep(pause.total_seconds())
    return seconds


@contextmanager
def _router(redis: Any, url: str, batch_jobs: int) -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="fair-shares-"))
    (folder / "catalogue.yaml").write_text(CATALOGUE.format(batch_jobs=batch_jobs), "utf-8")
    own = {
        "SMALLFIRST_REDIS_URL": url,
        "SMALLFIRST_CATALOGUE": str(folder / "catalogue.yaml"),
        "SMALLFIRST_LOG_LEVEL": "warning",
    }
    router = subprocess.Popen(
        [sys.executable, "-m", "smallfirst_router"], env={**os.environ, **own}
    )
    try:
        while not redis.zcard(KEYS.workers(ROUTERS)):
            time.sleep(0.05)
        yield
    finally:
        router.terminate()
        router.wait(30)


def _report(
    backlogs: Mapping[str, int],
    served: Mapping[str, int],
    working: list[str],
    seconds: float,
    idle: list[float],
    busy: list[float],
) -> Iterator[str]:
    if not working:
        raise SystemExit("every backlog came to its end: take larger ones, or fewer seconds")
    shares = [served[name] for name in working]
    total = sum(served.values())
    yield "# Fair shares: a hundred producers and one small pool\n"
    yield (
        f"{len(backlogs)} producers, {sum(backlogs.values()):,} jobs, backlogs from"
        f" {min(backlogs.values()):,} to {max(backlogs.values()):,}; {total:,} jobs answered in"
        f" {seconds:.0f} s, {total / seconds:.0f} a second.\n"
    )
    yield (
        f"- {len(working)} producers had work to the end: each was served {min(shares)} to"
        f" {max(shares)} jobs (median {statistics.median(shares):.0f}); Jain's index"
        f" {jain_index(shares):.4f}."
    )
    yield "\n| an interactive job of the smallest producer waits | median | p99 | longest |"
    yield "|---|---|---|---|"
    for name, found in (("nothing else waits", idle), ("all others have work", busy)):
        cells = (statistics.median(found), _p99(found), max(found))
        yield f"| {name} | {' | '.join(f'{each * 1000:.0f} ms' for each in cells)} |"
    yield f"\np99 under the flood is {_p99(busy) / _p99(idle):.2f} times that at rest.\n"
    yield provenance("redis", "celery")


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


if __name__ == "__main__":
    main()
