"""What holds after every fault: one end for each id, results that never change, nothing left over.

Imported as `tests.support.invariants`; it knows a Redis and results, and nothing else.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from smallfirst.jobs import Result, Status
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.slices import slice_of

#: Keys that need no TTL: `ledger.keys` declares what bounds them.
LASTING_KEYS = re.compile(
    r"\{[^:]+:\d+\}:(slices|producers|pools|log|log:lost|log:head|(jobs|submissions):[^:]+|escalations|dead"
    r"|backlog:[^:]+:(interactive|bulk))|[^:]+:celery:.+"
)
#: How a job ends whose answer was not prevented by its own fault.
ANSWERS = frozenset({Status.ANSWERED, Status.ABSTAINED})


@dataclass
class Stopwatch:
    """Seconds from a fault to what ended it; prints its figure."""

    name: str
    started: float = field(default_factory=monotonic)

    def report(self) -> float:
        """Print and return the seconds so far."""
        seconds = monotonic() - self.started
        print(f"{self.name}: {seconds:.1f} s")  # noqa: T201 - the figure of a drill
        return seconds


def digests(redis: Any, ids: Iterable[str], num_slices: int = 1) -> dict[str, str]:
    """SHA-256 of every visible result, by id, as Redis has it."""
    names = list(ids)
    if not names:
        return {}
    found = redis.mget([result_key(name, num_slices) for name in names])
    pairs = zip(names, found, strict=True)
    return {name: hashlib.sha256(raw).hexdigest() for name, raw in pairs if raw is not None}


def result_key(job_id: str, num_slices: int = 1) -> str:
    """Where the result of a job of the producer `default` is."""
    keys = Keys("sf", slice_of(job_id, num_slices))
    return keys.of_producer("default").result(job_id)


def assert_each_ended_once(
    results: Iterable[Result], ids: Collection[str], statuses: Collection[Status] = ANSWERS
) -> None:
    """Every confirmed id has exactly one result, of one of these statuses."""
    found = list(results)
    assert Counter(result.id for result in found) == Counter(ids)
    others = Counter(result.status for result in found if result.status not in statuses)
    assert not others, f"jobs that ended otherwise: {others}"


def assert_unchanged(redis: Any, before: Mapping[str, str], num_slices: int = 1) -> None:
    """No result that was visible has changed since its digest was taken."""
    now = digests(redis, before, num_slices)
    changed = [name for name, digest in before.items() if now.get(name) != digest]
    assert not changed, f"results that changed or went: {changed[:5]}"


def remains(redis: Any, pools: Iterable[str], keys: Keys | None = None) -> dict[str, int]:
    """What is not at rest: entries, pending entries, messages; empty when all is done."""
    known = keys or Keys()
    groups = {known.of_producer("default").jobs: ROUTER_GROUP, known.escalations: ROUTER_GROUP}
    lists: dict[str, int] = {}
    for pool in pools:
        groups |= dict.fromkeys(known.backlogs(pool).values(), POOL_GROUP)
        lists |= {queue: redis.llen(queue) for queue in known.queues(pool).values()}
        lists[known.unacked(pool)] = redis.hlen(known.unacked(pool))
    left = {stream: redis.xlen(stream) for stream in groups}
    left |= {f"{s} pending": _pending(redis, s, group) for s, group in groups.items()}
    return {what: count for what, count in (left | lists).items() if count}


def wait_until_at_rest(redis: Any, pools: Collection[str]) -> None:
    """Wait until nothing remains; fail with what does.

    A message whose acknowledgement a fault swallowed is taken up again after Celery's
    `visibility_timeout` of 60 seconds, looked for every ten, and claims nothing.
    """
    until = monotonic() + 90
    while left := remains(redis, pools):
        assert monotonic() < until, f"after 90 s there remain {left}"
        sleep(0.1)


def _pending(redis: Any, stream: str, group: str) -> int:
    return int(redis.xpending(stream, group)["pending"]) if redis.exists(stream) else 0


def lasting_keys(redis: Any) -> list[str]:
    """Keys without a TTL that no declaration bounds."""
    names = [key.decode() for key in redis.scan_iter(count=1000)]
    return [n for n in names if not LASTING_KEYS.fullmatch(n) and redis.ttl(n) == -1]


def orphans(parent_pids: Iterable[int]) -> list[int]:
    """Processes that still run in the groups of these, which have ended."""
    groups = {str(pid) for pid in parent_pids}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if group in groups and state != "Z":
            found.append(int(stat.parent.name))
    return found
