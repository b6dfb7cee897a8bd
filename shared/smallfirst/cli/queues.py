"""`smallfirst queues`: what waits where, and who is there to do it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer

from smallfirst.cli.dead_counts import DeadCounts, count_dead
from smallfirst.cli.fleet_connection import Link, catalogue_state_of, link_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.output import JsonOption, console, duration, print_json, table
from smallfirst.ledger.survey import PoolLoad


def queues(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show what waits for each pool and of each producer, its age, and the live workers."""
    with link_of(context) as link:
        found = waiting(link)
        state = catalogue_state_of(globals_of(context), link.settings)
    if as_json:
        print_json({**found, "catalogue": asdict(state) if state else None})
        return
    out = console()
    out.print(table(_POOL_COLUMNS, map(_pool_row, found["pools"])))
    out.print()
    out.print(table(("producer", *_WAITING_COLUMNS), map(_producer_row, found["producers"])))
    out.print()
    out.print(table(("stream", *_WAITING_COLUMNS), map(_stream_row, found["streams"])))
    dead = DeadCounts(found["given_up"], found["refused"])
    told = f"   dead letters {dead if found['dead_letters'] else 0}"
    out.print(f"\nrouters {found['routers']}{told}")
    if state:
        rejected = "; its file is rejected as it stands: smallfirst check" if state.rejected else ""
        out.print(f"catalogue {state.revision}{rejected}")


def waiting(link: Link) -> dict[str, Any]:
    """Count everything that waits, as JSON. Pools are known by their backlogs."""
    load = link.load()
    dead = count_dead(link.slices) if load.dead_letters else DeadCounts()
    return {
        "routers": load.routers,
        "dead_letters": load.dead_letters,
        **asdict(dead),
        "producers": [{"producer": n, **asdict(each)} for n, each in load.producers.items()],
        "streams": [
            {"stream": "jobs", **asdict(load.jobs)},
            {"stream": "escalations", **asdict(load.escalations)},
        ],
        "pools": [_pool(name, pool) for name, pool in load.pools.items()],
    }


def _pool(name: str, pool: PoolLoad) -> dict[str, Any]:
    ends = {"batches": pool.batches, "workers": pool.workers}
    return {"pool": name, **asdict(pool.total), **ends}


_COUNTS = ("unread", "held", "queued", "working")
_POOL_COLUMNS = ("pool", *_COUNTS, "oldest", "batches", "workers")
_WAITING_COLUMNS = ("unread", "held", "oldest")


def _pool_row(pool: Mapping[str, Any]) -> list[str]:
    counts = [str(pool[count]) for count in _COUNTS]
    ends = [str(pool["batches"]), str(pool["workers"])]
    return [pool["pool"], *counts, duration(pool["oldest_seconds"]), *ends]


def _producer_row(producer: Mapping[str, Any]) -> list[str]:
    return [producer["producer"], *_waiting_row(producer)]


def _stream_row(stream: Mapping[str, Any]) -> list[str]:
    return [stream["stream"], *_waiting_row(stream)]


def _waiting_row(load: Mapping[str, Any]) -> list[str]:
    counts = [str(load[count]) for count in ("unread", "held")]
    return [*counts, duration(load["oldest_seconds"])]
