"""What the audit log costs: CPU of a fleet's parts for each result, and the time of a proof.

The same settlements are made without a log and with one, on a Redis of this script's own; then the
keeper takes their records up, as many at once as come in a second. The share is of what a job costs
all processes of a fleet whose small model answers it: measured here where `--data` names labelled
texts (JSON Lines), else as benchmarks/results/fleet_throughput.md has it.

    python benchmarks/audit_log.py --data ROWS.jsonl --write
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from fleet_throughput import write_catalogue
from provenance import provenance, write_result
from redis import Redis

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.audit_log.folder import Entry, LogFolder
from smallfirst.audit_log.index import Position
from smallfirst.audit_log.keeping import Keeper
from smallfirst.audit_log.notes import SigningKey
from smallfirst.audit_log.proofs import prove
from smallfirst.jobs import Attempt, Outcome, Priority, Result, Status, Tier
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.settlements import Basis, Finish
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import RedisServer
from smallfirst.results import at

KEY = SigningKey("example.com/benchmark", bytes(32))
VERIFIER = KEY.verifier
KEYS = Keys()
BACKLOG = KEYS.backlog("cpu", Priority.BULK)
#: The jobs that a worker settles in one call.
BATCH = 64
TEXT = "My card was charged twice for the same order, and nobody answers the phone. " * 4
#: The middle of benchmarks/results/fleet_throughput.md: BANKING77 with MiniLM, all processes.
FLEET_CPU_MS = 2.89


@dataclass(frozen=True)
class Cost:
    """CPU in microseconds a result: of who settles, of Redis, and of the keeper."""

    settler: float
    redis: float
    keeper: float = 0.0


def finishes(entries: Sequence[str], first: int) -> list[Finish]:
    """What a worker settles: answers of the second of two steps."""
    attempt = Attempt(
        step=1,
        tier=Tier.SLM,
        model="minilm",
        revision="0123456789abcdef",
        pool="cpu",
        outcome=Outcome.ACCEPTED,
        confidence=0.987654,
        threshold=0.91,
        seconds=0.00172,
        tokens=61,
        cost=0.00000004,
    )
    before = attempt.model_copy(update={"step": 0, "outcome": Outcome.ESCALATED})
    found = []
    for number, entry in enumerate(entries, start=first):
        result = Result(
            id=f"job-{number}",
            task="intent",
            status=Status.ANSWERED,
            answer=LabelAnswer(label="card_charged_twice", confidence=0.987654),
            tier=Tier.SLM,
            trail=(before, attempt),
            submitted_at=at(1_800_000_000_000),
            finished_at=at(1_800_000_000_123),
        )
        basis = Basis(TEXT, "0123456789ab", "0123456789abcdef")
        found.append(
            Finish(entry=entry, producer="default", result=result, spent=(attempt,), basis=basis)
        )
    return found


def settle_all(server: RedisServer, count: int) -> Cost:
    """Settle so many jobs; count the CPU of this process and of Redis."""
    with Redis.from_url(server.url) as redis:
        ledger = Ledger(redis, KEYS, "worker")
        ledger.open([BACKLOG], POOL_GROUP)
        adding = redis.pipeline(transaction=False)
        for number in range(count):
            adding.xadd(BACKLOG, {"producer": "default", "id": f"job-{number}", "job": "{}"})
        adding.execute()
        held = [each.entry for each in ledger.read([BACKLOG], POOL_GROUP, count=count)]
        while len(held) < count:
            held += [each.entry for each in ledger.read([BACKLOG], POOL_GROUP, count=count)]
        batches = [finishes(held[at : at + BATCH], at) for at in range(0, count, BATCH)]
        ledger.settle(BACKLOG, POOL_GROUP, [])
        busy, server_busy = time.process_time(), _redis_cpu(redis)
        for batch in batches:
            ledger.settle(BACKLOG, POOL_GROUP, batch)
        mine = time.process_time() - busy
        return Cost(mine / count * 1e6, (_redis_cpu(redis) - server_busy) / count * 1e6)


def _redis_cpu(redis: Any) -> float:
    told = redis.info("cpu")
    return float(told["used_cpu_user_main_thread"] + told["used_cpu_sys_main_thread"])


def kept(server: RedisServer, folder: Path, per_second: int) -> float:
    """Take all records up, so many at once; give the keeper's CPU in us a record."""
    with Redis.from_url(server.url) as redis, LogFolder(folder, KEY) as log:
        stream = _Slowly(redis, KEYS)
        stream.most = per_second
        keeper = Keeper(log, [stream], KEY.verifier)
        keeper.open()
        busy, server_busy = time.process_time(), _redis_cpu(redis)
        while keeper.turn():
            pass
        spent = time.process_time() - busy + _redis_cpu(redis) - server_busy
        return spent / log.size * 1e6


class _Slowly(RecordStream):
    """The records as they come: so many at once."""

    most = 1000

    @property
    def num_waiting(self) -> int:
        return min(super().num_waiting, self.most)

    def read(self, after: str, count: int) -> list[Any]:
        return super().read(after, min(count, self.most + 1))


def cost_of(count: int, per_second: int) -> tuple[Cost, Cost]:
    """The cost without a log, and with one."""
    with tempfile.TemporaryDirectory(prefix="audit-log-") as name:
        folder = Path(name)
        with RedisServer(folder, persistent=False) as server:
            without = settle_all(server, count)
            with Redis.from_url(server.url) as redis:
                redis.flushall()
                RecordStream(redis, KEYS).open()
            logged = settle_all(server, count)
            keeper = kept(server, folder / "log", per_second)
    return without, Cost(logged.settler, logged.redis, keeper)


def proofs(size: int, count: int) -> tuple[list[float], list[float], int]:
    """Seconds of so many proofs among so many records, by the clock and of CPU; the log's bytes."""
    with tempfile.TemporaryDirectory(prefix="audit-log-") as name:
        folder = Path(name) / "log"
        with LogFolder(folder, KEY) as log:
            for first in range(0, size, 20_000):
                more = range(first, min(first + 20_000, size))
                log.append([_entry(number) for number in more], {0: Position(f"{more[-1]}-0")})
        rng, taken, busy = random.Random(5), list[float](), list[float]()
        for _ in range(count):
            job_id = f"job-{rng.randrange(size)}"
            began, busy_before = time.perf_counter(), time.process_time()
            assert prove(folder, VERIFIER, "default", job_id)
            taken.append(time.perf_counter() - began)
            busy.append(time.process_time() - busy_before)
        return taken, busy, sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _entry(number: int) -> Entry:
    record = f'{{"slice": 0, "entry": "{number}-0", "kind":"result"{"," * 600}}}'
    return Entry(record.encode(), number.to_bytes(16), "default", f"job-{number}")


def fleet_cpu_ms(data: Path, num_jobs: int) -> float:
    """The CPU of a job, of all processes of a fleet and its producer."""
    rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="audit-log-") as name:
        folder = Path(name)
        write_catalogue(folder, rows)
        fleet = LocalFleet(folder / "catalogue.yaml", folder / "fleet", flower=False)
        with fleet, Client(fleet.redis_url) as client:
            fleet.wait_ready(timedelta(minutes=10))
            texts = [rows[number % len(rows)]["text"] for number in range(num_jobs)]
            list(client.map(Job(task="intent", text=text) for text in texts[:500]))
            before = _busy()
            list(client.map((Job(task="intent", text=text) for text in texts), max_in_flight=5000))
            return (_busy() - before) / num_jobs * 1e3


def _busy() -> float:
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in ours)


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=40_000, help="jobs in each round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds")
    parser.add_argument("--per-second", type=int, default=700, help="records in a checkpoint")
    parser.add_argument("--records", type=int, default=1_000_000, help="records of the large log")
    parser.add_argument("--data", type=Path, help="labelled texts for a fleet, JSON Lines")
    parser.add_argument("--quick", action="store_true", help="a small round")
    parser.add_argument("--write", action="store_true", help="write it into results")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.rounds, options.records = 2000, 1, 20_000
    cpu_ms = fleet_cpu_ms(options.data, 2000) if options.data else FLEET_CPU_MS
    costs = [cost_of(options.jobs, options.per_second) for _ in range(options.rounds)]
    text = page(costs, proofs(options.records, 300), cpu_ms, options)
    if options.write:
        write_result("audit_log", text)
    print(text)


def page(
    costs: list[tuple[Cost, Cost]],
    of_proofs: tuple[list[float], list[float], int],
    cpu_ms: float,
    options: argparse.Namespace,
) -> str:
    """Write the table; `cpu_ms` is what a job costs the fleet."""
    taken, busy, num_bytes = of_proofs
    before = statistics.median(without.settler + without.redis for without, _ in costs)
    parts = {
        "who settles the job": [with_.settler - without.settler for without, with_ in costs],
        "Redis": [with_.redis - without.redis for without, with_ in costs],
        "the keeper, with what it asks of Redis": [with_.keeper for _, with_ in costs],
    }
    whole = [sum(column) for column in zip(*parts.values(), strict=True)]
    share = statistics.median(whole) / cpu_ms / 10
    slowest = sorted(taken)[int(len(taken) * 0.99)] * 1e3
    lines = [
        "# What the audit log costs",
        "",
        _sentence(
            f"{options.jobs:,} results a round, {options.rounds} rounds,",
            f"{options.per_second} records a checkpoint;",
            "us of CPU a result, median (lowest to highest).",
        ),
        "",
        "| part | us a result |",
        "|---|---|",
        *(f"| {name} | {_told(found)} |" for name, found in parts.items()),
        f"| **together** | **{_told(whole)}** |",
        "",
        _sentence(
            f"That is **{share:.1f} %** of the {cpu_ms:.2f} ms of CPU that a job costs a fleet",
            "whose small model answers it.",
            f"Without a log the first two take {before:.1f} us.",
        ),
        "",
        _sentence(
            f"A proof among {options.records:,} records takes",
            f"{statistics.median(busy) * 1e3:.2f} ms of CPU, and by the clock",
            f"{statistics.median(taken) * 1e3:.2f} ms (99 of 100 within {slowest:.2f} ms),",
            "from the open of the files on;",
            f"the log has {num_bytes / options.records:.0f} bytes a record.",
        ),
        "",
        provenance("redis", "cryptography"),
    ]
    return "\n".join(lines)


def _sentence(*parts: str) -> str:
    return " ".join(parts)


def _told(found: list[float]) -> str:
    return f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})"


if __name__ == "__main__":
    psutil.Process().nice(19)
    main()
