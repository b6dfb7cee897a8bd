"""`smallfirst acl`: the access control file for the fleet's Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.output import USAGE, JsonOption, fail, print_json
from smallfirst.redis_access.acl import acl_file
from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.kubernetes_secret import as_yaml, drawn_password, secret_manifest
from smallfirst.redis_access.users import Role, is_user
from smallfirst.wording import did_you_mean

#: One, and another while it takes the first one's place.
MOST_PASSWORDS = 2
_USERS = (
    f"{', '.join(Role)}, `producer-NAME` for each producer but `default`, and `worker-POOL` for the"
    " workers of one pool alone"
)
_HELP = (
    "The folder that holds a file for each user who may connect, named after the user, with its"
    f" password; with two, one a line, while one is changed for the other. Users are {_USERS}."
)
_DRAW = (
    "Whether to draw a password first for each role that has no file, and for each file that is"
    " empty; they are written into the folder, for its owner alone."
)
_KUBERNETES = (
    "The name of a Secret of Kubernetes to print instead, for `redis.internal.existingSecret`: the"
    " file, and each user's password and address. It is as secret as the folder."
)
_ADDRESS = (
    "The address of that Redis as pods find it, without a user:"
    " redis://acme-smallfirst-redis:6379/0, or with the scheme and options of any other Redis."
)
_BROKER = "The address of the plain Redis of Celery's lists, beside a cluster, in the same form."


def acl(
    context: typer.Context,
    secrets: Annotated[Path, typer.Argument(help=_HELP, exists=True, file_okay=False)],
    *,
    draw: Annotated[bool, typer.Option("--draw", help=_DRAW)] = False,
    secret: Annotated[str | None, typer.Option(help=_KUBERNETES)] = None,
    redis_address: Annotated[str | None, typer.Option(help=_ADDRESS)] = None,
    broker_address: Annotated[str | None, typer.Option(help=_BROKER)] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what Redis's setting `aclfile` is to name: who may do what, and nothing more.

    A user without a password cannot connect. Only hashes of passwords are printed, but with
    `--secret`. Redis 7 is needed.
    """
    if (secret is None) is not (redis_address is None):
        fail("--secret and --redis-address go together", exit_code=USAGE)
    address = _address_of("--redis-address", redis_address)
    broker = _address_of("--broker-address", broker_address)
    if draw:
        _draw(secrets)
    passwords = dict(_passwords(secrets))
    if not passwords:
        fail(f"{secrets}: has no file that is named after a user: {_USERS}", exit_code=USAGE)
    namespace = settings_of(globals_of(context)).namespace
    if secret is not None and address is not None:
        manifest = secret_manifest(secret, namespace, address, passwords, broker=broker)
        typer.echo(as_yaml(manifest), nl=False)
        return
    written = acl_file(namespace, passwords)
    if as_json:
        print_json({"lines": written.splitlines()})
        return
    typer.echo(written, nl=False)


def _address_of(option: str, url: str | None) -> RedisAddress | None:
    """Read the address; a user in it would be one password too many."""
    if url is None:
        return None
    try:
        address = RedisAddress.parse(url)
    except ValueError as error:
        fail(f"{option}: {error}", exit_code=USAGE)
    if "@" in url.partition("?")[0]:
        fail(f"{option}: must name no user; each has a file", exit_code=USAGE)
    return address


def _draw(secrets: Path) -> None:
    """Write what is missing. A file is there in whole or not at all, and nobody else reads it."""
    files = {secrets / role for role in Role} | {each for _, each in _user_files(secrets)}
    for file in sorted(files):
        if not file.exists() or not file.read_text("utf-8").strip():
            file.touch(mode=0o600)
            file.chmod(0o600)
            file.write_text(f"{drawn_password()}\n", "utf-8")


def _passwords(secrets: Path) -> Iterator[tuple[str, list[str]]]:
    for user, file in _user_files(secrets):
        lines = file.read_text("utf-8").splitlines()
        passwords = [line.strip() for line in lines if line.strip()]
        if not passwords:
            fail(f"{file}: is empty", exit_code=USAGE)
        if len(passwords) > MOST_PASSWORDS:
            fail(
                f"{file}: has {len(passwords)} passwords; two at most, one a line", exit_code=USAGE
            )
        yield user, passwords


def _user_files(secrets: Path) -> Iterator[tuple[str, Path]]:
    """Each user's file; one that is named after nobody is refused."""
    for file in sorted(secrets.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue  # Kubernetes keeps what a secret's files link to in folders beside them.
        if not is_user(file.name):
            near = did_you_mean(file.name, map(str, Role))
            fail(f"{file}: is named after no user{near}; users are {_USERS}", exit_code=USAGE)
        yield file.name, file
