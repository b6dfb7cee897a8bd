"""What a job costs the router and its Redis, without any model at work.

A router serves jobs that a rule answers, jobs that wait for a pool, and jobs whose batches it
publishes. Nobody runs these: what pops them from their queue only says that it lives.

    python benchmarks/router_speed.py --rounds 5 --write
    python benchmarks/router_speed.py --quick
"""

import argparse
import base64
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from provenance import provenance, write_result
from redis import Redis

from smallfirst import Client, Job
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.local.fleet import LocalFleet

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {minilm: {source: "bundled:minilm"}}
tasks:
  numbers:
    kind: tag
    labels: {card: a payment card, iban: a bank account, ssn: a social security number}
    cascade: [{rule: {find: [card, iban, ssn]}, accept: always}]
  similar: {kind: embed, cascade: [{model: minilm}]}
"""
TEXTS = (
    "Please cancel my card 4111 1111 1111 1111, it was stolen in the train yesterday",
    "How do I change the address of an order that has not left yet?",
    "Where is my parcel? It should have come on Tuesday.",
    "Can I pay by invoice, and within how many days is it due?",
)
#: Workers that seem to live.
NUM_WORKERS = 2
READING = """\
CPU is of the router's process and of Redis's, from the first submission to the last result, to
the last parked job, or to the last published batch. A core's rate is what one core of router would
do at that price. `triage and dispatch` is what a job costs that a model answers: both together."""


class RouterAlone(LocalFleet):
    """Redis and a router: nobody answers for the pool."""

    def _start_workers(self, *_: Any) -> None:
        """Start none."""


@dataclass(frozen=True)
class Cost:
    """CPU of one round, in microseconds a job."""

    router: float
    redis: float


def main() -> None:
    """Let the kinds of jobs take turns, and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=12_000, help="Jobs of each kind in a round.")
    parser.add_argument("--rounds", type=int, default=5, help="Rounds.")
    parser.add_argument("--quick", action="store_true", help="One small round, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.rounds = 2_000, 1
    # Everything that is parked has to have room.
    os.environ["SMALLFIRST_MAX_BACKLOG_JOBS"] = str(2 * options.jobs)
    kinds = {"a rule answers": _by_rule, "parked": _parked, "triage and dispatch": _dispatched}
    rounds = [
        {name: _cost(measure, options.jobs) for name, measure in kinds.items()}
        for _ in range(options.rounds)
    ]
    text = page(options.jobs, rounds)
    print(text)
    if options.write:
        write_result("router_speed", text)


def _cost(measure: Callable[[LocalFleet, int], None], num_jobs: int) -> Cost:
    with tempfile.TemporaryDirectory(prefix="router-speed-") as folder:
        catalogue = Path(folder) / "catalogue.yaml"
        catalogue.write_text(CATALOGUE, "utf-8")
        with RouterAlone(catalogue, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=2))
            pids = [fleet.children()[name].pid for name in ("router-1", "redis")]
            before = [cpu_seconds(pid) for pid in pids]
            measure(fleet, num_jobs)
            after = [cpu_seconds(pid) for pid in pids]
    spent = [(late - early) / num_jobs * 1e6 for early, late in zip(before, after, strict=True)]
    print(f"{measure.__name__}: {spent}", file=sys.stderr)
    return Cost(*spent)


def _by_rule(fleet: LocalFleet, num_jobs: int) -> None:
    with Client(fleet.redis_url) as client:
        for result in client.map(_jobs("numbers", num_jobs), max_in_flight=5000):
            assert result.is_answered


def _parked(fleet: LocalFleet, num_jobs: int) -> None:
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        client.submit_many(_jobs("similar", num_jobs))
        backlogs = Keys().backlogs("cpu").values()
        _wait_until(lambda: sum(redis.xlen(each) for each in backlogs) == num_jobs)


def _dispatched(fleet: LocalFleet, num_jobs: int) -> None:
    with Redis.from_url(fleet.redis_url) as redis, _workers(redis) as published:
        with Client(fleet.redis_url) as client:
            client.submit_many(_jobs("similar", num_jobs))
        _wait_until(lambda: sum(published) >= num_jobs)


@contextmanager
def _workers(redis: Redis) -> Any:
    """Say for some workers that they live, and take what is published; yields sizes of batches."""
    ledgers = [Ledger(redis, Keys(), f"seeming-{number}") for number in range(NUM_WORKERS)]
    published: list[int] = []
    over = threading.Event()

    def work() -> None:
        beaten = 0.0
        while not over.is_set():
            if time.monotonic() - beaten > 1:
                beaten = time.monotonic()
                for ledger in ledgers:
                    ledger.lives.beat("cpu")
            popped = redis.brpop(list(Keys().queues("cpu").values()), timeout=0.1)
            if popped is not None:
                published.append(_num_jobs(popped[1]))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield published
    finally:
        over.set()
        thread.join()


def _num_jobs(message: bytes) -> int:
    """How many jobs are in a batch, by Celery's own message."""
    [batch], *_ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return sum(map(len, batch["entries"].values()))


def _jobs(task: str, num_jobs: int) -> list[Job]:
    texts = (f"{TEXTS[number % len(TEXTS)]} Number {number}." for number in range(num_jobs))
    return [Job(task=task, text=text) for text in texts]


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("the router did not end its work within 60 s")
        time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """What a process has had of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def page(num_jobs: int, rounds: Sequence[Mapping[str, Cost]]) -> str:
    """Write the table."""
    head = "| job | router, us of CPU | jobs/s a core of router | Redis, us of CPU |"
    lines = ["# What a job costs the router", "", f"{num_jobs:,} jobs a kind and round;"]
    lines[-1] += f" {len(rounds)} rounds; median (lowest to highest)."
    lines += ["", head, "|---|---|---|---|"]
    for name in rounds[0]:
        costs = [each[name] for each in rounds]
        router = statistics.median(cost.router for cost in costs)
        cells = (name, _spread(c.router for c in costs), f"{1e6 / router:,.0f}")
        lines.append(f"| {' | '.join(cells)} | {_spread(c.redis for c in costs)} |")
    return "\n".join([*lines, "", READING, "", provenance("celery", "redis", "hiredis")])


def _spread(values: Any) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.1f} ({ordered[0]:.1f} to {ordered[-1]:.1f})"


if __name__ == "__main__":
    main()
