"""`smallfirst up`: a whole fleet in the foreground, until Ctrl-C drains it."""

import os
import threading
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from smallfirst.cli.global_options import globals_of, refuse_foreign_redis
from smallfirst.cli.log_lines import shown_line
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import USAGE, JsonOption, fail, note, print_json, say
from smallfirst.cli.signals import drained_by_signals
from smallfirst.cli.starting import ChangeTeller, show_start
from smallfirst.client.producer import URL_VARIABLE
from smallfirst.local import LocalFleet
from smallfirst.local.catalogue_news import CatalogueNews, CatalogueState, left_word
from smallfirst.local.follow import LogFollower
from smallfirst.process.announcement import Addresses, default_folder
from smallfirst.settings import Settings, load_settings

#: How often the fleet is asked whether it still is one.
_CHECK_SECONDS = 0.5

RedisPortOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="The port of Redis; if not given, the one it had before in this folder, else one that"
        " is free.",
    ),
]
FlowerPortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="The port of Flower; if not given, one that is free."),
]


def up(  # noqa: PLR0913 - a command's signature is its options
    context: typer.Context,
    *,
    catalogue: CatalogueOption = None,
    routers: Annotated[int, typer.Option(min=1, help="The number of routers.")] = 1,
    slm_processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="The number of workers of each SLM pool; if not given, one for each core."
        ),
    ] = None,
    redis_port: RedisPortOption = None,
    flower_port: FlowerPortOption = None,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Start no Flower.")] = False,
    desk_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="The port of the review desk; if not given, one that is free.",
        ),
    ] = None,
    ready_within: Annotated[
        float,
        typer.Option(
            min=1, help="The seconds that the fleet may take to start; a first start trains heads."
        ),
    ] = 300.0,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every process's log as it grows.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a whole fleet here: Redis, routers, workers, Flower. Ctrl-C drains it, twice ends it.

    Other commands on this machine find it by themselves. Where a task asks a person, a review desk
    is there too.
    """
    refuse_foreign_redis(globals_of(context))
    settings = load_settings(Settings, catalogue=catalogue)
    if not settings.catalogue.is_file():
        fail(f"{settings.catalogue}: no such file; name one with --catalogue", exit_code=USAGE)
    fleet = LocalFleet(
        settings.catalogue,
        globals_of(context).folder or default_folder(),
        routers=routers,
        slm_processes=slm_processes,
        flower=not no_flower,
        redis_port=redis_port,
        flower_port=flower_port,
        desk_port=desk_port,
    )
    with ExitStack() as opening, drained_by_signals(fleet):
        if verbose:
            opening.enter_context(LogFollower(fleet.logs, partial(shown_line, to_stderr=True)))
        _serve(fleet, timedelta(seconds=ready_within), as_json=as_json)


def _serve(fleet: LocalFleet, ready_within: timedelta, *, as_json: bool) -> None:
    """Run the fleet until it is interrupted, or cannot go on."""
    try:
        with fleet:
            show_start(fleet, ready_within)
            _show_addresses(fleet, as_json=as_json)
            _watch(fleet)
    except KeyboardInterrupt:
        note("stopped")


def _watch(fleet: LocalFleet) -> NoReturn:
    """See that the fleet stays whole, and tell what becomes of its parts and its catalogue.

    Raises:
        ChildFailedError: When a process could not be kept running.
    """
    assert fleet.addresses is not None
    news = CatalogueNews(Path(fleet.addresses.catalogue), _show_news)
    with left_word(fleet.folder, news.state) as leave_word:
        tell_changes, pause = ChangeTeller(), threading.Event()
        while not pause.wait(_CHECK_SECONDS):
            fleet.check()
            tell_changes(fleet.parts())
            if news.look():
                leave_word(news.state)
    raise AssertionError("nobody ends the pause")


def _show_news(state: CatalogueState) -> None:
    if not state.rejected:
        note(f"catalogue: revision {state.revision} is taken up")
        return
    for problem in state.rejected:
        note(problem)
    note(f"catalogue: rejected as it stands; revision {state.revision} stays in force")


def _show_addresses(fleet: LocalFleet, *, as_json: bool) -> None:
    addresses = fleet.addresses
    assert addresses is not None
    if as_json:
        print_json(asdict(addresses))
        return
    say(f"Redis      {addresses.redis_url}")
    say(f"Flower     {addresses.flower_url or 'not started'}")
    _show_desk(fleet, addresses)
    say(f"catalogue  {addresses.catalogue}")
    say(f"logs       {fleet.logs}")
    if fleet.lost_port:
        note(f"another program has port {fleet.lost_port}, where this fleet's Redis was before")
    note(how_to_find(addresses, os.environ.get(URL_VARIABLE)))
    note("ready; Ctrl-C drains and stops it")


def _show_desk(fleet: LocalFleet, addresses: Addresses) -> None:
    """Say where people answer, and as whom they sign in the first time."""
    account = fleet.desk_account
    if addresses.desk_url is None or account is None:
        return
    say(f"desk       {addresses.desk_url}")
    if account.password is not None:
        note(f"sign in at the desk as {account.name}, password {account.password} (said once)")
    else:
        note(f"the desk's users are in {account.users}")


def how_to_find(addresses: Addresses, set_url: str | None) -> str:
    """Tell what other programs need to know, on a line that a shell takes as it stands.

    Args:
        addresses: Of the fleet.
        set_url: The Redis that this shell's environment names, if it does.
    """
    export = f"\n    export {URL_VARIABLE}={addresses.redis_url}"
    if set_url and set_url != addresses.redis_url:
        return f"{URL_VARIABLE} names another Redis in this shell; for this fleet{export}"
    if addresses.folder != str(default_folder().absolute()):
        return f"commands find it with --folder {addresses.folder}, all else by{export}"
    return f"commands and Python clients find it by themselves, all else by{export}"
