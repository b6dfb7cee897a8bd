"""`smallfirst queues`: what waits where, and who is there to do it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import typer
from redis import Redis
from redis.exceptions import ResponseError

from smallfirst.cli.fleet_connection import Link, link_of
from smallfirst.cli.output import JsonOption, console, duration, print_json, table
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP, ROUTERS
from smallfirst.ledger.ledger import Ledger


@dataclass(frozen=True)
class Waiting:
    """The jobs of some streams, by who has them, and the seconds since the oldest was submitted.

    `unread` nobody has read; `held` a router holds for the next batch; `queued` are in a batch that
    waits for a worker; `working` a worker has in hand.
    """

    unread: int = 0
    held: int = 0
    queued: int = 0
    working: int = 0
    oldest_seconds: float | None = None

    def __add__(self, other: "Waiting") -> "Waiting":
        ages = [age for age in (self.oldest_seconds, other.oldest_seconds) if age is not None]
        return Waiting(
            self.unread + other.unread,
            self.held + other.held,
            self.queued + other.queued,
            self.working + other.working,
            max(ages, default=None),
        )


def queues(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show what waits in each pool and stream, its age, and the live workers."""
    with link_of(context) as link:
        found = survey(link)
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(table(_POOL_COLUMNS, map(_pool_row, found["pools"])))
    out.print()
    out.print(table(_STREAM_COLUMNS, map(_stream_row, found["streams"])))
    out.print(f"\nrouters {found['routers']}   dead letters {found['dead_letters']}")


def survey(link: Link) -> dict[str, Any]:
    """Count everything that waits, as JSON."""
    ledger = Ledger(link.redis, link.keys, "cli")
    now_ms = ledger.now_ms()
    return {
        "routers": ledger.count_workers(ROUTERS),
        "dead_letters": ledger.count_entries([link.keys.dead]),
        "streams": [
            {"stream": name, **asdict(_count(link.redis, stream, ROUTER_GROUP, now_ms))}
            for name, stream in (("jobs", link.keys.jobs), ("escalations", link.keys.escalations))
        ],
        "pools": [
            _pool(link, ledger, pool, now_ms) for pool in sorted(ledger.pools_with_backlogs())
        ],
    }


def _pool(link: Link, ledger: Ledger, pool: str, now_ms: int) -> dict[str, Any]:
    streams = link.keys.backlogs(pool).values()
    waiting = [_count(link.redis, stream, POOL_GROUP, now_ms) for stream in streams]
    return {
        "pool": pool,
        **asdict(sum(waiting, Waiting())),
        "batches": ledger.count_waiting_batches(pool),
        "workers": ledger.count_workers(pool),
    }


def _count(redis: Redis, stream: str, group: str, now_ms: int) -> Waiting:
    """Count one stream's entries by who holds them, all at one moment."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.xlen(stream)
    pipeline.xpending(stream, group)
    pipeline.xrange(stream, count=1)
    reply: Any = pipeline.execute(raise_on_error=False)
    num_entries, pending, first = reply
    if isinstance(pending, ResponseError):  # No group: nobody has read anything yet.
        pending = {"pending": 0, "consumers": []}
    by_holder = {who["name"].decode(): int(who["pending"]) for who in pending["consumers"] or ()}
    held = sum(n for name, n in by_holder.items() if _is_router(name))
    queued = by_holder.get(QUEUE_CONSUMER, 0)
    return Waiting(
        unread=num_entries - pending["pending"],
        held=held,
        queued=queued,
        working=pending["pending"] - held - queued,
        oldest_seconds=(now_ms - _submitted_ms(*first[0])) / 1000 if first else None,
    )


def _is_router(name: str) -> bool:
    holder = Holder.parse(name)
    return holder is not None and holder.is_router


def _submitted_ms(entry: bytes, fields: Mapping[bytes, bytes]) -> int:
    """When a job was submitted; its entry may be younger, where it waits for a later step."""
    with suppress(KeyError, ValueError, TypeError):
        return int(json.loads(fields[b"slip"])["submitted_ms"])
    return int(entry.partition(b"-")[0])


_COUNTS = ("unread", "held", "queued", "working")
_POOL_COLUMNS = ("pool", *_COUNTS, "oldest", "batches", "workers")
_STREAM_COLUMNS = ("stream", "unread", "held", "oldest")


def _pool_row(pool: Mapping[str, Any]) -> list[str]:
    counts = [str(pool[count]) for count in _COUNTS]
    ends = [str(pool["batches"]), str(pool["workers"])]
    return [pool["pool"], *counts, duration(pool["oldest_seconds"]), *ends]


def _stream_row(stream: Mapping[str, Any]) -> list[str]:
    counts = [str(stream[count]) for count in ("unread", "held")]
    return [stream["stream"], *counts, duration(stream["oldest_seconds"])]
