"""A long run under random faults: whatever can die, stop, freeze or lie does so, again and again.

    make chaos                                            # 30 minutes, 100,000 jobs
    python -m tests.support.chaos --minutes 30 --seed 7    # the same faults at the same moments
    python -m tests.support.chaos --mixed                  # one of each kind is of an older version
    python -m tests.support.chaos --cluster                # four slices, which move in a cluster

At its end every confirmed job must have exactly one result that never changed, and one record of it
in an audit log whose keeper was killed too; and Redis must be at rest. It prints how long each kind
of fault was felt. What is struck depends on who has work just then, so that two runs of a seed are
alike, not equal.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import yaml
from redis import Redis
from tests.support.cluster_fleets import ClusterFleet, SlicedRedis
from tests.support.clusters import cluster_in
from tests.support.invariants import (
    assert_unchanged,
    lasting_keys,
    orphans,
    remains,
    result_key,
)
from tests.support.links import LinkedFleet
from tests.support.log_keepers import StruckKeeper, check_log
from tests.support.producers import (
    CANARY,
    WIRE_WORDS,
    Producer,
    Results,
    jobs_of,
    texts_of,
)
from tests.support.redis_settings import write_before_answering
from tests.support.strikes import CARELESS, LLM, NUM_AGAIN, NUM_KEPT, SLM, Chaos, Fault
from tests.support.versions import PREVIOUS_COMMIT, unpack_previous
from tests.support.waiting import wait_until

from smallfirst.jobs import Result, Status
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.producers import Producer as Registered
from smallfirst.ledger.producers import ProducerRegistry

SUPPORT_MAIL = Path(__file__).parents[2] / "examples" / "support_mail"
KEYS = Keys()
NUM_ROUTERS, NUM_SLM_WORKERS, NUM_PRODUCERS = 2, 3, 2
#: How many slices a fleet over a cluster has.
NUM_SLICES = 4
#: Of how many faults that were felt longest the report tells more.
NUM_LONGEST = 3
#: The share of the time in which jobs come; the rest is for what is left.
BUSY = 0.85
#: How long the last job may take once all faults are over.
SETTLES = timedelta(minutes=10)


def write_catalogue(folder: Path) -> Path:
    """Write the demo's catalogue, its paths absolute, without its steps that ask a person."""
    whole = yaml.safe_load((SUPPORT_MAIL / "catalogue.yaml").read_text("utf-8"))
    for model in whole["models"].values():
        if ":" not in model["source"]:
            model["source"] = str((SUPPORT_MAIL / model["source"]).resolve())
    for task in whole["tasks"].values():
        task["cascade"] = [step for step in task["cascade"] if "person" not in step]
        if "examples" in task:
            task["examples"] = str(SUPPORT_MAIL / task["examples"])
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    return path


@dataclass
class JobCounts:
    """How the jobs of a run ended, and how many were of the odd kinds.

    Attributes:
        statuses: How many ended each way.
        num_documents: Documents of digits.
        num_worded: Those with words of the wire in their metadata.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    num_documents: int = 0
    num_worded: int = 0

    def add(self, result: Result) -> None:
        """Count one."""
        self.statuses[str(result.status)] += 1
        self.num_documents += result.id.startswith("document")
        self.num_worded += bool(result.metadata)


@dataclass
class Report:
    """What a run showed.

    Attributes:
        num_keepers: How many keepers of the audit log were killed; None where none was kept.
    """

    seed: int
    minutes: float
    jobs: JobCounts
    faults: list[Fault]
    num_repeats: int
    settled_seconds: float
    num_keepers: int | None = None

    def __str__(self) -> str:
        """A table of the faults below the counts."""
        felt: dict[str, list[float]] = defaultdict(list)
        for fault in self.faults:
            felt[fault.kind] += [fault.seconds] if fault.seconds is not None and fault.held else []
        counts = {kind: sum(f.kind == kind for f in self.faults) for kind in felt}
        statuses = self.jobs.statuses
        ends = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
        head = (
            f"Seed {self.seed}, {self.minutes:g} minutes: {statuses.total():,} jobs confirmed,"
            f" {ends}, among them {self.jobs.num_documents:,} documents of digits and"
            f" {self.jobs.num_worded:,} with words of the wire in their metadata; none lost, none"
            f" with two results; {len(self.faults)} faults;"
            f" {self.num_repeats} submissions repeated by id; at rest {self.settled_seconds:.0f} s"
            " after the last fault."
        )
        if self.num_keepers is not None:
            head += (
                f" {self.num_keepers} keepers of the audit log were killed; it is whole, and has"
                " one record of each result."
            )
        rows = [_row(kind, counts[kind], felt[kind]) for kind in sorted(felt)]
        titles = (
            "| fault | times | with work in hand | median, s | longest, s |\n|---|---|---|---|---|"
        )
        longest = [f"- {line}" for line in _longest(self.faults)]
        return "\n".join((head, "", titles, *rows, "", "The longest:", "", *longest, ""))


def _longest(faults: Sequence[Fault]) -> Iterator[str]:
    """Say of the three faults that were felt longest who was struck, and by what else meanwhile."""
    felt = [fault for fault in faults if fault.seconds is not None and fault.held]
    for fault in sorted(felt, key=lambda each: -(each.seconds or 0))[:NUM_LONGEST]:
        over = fault.begun + (fault.seconds or 0)
        others = [
            f"{each.kind} of {each.victim or 'nobody'} at {each.begun - fault.begun:.0f} s"
            for each in faults
            if fault.begun < each.begun < over
        ]
        yield f"{fault.kind} of {fault.victim}, {fault.seconds:.1f} s; meanwhile " + (
            ", ".join(others) or "nothing"
        )


def _row(kind: str, count: int, seconds: Sequence[float]) -> str:
    middle = f"{statistics.median(seconds):.1f}" if seconds else ""
    longest = f"{max(seconds):.1f}" if seconds else ""
    return f"| {kind} | {count} | {len(seconds)} | {middle} | {longest} |"


def run(
    *,
    minutes: float,
    seed: int,
    num_jobs: int,
    num_poison: int,
    folder: Path,
    is_mixed: bool = False,
    is_clustered: bool = False,
) -> Report:
    """Run a fleet under faults, and check what must hold.

    Raises:
        AssertionError: When it does not.
    """
    path = write_catalogue(folder)
    with ExitStack() as opening:
        options: dict[str, Any] = {
            "routers": NUM_ROUTERS,
            "slm_processes": NUM_SLM_WORKERS,
            "worker_module": "tests.support.mortal_worker",
            "roots": _previous(folder / "previous") if is_mixed else {},
        }
        fleet = (
            _clustered(opening, path, folder, **options)
            if is_clustered
            else LinkedFleet(path, folder / "fleet", **options)
        )
        slices = fleet.slices if isinstance(fleet, ClusterFleet) else (KEYS,)
        opening.enter_context(fleet)
        redis = opening.enter_context(_connect(fleet, slices))
        fleet.wait_ready(timedelta(minutes=10))
        write_before_answering(fleet.redis_url)
        ProducerRegistry(redis, KEYS).write(CARELESS.producer, Registered())
        url = fleet.cluster.url if isinstance(fleet, ClusterFleet) else fleet.redis_url
        producers = _producers(url, seed, minutes, num_jobs, num_poison, len(slices))
        chaos = Chaos(fleet, redis, seed, producers, slices)
        results = Results(opening.enter_context(_connect(fleet, slices)), producers)
        # Neither an older version nor a cluster's several slices are part of this check.
        keeper = None if is_mixed or is_clustered else StruckKeeper(url, folder / "kept", seed)
        report = _strike(fleet, chaos, redis, minutes, seed, producers, results, keeper)
    assert not orphans(chaos.pids), "processes outlived the fleet"
    leaks = [str(log) for log in fleet.logs.glob("*") if CANARY in log.read_text(errors="replace")]
    assert not leaks, f"texts of jobs in {leaks}"
    return report


def _clustered(opening: ExitStack, catalogue: Path, folder: Path, **options: Any) -> ClusterFleet:
    """Start a cluster, whose nodes have about as many slices each."""
    cluster = opening.enter_context(cluster_in(folder / "cluster", wait_until))
    return ClusterFleet(catalogue, folder / "fleet", cluster, NUM_SLICES, **options)


def _connect(fleet: LinkedFleet, slices: Sequence[Keys]) -> Any:
    """Connect to all that the fleet keeps, by links that are never struck."""
    redis = Redis.from_url(fleet.redis_url, socket_timeout=10)
    if isinstance(fleet, ClusterFleet):
        return SlicedRedis(fleet.cluster, slices, redis)
    return redis


def _previous(folder: Path) -> dict[str, Path]:
    """Put the earlier version there, for the last router and the last small model's worker."""
    folder.mkdir()
    assert unpack_previous(folder), f"no history of git here reaches back to {PREVIOUS_COMMIT}"
    return dict.fromkeys((f"router-{NUM_ROUTERS}", f"worker-{SLM}-{NUM_SLM_WORKERS}"), folder)


def _producers(
    url: str, seed: int, minutes: float, num_jobs: int, num_poison: int, num_slices: int
) -> list[Producer]:
    texts, seconds = texts_of(seed), minutes * 60 * BUSY
    share, poison = num_jobs // NUM_PRODUCERS, num_poison // NUM_PRODUCERS
    names = [f"producer-{number}" for number in range(NUM_PRODUCERS)]
    return [
        Producer(url, list(jobs_of(seed, name, share, texts, poison)), seconds, num_slices)
        for name in names
    ]


def _strike(
    fleet: LinkedFleet,
    chaos: Chaos,
    redis: Any,
    minutes: float,
    seed: int,
    producers: Sequence[Producer],
    results: Results,
    keeper: StruckKeeper | None,
) -> Report:
    if keeper is not None:
        keeper.start()
    results.start()
    threads = [producer.start() for producer in producers]
    chaos.run(monotonic() + minutes * 60)
    over = monotonic()
    for thread in threads:
        thread.join(SETTLES.total_seconds())
    ids = [name for producer in producers for name in producer.confirmed]
    is_all = len(ids) == sum(len(producer.jobs) for producer in producers)
    assert is_all, "a producer could not submit everything"
    _wait_for_rest(fleet, chaos, redis, results, ids)
    settled = monotonic() - over
    results.stop()
    chaos.look()
    if keeper is not None:
        keeper.close()
    _check_careless(redis, chaos.num_careless)
    return Report(
        seed,
        minutes,
        _check(redis, results, ids, len(chaos.slices), keeper),
        chaos.faults,
        sum(producer.num_repeats for producer in producers),
        settled,
        keeper.num_killed if keeper else None,
    )


def _wait_for_rest(
    fleet: LinkedFleet, chaos: Chaos, redis: Any, results: Results, ids: Sequence[str]
) -> None:
    pause = threading.Event()
    until = monotonic() + SETTLES.total_seconds()
    while len(results.digests) < len(ids) or (left := _remains(redis, chaos.slices)):
        fleet.check()
        missing = len(ids) - len(results.digests)
        assert monotonic() < until, f"{missing} without a result; {left}"
        pause.wait(0.5)


def _remains(redis: Any, slices: Sequence[Keys]) -> dict[str, int]:
    """What is not at rest, of any producer, in any slice."""
    left = {CARELESS.jobs: redis.xlen(CARELESS.jobs)}
    found = {what: count for what, count in left.items() if count}
    for keys in slices:
        found |= remains(redis, (SLM, LLM), keys)
    return found


def _check_careless(redis: Any, num_times: int) -> None:
    """Check that what the careless producer left in its stream each time has its result too."""
    if not num_times:
        return
    ids = [key.rpartition(b":")[2] for key in redis.scan_iter(match=CARELESS.result("*"))]
    assert all(name.startswith(b"careless-") for name in ids), "results of others' jobs"
    last = {
        f"careless-{num_times - 1}-{number}".encode()
        for number in range(NUM_AGAIN - NUM_KEPT, NUM_AGAIN)
    }
    assert last <= set(ids), f"without a result: {sorted(last - set(ids))}"


def _check(
    redis: Any,
    results: Results,
    ids: Sequence[str],
    num_slices: int,
    keeper: StruckKeeper | None,
) -> JobCounts:
    """Check every job's end; count them."""
    assert set(results.digests) == set(ids), "not every confirmed job has a result"
    # Whoever submits an id again, as a client does that lost its connection, gets the same result:
    # that it never changes is what there being one means.
    assert_unchanged(redis, results.digests, num_slices)
    left = lasting_keys(redis)
    assert not left, f"keys without a bound: {left}"
    counts = JobCounts()
    for result in _read(redis, ids, num_slices):
        _check_one(result)
        counts.add(result)
    if keeper is not None:
        check_log(keeper.log, keeper.key, _read(redis, ids, num_slices))
    return counts


def _read(redis: Any, ids: Sequence[str], num_slices: int) -> Iterator[Result]:
    for start in range(0, len(ids), 1000):
        keys = [result_key(name, num_slices) for name in ids[start : start + 1000]]
        yield from map(Result.model_validate_json, redis.mget(keys))


def _check_one(result: Result) -> None:
    assert result.metadata in ({}, WIRE_WORDS), f"{result.id} has another job's metadata"
    if result.id.startswith("deadly"):
        assert result.status is Status.FAILED, f"{result.id} ended as {result.status}"
    else:
        said = result.problem.code if result.problem else ""
        is_answer = result.status in (Status.ANSWERED, Status.ABSTAINED)
        assert is_answer, f"{result.id} ended as {result.status}: {said}"


def main() -> None:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000))
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--poison", type=int, default=6)
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--cluster", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)  # noqa: T201 - the drill's output
    with tempfile.TemporaryDirectory() as folder:
        report = run(
            minutes=options.minutes,
            seed=options.seed,
            num_jobs=options.jobs,
            num_poison=options.poison,
            folder=Path(folder),
            is_mixed=options.mixed,
            is_clustered=options.cluster,
        )
    sys.stdout.write(f"{report}\n")


if __name__ == "__main__":
    main()
