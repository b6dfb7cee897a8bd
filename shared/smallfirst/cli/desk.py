"""`smallfirst desk`: the review desk in the foreground, and who may sign in there."""

import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.cli.agreement import show_agreement
from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import JsonOption, fail, note, print_json
from smallfirst.process.installed import can_run_desk
from smallfirst.settings import DeskSettings, Settings, load_settings, variable_of

#: What serves.
_MODULE = "smallfirst_desk"

app = typer.Typer(
    help="Serve the review desk, where people answer in a browser what no model was sure of.",
    add_completion=False,
)

UsersOption = Annotated[
    Path | None,
    typer.Option(
        help="The file of those who may sign in; if not given, SMALLFIRST_DESK_USERS, else"
        " desk-users.yaml."
    ),
]


class Role(StrEnum):
    """What somebody may do at the desk; `smallfirst_desk.users` says what."""

    REVIEWER = "reviewer"
    LEAD = "lead"
    ADMIN = "admin"


@app.callback(invoke_without_command=True)
def desk(
    context: typer.Context,
    *,
    catalogue: CatalogueOption = None,
    users: UsersOption = None,
    host: Annotated[
        str | None,
        typer.Option(help="The address to serve on; if not given, this machine's own, 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; if not given, 8470.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve the review desk, where people answer in a browser what no model was sure of."""
    _check_installed()
    if context.invoked_subcommand is not None:
        context.obj = (globals_of(context), users)
        return
    fleet = settings_of(globals_of(context))
    told: dict[str, object] = {
        "catalogue": catalogue,
        "desk_users": users,
        "desk_host": host,
        "desk_port": port,
    }
    settings = load_settings(DeskSettings, **told)
    if not settings.desk_users.is_file():
        fail(
            f"{settings.desk_users}: no such file; `smallfirst desk add-user NAME` makes it, and"
            " --users names another"
        )
    url = f"http://{settings.desk_host}:{settings.desk_port}"
    if as_json:
        print_json({"desk_url": url})
    else:
        note(f"the desk: {url}; Ctrl-C stops it")
    _replace_this_process(_variables(fleet, told))


def _variables(fleet: Settings, told: dict[str, object]) -> dict[str, str]:
    """What the desk's process is told: where the fleet is, and what the options say."""
    given = {
        "redis_url": fleet.redis_url.get_secret_value(),
        "namespace": fleet.namespace,
        "catalogue": fleet.catalogue,
        **{name: value for name, value in told.items() if value is not None},
    }
    return {variable_of(name): str(value) for name, value in given.items()}


def _replace_this_process(variables: dict[str, str]) -> None:
    """Become the desk, so that signals reach it."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", **variables}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", _MODULE], environment)  # noqa: S606


@app.command("add-user")
def add_user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")],
    *,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task whose jobs the person sees; may be given several times."),
    ] = None,
    role: Annotated[
        Role,
        typer.Option(help="Who answers, who sees besides who has what, or who sees every task."),
    ] = Role.REVIEWER,
    known_as: Annotated[
        str | None,
        typer.Option(help="As whom a proxy or a provider knows the person; the name if not given."),
    ] = None,
    without_password: Annotated[
        bool,
        typer.Option(
            "--without-password", help="Let the person sign in at a proxy or a provider alone."
        ),
    ] = False,
    users: UsersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a person who may sign in, or change one; the password is asked for, or read from stdin.

    A desk that runs takes it up by itself.
    """
    _, given = context.obj
    path = load_settings(DeskSettings, desk_users=users or given).desk_users
    command = [sys.executable, "-m", f"{_MODULE}.add_user", name, "--users", str(path)]
    tasks = [word for each in task or () for word in ("--task", each)]
    more = [
        *(("--known-as", known_as) if known_as is not None else ()),
        *(("--without-password",) if without_password else ()),
        *(("--json",) if as_json else ()),
    ]
    ended = subprocess.run([*command, "--role", role, *tasks, *more], check=False)  # noqa: S603 - ours
    raise typer.Exit(ended.returncode)


@app.command("verify-log")
def verify_log(
    folder: Annotated[
        Path | None,
        typer.Argument(help="The folder of the log; if not given, SMALLFIRST_DESK_LOG."),
    ] = None,
    *,
    last: Annotated[
        int | None,
        typer.Option(help="The number of a record that was there once, as a desk's log said."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look through the log of what people did; name each line that was changed or is missing."""
    path = folder or load_settings(DeskSettings).desk_log
    if path is None:
        fail("no log is named: give its folder, or set SMALLFIRST_DESK_LOG")
    command = [sys.executable, "-m", f"{_MODULE}.verify_log", str(path)]
    more = ["--last", str(last)] if last is not None else []
    form = ["--json"] if as_json else []
    ended = subprocess.run([*command, *more, *form], check=False)  # noqa: S603 - ours
    raise typer.Exit(ended.returncode)


@app.command("agreement")
def agreement(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]", help="The name of the task; if not given, each that asks two people."
        ),
    ] = None,
    *,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how often two people who answer the same job agree, and how far beyond chance."""
    show_agreement(context, task, catalogue, as_json=as_json)


def _check_installed() -> None:
    if not can_run_desk():
        fail("the desk needs what serves its pages: pip install 'smallfirst[desk]'")
