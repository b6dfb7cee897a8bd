"""What a fleet adds to one job: alone on an idle fleet, and beside a backlog of bulk.

python benchmarks/latency.py --data DATA/banking77 --write
python benchmarks/latency.py --data DATA/banking77 --quick
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
from provenance import provenance, write_result
from redis import Redis

from smallfirst import Client, Job, Priority
from smallfirst.catalogue import Kind, Model, ModelStep, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

#: Folders of public rows; see examples/public_data.
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {minilm: {source: "bundled:minilm"}}
tasks:
  similar: {kind: embed, cascade: [{model: minilm}]}
"""
#: Jobs before those that count.
NUM_WARM = 50
READING = """\
A job is submitted when the one before has been read. *Bare* is the engine in this process, one text
at a time, in turns with the fleet; *added* is the difference of the two percentiles. *Beside bulk*:
the same, `interactive` and so many a second, while bulk jobs wait all the time; what those are
answered at is measured before it, beside it, and after it."""


def main() -> None:
    """Measure both, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA / "banking77", help="Folder of test rows."
    )
    parser.add_argument("--jobs", type=int, default=400, help="Jobs on the idle fleet.")
    parser.add_argument("--bulk", type=int, default=100_000, help="Jobs of bulk that wait.")
    parser.add_argument("--seconds", type=int, default=30, help="Of each part beside bulk.")
    parser.add_argument("--rate", type=int, default=5, help="Jobs a second beside bulk.")
    parser.add_argument("--quick", action="store_true", help="A small run, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.bulk, options.seconds = 100, 15_000, 3
    rows = (options.data / "train.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(row)["text"] for row in rows]
    # Everything that waits has to have room, so that only the order of service is measured.
    os.environ["SMALLFIRST_MAX_BACKLOG_JOBS"] = str(2 * options.bulk)
    with _fleet() as (client, redis):
        idle = _idle(client, texts, options.jobs)
        beside, rates = _beside_bulk(
            client, redis, texts, options.bulk, options.seconds, options.rate
        )
    text = _page(options, idle, beside, rates)
    print(text)
    if options.write:
        write_result("latency", text)


@contextmanager
def _fleet() -> Iterator[tuple[Client, Redis]]:
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        catalogue = Path(folder) / "catalogue.yaml"
        catalogue.write_text(CATALOGUE, "utf-8")
        with LocalFleet(catalogue, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=10))
            with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
                yield client, redis


def _idle(client: Client, texts: Sequence[str], num_jobs: int) -> dict[str, list[float]]:
    """Seconds of each job by the fleet, and by the engine alone, in turns."""
    model = Model(source="bundled:minilm")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "smallfirst"
    engine = SlmEngine.load("minilm", model, model_folder(model), cache=cache, threads=1)
    engine.prepare({"similar": Task(kind=Kind.EMBED, cascade=(ModelStep(model="minilm"),))})
    found: dict[str, list[float]] = {"fleet": [], "bare": []}
    for text in texts[: NUM_WARM + num_jobs]:
        found["fleet"].append(_seconds_of(client, text))
        began = time.perf_counter()
        engine.run([EngineRequest(text, "similar")])
        found["bare"].append(time.perf_counter() - began)
    return {name: seconds[NUM_WARM:] for name, seconds in found.items()}


def _seconds_of(client: Client, text: str, priority: str = "interactive") -> float:
    began = time.perf_counter()
    job_id = client.submit(Job(task="similar", text=text, priority=priority))
    client.result(job_id, timeout=60)
    return time.perf_counter() - began


def _beside_bulk(
    client: Client, redis: Redis, texts: Sequence[str], num_bulk: int, seconds: int, rate: int
) -> tuple[list[float], tuple[float, float]]:
    """Seconds of interactive jobs while bulk waits; what bulk is answered at without, and with."""
    keys = Keys()
    backlog = keys.backlog("cpu", Priority.BULK)
    client.submit_many(
        Job(task="similar", text=f"{texts[n % len(texts)]} ({n})", priority="bulk")
        for n in range(num_bulk)
    )
    while redis.xlen(keys.of_producer("default").jobs):
        time.sleep(0.1)
    first = _answered_alone(redis, backlog, seconds)
    found: list[float] = []
    began, before = time.monotonic(), redis.xlen(backlog)
    for number in range(seconds * rate):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        found.append(_seconds_of(client, texts[number % len(texts)]))
    beside = (before - redis.xlen(backlog)) / (time.monotonic() - began)
    last = _answered_alone(redis, backlog, seconds)
    if not redis.xlen(backlog):
        raise ValueError(f"{num_bulk} jobs of bulk were answered too soon; ask for more by --bulk")
    return found, ((first + last) / 2, beside)


def _answered_alone(redis: Redis, backlog: str, seconds: int) -> float:
    """How many jobs a second bulk is answered at."""
    began, before = time.monotonic(), redis.xlen(backlog)
    time.sleep(seconds)
    return float(before - redis.xlen(backlog)) / (time.monotonic() - began)


def _page(
    options: argparse.Namespace,
    idle: dict[str, list[float]],
    beside: list[float],
    rates: tuple[float, float],
) -> str:
    about = (
        f"{len(idle['fleet']):,} jobs on an idle fleet; {len(beside):,} beside {options.bulk:,} of"
        f" bulk, {options.rate} a second."
    )
    bulk = f"{rates[0]:,.0f} a second without it, {rates[1]:,.0f} beside it"
    lines = [
        "# How long one job takes",
        "",
        about,
        "",
        "| | p50, ms | p99, ms |",
        "|---|---|---|",
        _line("bare engine", idle["bare"]),
        _line("idle fleet", idle["fleet"]),
        _added(idle),
        _line("beside bulk", beside),
        "",
        f"Bulk: {bulk} ({rates[1] / rates[0]:.3f}).",
        "",
        READING,
        "",
        provenance("celery", "openvino"),
    ]
    return "\n".join(lines)


def _line(name: str, seconds: Sequence[float]) -> str:
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    return f"| {name} | {p50:.1f} | {p99:.1f} |"


def _added(idle: dict[str, list[float]]) -> str:
    fleet, bare = (np.percentile(idle[name], (50, 99)) * 1e3 for name in ("fleet", "bare"))
    return f"| added by the fleet | {fleet[0] - bare[0]:.1f} | {fleet[1] - bare[1]:.1f} |"


if __name__ == "__main__":
    main()
