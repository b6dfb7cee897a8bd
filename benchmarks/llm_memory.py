"""Does the worker's memory grow? 20,000 requests through a fleet with the pocket LLM.

After each thousand the memory of the worker and of vLLM's own processes is read: what belongs to
them alone (private pages). No two texts are alike, so that nothing is answered from a cache.

    python benchmarks/llm_memory.py --write
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pocket_jobs import POCKET, TASKS, endless, mixed_texts, write_catalogue
from provenance import provenance, vllm_distribution, write_result
from redis import Redis

from smallfirst import Client, Job
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

NUM_A_READING = 1000
#: One turn of everything that is written falls to so many texts of `mixed_texts`, a fourth of which
#: are topics.
NUM_TEXTS_A_WRITTEN_TURN = 64
#: Readings that are left out: buffers and caches fill up first.
NUM_WARM_UP_READINGS = 4


def worker_of(fleet: LocalFleet, pool: str) -> int:
    """The process of a pool's one worker, as its heartbeat tells it."""
    with Redis.from_url(fleet.redis_url) as redis:
        beats: Any = redis.zrange(Keys().workers(pool), 0, -1)
    [name] = beats
    holder = Holder.parse(name.decode())
    assert holder is not None
    return holder.pid


def megabytes_of(worker: int) -> tuple[float, float]:
    """The private memory of a worker, and of all below it."""
    below = psutil.Process(worker).children(recursive=True)
    return private_megabytes(worker), sum(private_megabytes(p.pid) for p in below)


def private_megabytes(pid: int) -> float:
    """Read what memory belongs to one process alone."""
    return float(psutil.Process(pid).memory_full_info().uss / 2**20)


def weighed_texts() -> list[tuple[str, str]]:
    """Mostly topics, which are scored in a moment, and some of everything that is written."""
    return [
        text
        for n, text in enumerate(mixed_texts(4000))
        if text[0] == "topic" or n % NUM_TEXTS_A_WRITTEN_TURN < len(TASKS)
    ]


def readings(client: Client, worker: int, num_requests: int) -> Iterator[tuple[float, float]]:
    """Send a thousand jobs and read the memory, again and again: MB of worker and of vLLM."""
    texts = endless(weighed_texts())
    for number in range(num_requests // NUM_A_READING):
        jobs = [Job(task=task, text=text) for task, text in islice(texts, NUM_A_READING)]
        assert len({result.id for result in client.map(jobs)}) == NUM_A_READING
        own, below = megabytes_of(worker)
        print(f"{(number + 1) * NUM_A_READING:,}: {own:,.0f} and {below:,.0f} MB", flush=True)
        yield own, below


def slope(readings: Sequence[float]) -> float:
    """MB a thousand requests, by a line through the readings."""
    return float(np.polyfit(np.arange(len(readings)), readings, 1)[0])


def report(found: Sequence[tuple[float, float]]) -> str:
    """Write the table."""
    own, below = (list(column) for column in zip(*found[NUM_WARM_UP_READINGS:], strict=True))
    half = len(own) // 2
    rows = [
        f"| {(n + 1) * NUM_A_READING:,} | {a:,.0f} | {b:,.0f} |" for n, (a, b) in enumerate(found)
    ]
    return "\n".join(
        (
            "# Memory of the LLM worker",
            "",
            (
                f"**Worker {slope(own):+.2f} MB a thousand requests, vLLM's processes"
                f" {slope(below):+.2f}**, after the first"
                f" {NUM_WARM_UP_READINGS * NUM_A_READING:,} (lines through the readings; through"
                f" their last half {slope(own[half:]):+.2f} and {slope(below[half:]):+.2f})."
                f" Private memory; {NUM_TEXTS_A_WRITTEN_TURN // len(TASKS)} topics for an"
                " invoice, a paper and a reply."
            ),
            "",
            "| requests | worker, MB | vLLM, MB |",
            "|---|---|---|",
            *rows,
            "",
            provenance(vllm_distribution(), "torch", "celery"),
        )
    )


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=POCKET / "model")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="into benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        catalogue = write_catalogue(folder, options.model.absolute())
        fleet = LocalFleet(
            folder / "catalogue.yaml", folder / "fleet", flower=False, persistent=False
        )
        with fleet, Client(fleet.redis_url) as client:
            fleet.wait_ready(timedelta(minutes=10))
            worker = worker_of(fleet, *catalogue.pools)
            found = list(readings(client, worker, options.requests))
    text = report(found)
    print(text)
    if options.write:
        write_result("llm_memory", text)


if __name__ == "__main__":
    main()
