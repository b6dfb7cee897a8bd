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

from provenance import provenance, write_numbers, write_result
from redis import Redis

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Attempt, Outcome, Priority, Tier
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Finish
from smallfirst.local.fleet import LocalFleet
from smallfirst.results import answered

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models:
  minilm: {source: "bundled:minilm"}
  words: {tier: linear, source: "bundled:words"}
tasks:
  numbers:
    kind: tag
    labels: {card: a payment card, iban: a bank account, ssn: a social security number}
    cascade: [{rule: {find: [card, iban, ssn]}, accept: always}]
  similar: {kind: embed, cascade: [{model: minilm}]}
  topic:
    kind: classify
    labels: {card: a payment card, order: an order, parcel: a parcel, payment: a payment}
    examples: examples.jsonl
    cascade: [{model: words}]
"""
#: What the linear model is trained with; a model that knows each text costs what any other does.
LABELS, EXAMPLES_OF_EACH = ("card", "order", "parcel", "payment"), 50
TEXTS = (
    "Please cancel my card 4111 1111 1111 1111, it was stolen in the train yesterday",
    "How do I change the address of an order that has not left yet?",
    "Where is my parcel? It should have come on Tuesday.",
    "Can I pay by invoice, and within how many days is it due?",
)
#: Of jobs that come one after the other there are so many times fewer.
ALONE = 20
#: Workers that seem to live.
NUM_WORKERS = 2
#: The probabilities that a seeming worker gives.
SHARES = (0.9, 0.04, 0.03, 0.02, 0.01)
READING = """\
CPU is of the router's process and of Redis's, from the first submission to the last result, to
the last parked job, or to the last published batch. A core's rate is what one core of router would
do at that price. `triage and dispatch` is what a job costs that a small model answers: both
together. *One at a time* is submitted when the result before has been read: what a round of the
router costs that finds one job. *Without a model* claims and settles batches, so that all which a
small model's job asks of Redis is counted, without a model that takes the processor's cache. Bytes
are what Redis's memory grew by."""


class RouterAlone(LocalFleet):
    """Redis and a router: nobody answers for the pool."""

    def _start_workers(self, *_: Any) -> None:
        """Start none."""


@dataclass(frozen=True)
class Cost:
    """CPU of one round, in microseconds a job, and what Redis keeps of each, in bytes."""

    router: float
    redis: float
    kept: float


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
    rounds = [
        {name: _cost(measure, options.jobs // part) for name, (measure, part) in KINDS.items()}
        for _ in range(options.rounds)
    ]
    text = page(options.jobs, rounds)
    print(text)
    if options.write:
        write_result("router_speed", text)
        write_numbers("router_speed", _medians(rounds))


def _cost(measure: Callable[[LocalFleet, int], None], num_jobs: int) -> Cost:
    with tempfile.TemporaryDirectory(prefix="router-speed-") as folder:
        catalogue = Path(folder) / "catalogue.yaml"
        catalogue.write_text(CATALOGUE, "utf-8")
        (Path(folder) / "examples.jsonl").write_text(_examples(), "utf-8")
        with RouterAlone(catalogue, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=2))
            with Redis.from_url(fleet.redis_url) as redis:
                # What a first job makes, such as the text of scripts, is no job's cost.
                _alone(fleet, 1)
                before = _used(fleet, redis)
                measure(fleet, num_jobs)
                after = _used(fleet, redis)
    router, of_redis, kept = (
        (late - early) / num_jobs for early, late in zip(before, after, strict=True)
    )
    print(f"{measure.__name__}: {router * 1e6} {of_redis * 1e6} {kept}", file=sys.stderr)
    return Cost(router * 1e6, of_redis * 1e6, kept)


def _used(fleet: LocalFleet, redis: Redis) -> tuple[float, float, int]:
    """CPU seconds of the router and of Redis, and the bytes that Redis uses."""
    router, server = (fleet.children()[name].pid for name in ("router-1", "redis"))
    return cpu_seconds(router), cpu_seconds(server), redis.info("memory")["used_memory"]


def _examples() -> str:
    rows = (
        {"text": f"{text} Number {number}.", "label": label}
        for label, text in zip(LABELS, TEXTS, strict=True)
        for number in range(EXAMPLES_OF_EACH)
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _by_rule(fleet: LocalFleet, num_jobs: int) -> None:
    _answered(fleet, "numbers", num_jobs)


def _by_linear(fleet: LocalFleet, num_jobs: int) -> None:
    _answered(fleet, "topic", num_jobs)


def _answered(fleet: LocalFleet, task: str, num_jobs: int) -> None:
    with Client(fleet.redis_url) as client:
        for result in client.map(_jobs(task, num_jobs), max_in_flight=5000):
            assert result.is_answered


def _alone(fleet: LocalFleet, num_jobs: int) -> None:
    with Client(fleet.redis_url) as client:
        for job in _jobs("numbers", num_jobs):
            assert client.result(client.submit(job), timeout=60).is_answered


def _parked(fleet: LocalFleet, num_jobs: int) -> None:
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        client.submit_many(_jobs("similar", num_jobs))
        backlogs = Keys().backlogs("cpu").values()
        _wait_until(lambda: sum(redis.xlen(each) for each in backlogs) == num_jobs)


def _dispatched(fleet: LocalFleet, num_jobs: int) -> None:
    with Redis.from_url(fleet.redis_url) as redis, _workers(redis, lambda *_: None) as published:
        with Client(fleet.redis_url) as client:
            client.submit_many(_jobs("similar", num_jobs))
        _wait_until(lambda: sum(published) >= num_jobs)


def _without_model(fleet: LocalFleet, num_jobs: int) -> None:
    """All that a small model's job asks of Redis, and no model that takes the processor's cache."""
    with (
        Redis.from_url(fleet.redis_url) as redis,
        Client(fleet.redis_url) as client,
        _workers(redis, _answer),
    ):
        jobs = _jobs("similar", num_jobs)
        assert all(result.is_answered for result in client.map(jobs, max_in_flight=5000))


#: What is measured, and how many times fewer jobs of it.
KINDS: Mapping[str, tuple[Callable[[LocalFleet, int], None], int]] = {
    "a rule answers": (_by_rule, 1),
    "a rule answers, one at a time": (_alone, ALONE),
    "a linear model answers": (_by_linear, 1),
    "parked": (_parked, 1),
    "triage and dispatch": (_dispatched, 1),
    "a worker without a model answers": (_without_model, 1),
}


#: Entries of a batch, by their priority.
Entries = Mapping[str, Sequence[str]]


@contextmanager
def _workers(redis: Redis, answer: Callable[[Ledger, Entries], None]) -> Any:
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
                entries = _entries_of(popped[1])
                answer(ledgers[0], entries)
                published.append(sum(map(len, entries.values())))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield published
    finally:
        over.set()
        thread.join()


def _entries_of(message: bytes | str) -> Entries:
    """The entries of a batch, by Celery's own message."""
    [batch], *_ = json.loads(base64.b64decode(json.loads(message)["body"]))
    entries: Entries = batch["entries"]
    return entries


def _answer(ledger: Ledger, entries: Entries) -> None:
    """Claim a batch and settle it, as a worker does, with an answer of five labels."""
    for priority, ids in entries.items():
        stream = Keys().backlog("cpu", Priority(priority))
        now_ms, claimed = ledger.claim(stream, ids)
        held = map(read_parked_job, claimed)
        ledger.settle(stream, POOL_GROUP, [_finish(each, now_ms) for each in held])


def _finish(held: HeldJob, now_ms: int) -> Finish:
    shares = dict(zip(("card", "order", "parcel", "payment", "other"), SHARES, strict=True))
    answer = LabelAnswer(label="card", confidence=SHARES[0], distribution=shares)
    attempt = Attempt(
        step=0,
        tier=Tier.SLM,
        model="minilm",
        revision="none",
        pool="cpu",
        outcome=Outcome.ACCEPTED,
        confidence=answer.confidence,
        seconds=0.001,
        answer=answer,
    )
    submitted_ms = held.slip.submitted_ms
    return Finish(
        entry=held.entry.entry,
        producer=held.slip.producer,
        result=answered(held.job, answer, (attempt,), submitted_ms=submitted_ms, now_ms=now_ms),
        reply_to=held.job.reply_to,
        spent=(attempt,),
    )


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
    about = (
        f"{num_jobs:,} jobs a kind and round, a {ALONE}th of them one at a time;"
        f" {len(rounds)} rounds; median (lowest to highest)."
    )
    lines = [
        "# What a job costs the router",
        "",
        about,
        "",
        "| job | router, us of CPU | jobs/s a core of router | Redis, us of CPU | bytes kept |",
        "|---|---|---|---|---|",
    ]
    for name, median in _medians(rounds).items():
        costs = [each[name] for each in rounds]
        cells = (
            name,
            _spread(each.router for each in costs),
            f"{1e6 / median['router']:,.0f}",
            _spread(each.redis for each in costs),
            f"{median['kept']:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", READING, "", provenance("celery", "redis", "hiredis")])


def _medians(rounds: Sequence[Mapping[str, Cost]]) -> dict[str, dict[str, float]]:
    fields = ("router", "redis", "kept")
    return {
        name: {
            field: statistics.median(getattr(each[name], field) for each in rounds)
            for field in fields
        }
        for name in rounds[0]
    }


def _spread(values: Any) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.1f} ({ordered[0]:.1f} to {ordered[-1]:.1f})"


if __name__ == "__main__":
    main()
