"""How the cost of a job grows with what waits, with tasks, with producers and with routers.

Redis and routers are real, and nobody answers for the pool: jobs are submitted, triaged and parked.

    python benchmarks/growth.py --write
    python benchmarks/growth.py --quick
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from provenance import provenance, write_numbers, write_result
from redis import Redis
from router_speed import TEXTS, RouterAlone, cpu_seconds

from smallfirst import Client, Job
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.producers import Producer, ProducerRegistry

KEYS = Keys()
#: Where jobs wait.
BACKLOG = KEYS.backlog("cpu", Priority.BULK)
#: Jobs of each setting but that of how many wait.
NUM_JOBS = 20_000
#: For so long a router is looked at that has nothing to do.
REST_SECONDS = 5.0
#: The longest that a setting may take.
MOST_SECONDS = 900.0
READING = """\
CPU is of all routers and of Redis, from the first submission to the last parked job, as a share of
the jobs. *At rest*: of one core, while all of them wait for a pool without workers. Bytes are what
Redis's memory grew by."""


@dataclass(frozen=True)
class Setting:
    """What is varied."""

    name: str
    jobs: int = NUM_JOBS
    tasks: int = 1
    producers: int = 1
    routers: int = 1


@dataclass(frozen=True)
class Growth:
    """What was measured in one setting.

    Attributes:
        router_us: CPU of the routers, microseconds a job.
        redis_us: CPU of Redis, microseconds a job.
        bytes_a_job: Of Redis's memory.
        per_second: Jobs, on the cores that everything shared.
        at_rest: Share of a core that routers and Redis used while nothing came.
    """

    router_us: float
    redis_us: float
    bytes_a_job: float
    per_second: float
    at_rest: float


SETTINGS = (
    *(Setting(f"{jobs:,} wait", jobs=jobs) for jobs in (1_000, 10_000, 100_000, 1_000_000)),
    *(Setting(f"{tasks:,} tasks", tasks=tasks) for tasks in (10, 100, 1_000)),
    *(Setting(f"{number} producers", producers=number) for number in (10, 100)),
    Setting("2 routers", routers=2),
)
QUICK = (Setting("1,000 wait", jobs=1_000), Setting("10 tasks", jobs=1_000, tasks=10))


def main() -> None:
    """Measure each setting on a fleet of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Two small ones, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    settings = QUICK if options.quick else SETTINGS
    # Everything that is parked has to have room.
    os.environ["SMALLFIRST_MAX_BACKLOG_JOBS"] = str(2 * max(each.jobs for each in settings))
    found = {}
    for setting in settings:
        found[setting.name] = measured(setting)
        print(f"{setting.name}: {found[setting.name]}", file=sys.stderr)
    text = page(settings, list(found.values()))
    print(text)
    if options.write:
        write_result("growth", text)
        write_numbers("growth", {name: vars(each) for name, each in found.items()})


def measured(setting: Setting) -> Growth:
    """Park the jobs of one setting, and look at the fleet at rest."""
    with _fleet(setting) as (fleet, redis):
        pids = {name: child.pid for name, child in fleet.children().items()}
        routers = [pid for name, pid in pids.items() if name.startswith("router")]
        memory = redis.info("memory")["used_memory"]
        began, spent = time.monotonic(), _spent(routers, pids["redis"])
        _park(fleet, redis, setting)
        seconds = time.monotonic() - began
        after = _spent(routers, pids["redis"])
        grown = redis.info("memory")["used_memory"] - memory
        time.sleep(REST_SECONDS)
        rest = _spent(routers, pids["redis"])
    router, of_redis = (
        (late - early) / setting.jobs * 1e6 for early, late in zip(spent, after, strict=True)
    )
    at_rest = (sum(rest) - sum(after)) / REST_SECONDS
    return Growth(router, of_redis, grown / setting.jobs, setting.jobs / seconds, at_rest)


@contextmanager
def _fleet(setting: Setting) -> Iterator[tuple[RouterAlone, Redis]]:
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        catalogue = Path(folder) / "catalogue.yaml"
        catalogue.write_text(_catalogue(setting.tasks), "utf-8")
        fleet = RouterAlone(
            catalogue, Path(folder) / "fleet", flower=False, routers=setting.routers
        )
        with fleet:
            fleet.wait_ready(timedelta(minutes=2))
            with Redis.from_url(fleet.redis_url) as redis:
                # A million jobs are more than a fleet on a desk is given.
                redis.config_set("maxmemory", 0)
                for number in range(setting.producers):
                    ProducerRegistry(redis, KEYS).write(f"producer-{number}", Producer())
                yield fleet, redis


def _catalogue(num_tasks: int) -> str:
    tasks = "".join(
        f"  task-{number}: {{kind: embed, cascade: [{{model: minilm}}]}}\n"
        for number in range(num_tasks)
    )
    return f"""version: 1
pools: {{cpu: {{tier: slm, max_parameters: 50M}}}}
models: {{minilm: {{source: "bundled:minilm"}}}}
tasks:
{tasks}"""


def _park(fleet: RouterAlone, redis: Redis, setting: Setting) -> None:
    """Submit all jobs, in turns of the producers, and wait until the last is parked."""
    share = setting.jobs // setting.producers
    for number in range(setting.producers):
        with Client(fleet.redis_url, producer=f"producer-{number}") as client:
            client.submit_many(
                Job(
                    task=f"task-{each % setting.tasks}",
                    text=f"{TEXTS[each % len(TEXTS)]} Number {number} {each}.",
                )
                for each in range(share)
            )
    until = time.monotonic() + MOST_SECONDS
    while redis.xlen(BACKLOG) < share * setting.producers:
        if time.monotonic() > until:
            raise TimeoutError(f"{setting.name}: not all were parked within {MOST_SECONDS:.0f} s")
        time.sleep(0.05)


def _spent(routers: Sequence[int], redis: int) -> tuple[float, float]:
    """CPU seconds of all routers, and of Redis."""
    return sum(map(cpu_seconds, routers)), cpu_seconds(redis)


def page(settings: Sequence[Setting], found: Sequence[Growth]) -> str:
    """Write the table."""
    lines = [
        "# How the cost of a job grows",
        "",
        f"{NUM_JOBS:,} jobs of one task and producer by one router, where nothing else is said.",
        "",
        "| | router, us of CPU | Redis, us of CPU | bytes a job | jobs/s | at rest |",
        "|---|---|---|---|---|---|",
    ]
    for setting, each in zip(settings, found, strict=True):
        cells = (
            setting.name,
            f"{each.router_us:.1f}",
            f"{each.redis_us:.1f}",
            f"{each.bytes_a_job:,.0f}",
            f"{each.per_second:,.0f}",
            f"{each.at_rest:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", READING, "", provenance("redis", "hiredis")])


if __name__ == "__main__":
    main()
