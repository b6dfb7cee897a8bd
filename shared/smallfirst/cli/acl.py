"""`smallfirst acl`: the access control file for the fleet's Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.output import USAGE, JsonOption, fail, print_json
from smallfirst.redis_access.acl import Role, acl_file, is_user
from smallfirst.wording import did_you_mean

_USERS = (
    f"{', '.join(Role)}, `producer-NAME` for each producer but `default`, and `worker-POOL` for the"
    " workers of one pool alone"
)
_HELP = (
    "The folder that holds a file for each user who may connect, named after the user, with its"
    f" password; with two, one a line, while one is changed for the other. Users are {_USERS}."
)


def acl(
    context: typer.Context,
    secrets: Annotated[Path, typer.Argument(help=_HELP, exists=True, file_okay=False)],
    *,
    as_json: JsonOption = False,
) -> None:
    """Print what Redis's setting `aclfile` is to name: who may do what, and nothing more.

    A user without a password cannot connect. Only hashes of passwords are printed. Redis 7 is
    needed.
    """
    passwords = dict(_passwords(secrets))
    if not passwords:
        fail(f"{secrets}: has no file that is named after a user: {_USERS}", exit_code=USAGE)
    namespace = settings_of(globals_of(context)).namespace
    written = acl_file(namespace, passwords)
    if as_json:
        print_json({"lines": written.splitlines()})
        return
    typer.echo(written, nl=False)


def _passwords(secrets: Path) -> Iterator[tuple[str, list[str]]]:
    for file in sorted(secrets.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue  # Kubernetes keeps what a secret's files link to in folders beside them.
        if not is_user(file.name):
            near = did_you_mean(file.name, map(str, Role))
            fail(f"{file}: is named after no user{near}; users are {_USERS}", exit_code=USAGE)
        lines = file.read_text("utf-8").splitlines()
        passwords = [line.strip() for line in lines if line.strip()]
        if not passwords:
            fail(f"{file}: is empty", exit_code=USAGE)
        yield file.name, passwords
