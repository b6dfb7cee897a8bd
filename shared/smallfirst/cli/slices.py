"""`smallfirst slices`: where each slice of a fleet is, and another number of them."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from redis.crc import key_slot

from smallfirst.cli.fleet_connection import link_of
from smallfirst.cli.output import JsonOption, console, fail, note, print_json, say, table
from smallfirst.ledger.producers import ProducerRegistry
from smallfirst.ledger.resizing import hindrances, resize
from smallfirst.ledger.slices import Slice
from smallfirst.process.connection import connect_slices
from smallfirst.settings import MAX_SLICES

app = typer.Typer(
    help="Show where each slice of the fleet is, and change their number.",
    no_args_is_help=True,
    add_completion=False,
)
_COLUMNS = ("slice", "keys", "slot", "jobs submitted")


@app.command("list")
def list_slices(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show the slot of each slice in a cluster, and the jobs submitted that no router has read."""
    with link_of(context) as link:
        found = [_about(each) for each in link.slices]
    if as_json:
        print_json(found)
        return
    console().print(table(_COLUMNS, map(_row, found)))


@app.command("change")
def change_slices(
    context: typer.Context,
    number: Annotated[
        int,
        typer.Argument(
            min=1, max=MAX_SLICES, metavar="NUMBER", help="The number of slices from now on."
        ),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Give a fleet at rest another number of slices.

    Refused while a router or worker lives, a job has not ended, or a dead letter is kept. Results
    are not found any more afterwards; fetch them first.
    """
    with link_of(context) as link:
        if found := hindrances(link.load()):
            fail(f"not now: {', '.join(found)}")
        settings = link.settings.model_copy(update={"slices": number})
        slices = connect_slices(settings, role="cli")
        try:
            resize(link.slices, slices)
        finally:
            for each in slices:
                each.redis.close()
    if as_json:
        print_json({"slices": number})
        return
    say(f"slices: {number}")
    note(f"set SMALLFIRST_SLICES={number} for every router, worker and producer")


def _about(of: Slice) -> dict[str, Any]:
    redis: Any = of.redis
    names = ProducerRegistry(of.redis, of.keys).read()
    num_jobs = sum(redis.xlen(of.keys.of_producer(name).jobs) for name in names)
    slot = key_slot(of.keys.tag[1:-1].encode())
    return {"slice": of.keys.slice, "keys": of.keys.tag, "slot": slot, "submitted": num_jobs}


def _row(about: Mapping[str, Any]) -> list[str]:
    return [str(value) for value in about.values()]
