"""What a job waits under 50, 80, 95 and 150 % of what a fleet can do, and by other ways to batch.

A fleet answers questions that come at random. Beside it, simulated on the same two figures (what a
lone job takes, and how many a second it can do): the fleet's own way, by which a worker takes what
waits when it is free, and batches that are formed on arrival and wait for others, up to a linger.

    python benchmarks/load.py --write
    python benchmarks/load.py --quick
"""

import argparse
import heapq
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from fleet_throughput import write_catalogue
from numpy.typing import NDArray
from provenance import provenance, write_numbers, write_result

from smallfirst import Client, Job
from smallfirst.local.fleet import LocalFleet

#: Folders of public rows; see examples/public_data.
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
SHARES = (0.5, 0.8, 0.95, 1.5)
#: How long others wait for a batch, in seconds, in the way that forms batches on arrival.
LINGERS = (0.01, 0.05, 0.2)
MOST_IN_BATCH = 128
#: How often the producer sends what is due.
TICK = 0.005
SEED = 20_261_130
READING = """\
Jobs come at random (Poisson), the load is a share of the jobs a second that the fleet answers when
all of them wait. A wait is from submission to the moment that the result is written, of jobs that
were submitted in the second half of a round. *Simulated*: two workers, batches of up to 128, a pass
takes a lone job's time, and for each further text what a core has for one at full speed. Beyond
100 % nothing is kept up with: a wait is then how far the backlog has grown."""


@dataclass(frozen=True)
class Pace:
    """What a fleet can do.

    Attributes:
        per_second: Jobs that it answers while all of them wait.
        alone: Seconds that a lone job takes, the median.
        workers: Processes that read batches.
    """

    per_second: float
    alone: float
    workers: int

    def seconds(self, num_texts: int) -> float:
        """How long a batch takes."""
        return self.alone + (num_texts - 1) * self.workers / self.per_second


def main() -> None:
    """Load a fleet step by step, simulate the others, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA / "banking77", help="Folder of train and test rows."
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="Of each load.")
    parser.add_argument("--jobs", type=int, default=8_000, help="Jobs that measure full speed.")
    parser.add_argument("--quick", action="store_true", help="A small round, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.jobs = 3.0, 1_000
    with _fleet(options.data) as (client, texts):
        pace = _pace(client, texts, options.jobs)
        waits = {share: _loaded(client, texts, pace, share, options.seconds) for share in SHARES}
    found = {"fleet": {share: _told(each) for share, each in waits.items()}}
    for name, linger in {"": None, **{f"{1e3 * each:.0f} ms": each for each in LINGERS}}.items():
        way = "simulated: a free worker takes what waits" if linger is None else _way(name)
        found[way] = {
            share: _told(simulated(pace, share, options.seconds, linger)) for share in SHARES
        }
    text = page(pace, found, options.seconds)
    print(text)
    if options.write:
        write_result("load", text)
        write_numbers("load", {"pace": vars(pace), "waits_ms": found})


def _way(name: str) -> str:
    return f"simulated: batches form on arrival, linger {name}"


@contextmanager
def _fleet(data: Path) -> Iterator[tuple[Client, Sequence[str]]]:
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text("utf-8").splitlines()]
    # A load beyond what can be done has to have room.
    os.environ["SMALLFIRST_MAX_BACKLOG_JOBS"] = str(1_000_000)
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        write_catalogue(Path(folder), rows)
        path = Path(folder) / "catalogue.yaml"
        with LocalFleet(path, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=10))
            with Client(fleet.redis_url) as client:
                yield client, [row["text"] for row in rows]


def _jobs(texts: Sequence[str], first: int, number: int) -> list[Job]:
    return [
        Job(task="intent", text=texts[each % len(texts)]) for each in range(first, first + number)
    ]


def _pace(client: Client, texts: Sequence[str], num_jobs: int) -> Pace:
    """Measure full speed, and a lone job."""
    list(client.map(_jobs(texts, 0, 500)))
    began = time.perf_counter()
    list(client.map(_jobs(texts, 500, num_jobs), max_in_flight=5_000))
    per_second = num_jobs / (time.perf_counter() - began)
    alone = []
    for job in _jobs(texts, 0, 100):
        result = client.result(client.submit(job), timeout=60)
        alone.append((result.finished_at - result.submitted_at).total_seconds())
    return Pace(per_second, float(np.median(alone)), os.cpu_count() or 1)


def _arrivals(pace: Pace, share: float, seconds: float) -> NDArray[np.float64]:
    """When jobs come, in seconds from the beginning of a round."""
    random = np.random.default_rng(SEED)
    number = random.poisson(share * pace.per_second * seconds)
    return np.sort(random.random(number) * seconds)


def _loaded(
    client: Client, texts: Sequence[str], pace: Pace, share: float, seconds: float
) -> NDArray[np.float64]:
    """Submit jobs when they are due, and say how long those of the second half waited."""
    due = _arrivals(pace, share, seconds)
    began, sent, ids = time.monotonic(), 0, []
    while sent < len(due):
        now = time.monotonic() - began
        number = int(np.searchsorted(due, now)) - sent
        if number:
            ids += client.submit_many(_jobs(texts, sent, number))
            sent += number
        time.sleep(max(0.0, TICK - (time.monotonic() - began - now)))
    late = set(ids[int(np.searchsorted(due, seconds / 2)) :])
    return np.array(
        [
            (result.finished_at - result.submitted_at).total_seconds()
            for result in client.as_completed(ids, timeout=600)
            if result.id in late
        ]
    )


def simulated(
    pace: Pace, share: float, seconds: float, linger: float | None
) -> NDArray[np.float64]:
    """How long jobs wait in one of the ways; no linger is the fleet's own."""
    due = _arrivals(pace, share, seconds)
    ready = _taken(due, pace) if linger is None else _lingering(due, linger, pace)
    return (ready - due)[due >= seconds / 2]


def _taken(due: NDArray[np.float64], pace: Pace) -> NDArray[np.float64]:
    """When each job is answered, where the next free worker takes all that waits."""
    free = [0.0] * pace.workers
    answered, place = np.empty_like(due), 0
    while place < len(due):
        now = max(heapq.heappop(free), due[place])
        end = min(int(np.searchsorted(due, now, side="right")), place + MOST_IN_BATCH)
        ends = now + pace.seconds(end - place)
        answered[place:end] = ends
        heapq.heappush(free, ends)
        place = end
    return answered


def _lingering(due: NDArray[np.float64], linger: float, pace: Pace) -> NDArray[np.float64]:
    """The same, where a batch is closed when it is full, or so long after its first job."""
    free = [0.0] * pace.workers
    answered, place = np.empty_like(due), 0
    while place < len(due):
        end = min(
            int(np.searchsorted(due, due[place] + linger, side="right")), place + MOST_IN_BATCH
        )
        is_full = end - place == MOST_IN_BATCH
        closed = due[end - 1] if is_full else due[place] + linger
        ends = max(heapq.heappop(free), closed) + pace.seconds(end - place)
        answered[place:end] = ends
        heapq.heappush(free, ends)
        place = end
    return answered


def _told(waits: NDArray[np.float64]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    p50, p99 = np.percentile(waits, (50, 99)) * 1e3
    return float(p50), float(p99)


def page(
    pace: Pace, found: Mapping[str, Mapping[float, tuple[float, float]]], seconds: float
) -> str:
    """Write the table."""
    about = (
        f"{pace.per_second:,.0f} jobs a second at full speed, {1e3 * pace.alone:.1f} ms for a lone"
        f" job; {seconds:g} s of each load. Wait at p50 and p99, ms:"
    )
    lines = ["# What a job waits under load", "", about, ""]
    lines += [f"| | {' | '.join(f'{share:.0%}' for share in SHARES)} |"]
    lines += [f"|{'---|' * (1 + len(SHARES))}"]
    for name, waits in found.items():
        cells = (f"{p50:,.0f}, {p99:,.0f}" for p50, p99 in waits.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", READING, "", provenance("celery", "redis", "openvino")])


if __name__ == "__main__":
    main()
