"""What a job asks of Redis, command by command: calls, and microseconds within Redis.

A whole fleet answers questions by a small model. Redis's own statistics tell what it was asked by
all parts and scripts meanwhile, its producer's submissions and reads among them.

    python benchmarks/redis_calls.py --write
    python benchmarks/redis_calls.py --quick
"""

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from fleet_throughput import write_catalogue
from provenance import provenance, write_result
from redis import Redis
from router_speed import cpu_seconds

from smallfirst import Client, Job
from smallfirst.local.fleet import LocalFleet

DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
#: Commands below this share of a job's microseconds stand together.
LEAST_SHARE = 0.01
READING = """\
A command that a script calls counts by itself and, again, within its script (`evalsha`, `fcall`);
what a script takes besides is its Lua. *Of Redis's processor* is all that its process used, which
is reading and writing of sockets too."""

#: Of one command: how often it was called, and its microseconds.
Calls = Mapping[str, tuple[float, float]]


def main() -> None:
    """Answer jobs, and print what they asked of Redis."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA / "banking77", help="Folder of train and test rows."
    )
    parser.add_argument("--jobs", type=int, default=10_000, help="Jobs that are answered.")
    parser.add_argument("--quick", action="store_true", help="A small run, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    num_jobs = 1_000 if options.quick else options.jobs
    calls, cpu_us = asked(options.data, num_jobs)
    text = page(calls, cpu_us, num_jobs)
    print(text)
    if options.write:
        write_result("redis_calls", text)


def asked(data: Path, num_jobs: int) -> tuple[Calls, float]:
    """Answer so many jobs; return the calls of one, and what it used of Redis's processor."""
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text("utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="redis-calls-") as folder:
        write_catalogue(Path(folder), rows)
        path = Path(folder) / "catalogue.yaml"
        with LocalFleet(path, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=10))
            server = fleet.children()["redis"].pid
            with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
                jobs = [
                    Job(task="intent", text=rows[number % len(rows)]["text"])
                    for number in range(num_jobs)
                ]
                list(client.map(jobs[:500]))
                redis.config_resetstat()
                before = cpu_seconds(server)
                list(client.map(jobs, max_in_flight=5_000))
                used = cpu_seconds(server) - before
                told: Any = redis.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): (each["calls"] / num_jobs, each["usec"] / num_jobs)
        for name, each in told.items()
    }, used / num_jobs * 1e6


def page(calls: Calls, cpu_us: float, num_jobs: int) -> str:
    """Write the table."""
    lines = [
        "# What a job asks of Redis",
        "",
        f"{num_jobs:,} jobs, each answered by a small model.",
        "",
        "| command | calls a job | us a job |",
        "|---|---|---|",
    ]
    least = LEAST_SHARE * cpu_us
    small = [each for each in calls.values() if each[1] < least]
    for name, (number, spent) in sorted(calls.items(), key=lambda item: -item[1][1]):
        if spent >= least:
            lines.append(f"| {name} | {number:.2f} | {spent:.1f} |")
    others, spent = (sum(column) for column in zip(*small, strict=True))
    lines.append(f"| {len(small)} others | {others:.2f} | {spent:.1f} |")
    lines.append(f"| of Redis's processor | | {cpu_us:.1f} |")
    return "\n".join([*lines, "", READING, "", provenance("celery", "redis")])


if __name__ == "__main__":
    main()
