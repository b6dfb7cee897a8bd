"""`smallfirst producer`: who may submit jobs, with what share of the fleet and which password."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer
from redis.exceptions import NoPermissionError

from smallfirst.cli.fleet_connection import Link, link_of
from smallfirst.cli.output import (
    SOME_FAILED,
    USAGE,
    JsonOption,
    console,
    duration,
    fail,
    note,
    print_json,
    say,
    table,
)
from smallfirst.errors import UsersNotAdministered
from smallfirst.jobs import DEFAULT_PRODUCER, NAME_PATTERN, is_name
from smallfirst.ledger.keys import EVERY_SLICE, Keys
from smallfirst.ledger.producers import MAX_WEIGHT, Producer, ProducerRegistry
from smallfirst.ledger.slices import Slice
from smallfirst.redis_access.acl import rules
from smallfirst.redis_access.user_accounts import UserAccounts
from smallfirst.redis_access.users import producer_user
from smallfirst.wording import numbered

#: Random bytes of a password, which is their hex digits: such a one needs no encoding in a URL.
_PASSWORD_BYTES = 24
#: One in use, and the one that it is changed for.
_MAX_PASSWORDS = 2
_OPEN = "this Redis asks for no password, so nothing keeps producers apart"

app = typer.Typer(
    help="Add, list and remove producers, and change passwords.",
    no_args_is_help=True,
    add_completion=False,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The producer's name.")]


@dataclass(frozen=True)
class Account:
    """What a producer is given, once.

    Attributes:
        producer: Its name.
        user: The user of Redis's as whom it connects.
        password: A new one.
        url: The fleet's Redis, with both.
        rules: The user's rights, where somebody has to enter them; else empty.
    """

    producer: str
    user: str
    password: str
    url: str
    rules: str = ""


@app.command("add")
def add_producer(
    context: typer.Context,
    name: NameArgument,
    *,
    weight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_WEIGHT,
            help="The share of the fleet while others wait too: 2 is twice that of 1. If not"
            " given, it stays, or is 1.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Register a producer and make its user of Redis; its password is shown once.

    Name an administrator's address before the command, in --redis-url. A producer that is there
    already keeps its password; its weight and its user's rights are written anew.
    """
    _check_name(name)
    with link_of(context) as link:
        _register(link, name, weight)
        accounts, user = _accounts(link), producer_user(name)
        try:
            if accounts.is_open():
                note(_OPEN)
            elif accounts.is_foreign(user, _every_slice(link).of_producer(name).jobs):
                fail(f"Redis has a user {user} that is not of this fleet; choose another name")
            elif accounts.password_hashes(user) is None:
                account = _new_account(link, name)
                accounts.make(user, account.password)
                _show(account, as_json=as_json)
                _save(accounts)
                return
            else:
                accounts.renew_rights(user)
                _save(accounts)
        except UsersNotAdministered as error:
            _leave_to_administrator(link, name, error, as_json=as_json)
        weight = ProducerRegistry(link.redis, link.keys).read()[name].weight
    _say({"producer": name, "weight": weight}, f"{name} has weight {weight}", as_json=as_json)


@app.command("list")
def list_producers(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List producers: weights, numbers of passwords, and what waits for a router."""
    with link_of(context) as link:
        found = _producers(link)
    if as_json:
        print_json(found)
        return
    columns = ("producer", "state", "weight", "passwords", "unread", "held", "oldest")
    console().print(table(columns, map(_columns, found), left=2))


@app.command("rotate")
def rotate_password(
    context: typer.Context,
    name: NameArgument,
    *,
    finish: Annotated[
        bool, typer.Option("--finish", help="Let the older password in no more.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Give a producer another password, while the one before is good too, until --finish."""
    _check_name(name)
    with link_of(context) as link:
        accounts, user = _accounts(link), producer_user(name)
        try:
            hashes = accounts.password_hashes(user)
            if hashes is None:
                fail(f"{name} has no user in this Redis; `smallfirst producer add {name}` makes it")
            if finish:
                _finish(accounts, name, hashes, as_json=as_json)
                return
            if len(hashes) >= _MAX_PASSWORDS:
                fail(f"{name} has {len(hashes)} passwords; first drop the older with --finish")
            account = _new_account(link, name)
            accounts.add_password(user, account.password)
        except UsersNotAdministered as error:
            _leave_to_administrator(link, name, error, as_json=as_json)
        _show(account, as_json=as_json)
        _save(accounts)


@app.command("remove")
def remove_producer(
    context: typer.Context, name: NameArgument, *, as_json: JsonOption = False
) -> None:
    """Let a producer submit nothing more; what it has submitted ends as usual."""
    _check_name(name)
    if name == DEFAULT_PRODUCER:
        fail(f"{name} is always there", exit_code=USAGE)
    with link_of(context) as link:
        registries, accounts = _registries(link), _accounts(link)
        with _administering():
            known = registries[0].read().get(name)
            if known is None:
                fail(f"there is no producer {name}")
            problem = _shut_out(accounts, name)
            for registry in registries:
                registry.write(name, known.model_copy(update={"is_leaving": True}))
                registry.sweep()
        num_waiting = sum(_num_submitted(each, name) for each in link.slices)
    words = f"{name} is removed"
    if num_waiting:
        wait = numbered(num_waiting, "job of it waits and ends", "jobs of it wait and end")
        words = f"{name} submits no more; {wait} as usual"
    _say({"producer": name, "waiting": num_waiting}, words, as_json=as_json)
    if problem:
        note(problem)
        raise typer.Exit(SOME_FAILED)


def _check_name(name: str) -> None:
    if not is_name(name):
        fail(f"{name!r} is no name of a producer: it must match {NAME_PATTERN}", exit_code=USAGE)


def _every_slice(link: Link) -> Keys:
    """The keys that rules name."""
    return replace(link.keys, slice=EVERY_SLICE)


def _accounts(link: Link) -> UserAccounts:
    return UserAccounts(link.redis, link.keys.namespace, is_cluster=link.settings.redis.is_cluster)


def _registries(link: Link) -> list[ProducerRegistry]:
    """The registry of each slice; all hold the same."""
    return [ProducerRegistry(each.redis, each.keys) for each in link.slices]


def _num_submitted(of: Slice, producer: str) -> int:
    found: Any = of.redis.xlen(of.keys.of_producer(producer).jobs)
    return int(found)


def _register(link: Link, name: str, weight: int | None) -> None:
    """Write a producer into the registry; one that was leaving stays."""
    with _administering():
        for registry in _registries(link):
            known = registry.read().get(name, Producer())
            registry.write(name, Producer(weight=weight or known.weight))


@contextmanager
def _administering() -> Iterator[None]:
    """Say whose work it is where this user of Redis's has no right to it."""
    try:
        yield
    except NoPermissionError:
        fail("this user of Redis's registers no producers; name an administrator in --redis-url")


def _new_account(link: Link, name: str) -> Account:
    user, password = producer_user(name), secrets.token_hex(_PASSWORD_BYTES)
    return Account(name, user, password, link.settings.redis.as_user(user, password))


def _show(account: Account, *, as_json: bool) -> None:
    """Show a password, for the only time."""
    shown = {key: value for key, value in asdict(account).items() if value}
    if as_json:
        print_json(shown)
    else:
        for key, value in shown.items():
            say(f"{key:<8}  {value}")
    note("the password is not shown again: Redis keeps its hash alone")


def _save(accounts: UserAccounts) -> None:
    """Have Redis write its users down, or say that it does not."""
    if not accounts.save():
        note(
            "Redis has no file for its users, or may not write it: after a restart this change is"
            " gone, unless whatever starts Redis has it too; so on each replica"
        )


def _finish(accounts: UserAccounts, name: str, hashes: list[str], *, as_json: bool) -> None:
    """Drop every password but the newest."""
    if len(hashes) < _MAX_PASSWORDS:
        fail(f"{name} has one password alone")
    accounts.drop_passwords(producer_user(name), hashes[:-1])
    _save(accounts)
    _say({"producer": name, "passwords": 1}, f"{name} has its newest alone", as_json=as_json)


def _shut_out(accounts: UserAccounts, name: str) -> str:
    """Delete a producer's user; say what is left to do, if anything."""
    user = producer_user(name)
    try:
        if accounts.is_open():
            return f"{_OPEN}: who writes to its stream is not refused, and never answered"
        accounts.delete(user)
        _save(accounts)
    except UsersNotAdministered as error:
        return f"{error}; delete the user {user} where they are"
    return ""


def _leave_to_administrator(
    link: Link, name: str, error: UsersNotAdministered, *, as_json: bool
) -> None:
    """Show what somebody else has to enter, and end the command.

    Raises:
        Exit: Always: something is left to do.
    """
    account = _new_account(link, name)
    words = " ".join(("on", *rules(account.user, link.keys.namespace)))
    _show(Account(**{**asdict(account), "rules": words}), as_json=as_json)
    note(f"{error}; enter this user with its rules there, or only the password where it is there")
    raise typer.Exit(SOME_FAILED)


def _producers(link: Link) -> list[dict[str, Any]]:
    registries, accounts = _registries(link), _accounts(link)
    for registry in registries:
        registry.sweep()
    # One that leaves is forgotten slice by slice.
    known = {name: each for registry in registries for name, each in registry.read().items()}
    waiting = link.survey().look([]).producers
    return [
        {
            "producer": name,
            "state": "leaving" if producer.is_leaving else "registered",
            "weight": producer.weight,
            "passwords": _num_passwords(accounts, name),
            **{key: getattr(waiting[name], key) for key in ("unread", "held", "oldest_seconds")},
        }
        for name, producer in known.items()
        if name in waiting
    ]


def _num_passwords(accounts: UserAccounts, name: str) -> int | None:
    """Count a producer's passwords; None where nobody may look."""
    try:
        return len(accounts.password_hashes(producer_user(name)) or ())
    except UsersNotAdministered:
        return None


def _columns(row: dict[str, Any]) -> list[str]:
    passwords = "?" if row["passwords"] is None else str(row["passwords"])
    counts = [str(row[key]) for key in ("unread", "held")]
    known = [row["producer"], row["state"], str(row["weight"]), passwords]
    return [*known, *counts, duration(row["oldest_seconds"])]


def _say(value: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        say(words)
