"""`smallfirst acl`: the access control file for the fleet's Redis."""

from pathlib import Path
from typing import Annotated

import typer

from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.output import USAGE, JsonOption, fail, print_json
from smallfirst.redis_access.acl import Role, acl_file

_HELP = (
    "The folder that holds a file for each role that may connect, named after the role, with its"
    f" password. Roles are {', '.join(Role)}."
)


def acl(
    context: typer.Context,
    secrets: Annotated[Path, typer.Argument(help=_HELP, exists=True, file_okay=False)],
    *,
    as_json: JsonOption = False,
) -> None:
    """Print what Redis's setting `aclfile` is to name: who may do what, and nothing more.

    A role without a password cannot connect. Only hashes of passwords are printed. Redis 7 is
    needed.
    """
    passwords = dict(_passwords(secrets))
    if not passwords:
        fail(f"{secrets}: has a file for none of {', '.join(Role)}", exit_code=USAGE)
    namespace = settings_of(globals_of(context)).namespace
    written = acl_file(namespace, passwords)
    if as_json:
        print_json({"lines": written.splitlines()})
        return
    typer.echo(written, nl=False)


def _passwords(secrets: Path) -> list[tuple[Role, str]]:
    found = []
    for role in Role:
        file = secrets / role
        if not file.is_file():
            continue
        password = file.read_text("utf-8").strip()
        if not password:
            fail(f"{file}: is empty", exit_code=USAGE)
        found.append((role, password))
    return found
