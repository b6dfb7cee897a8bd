"""Adds a user to the desk's file, or changes one: `python -m smallfirst_desk.add_user`.

The password comes from the terminal, or as a line of the standard input; never from an argument,
which other users of the machine can read.
"""

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from smallfirst.wording import faults_of
from smallfirst_desk.errors import DeskError, UsersFileError
from smallfirst_desk.users import (
    MAX_PASSWORD_CHARS,
    MIN_PASSWORD_CHARS,
    Role,
    User,
    Users,
    added,
    read_users,
    write_users,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Add a user; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        users = read_users(given.users) if given.users.exists() else Users()
        password = None if given.without_password else _password()
        wanted = added(
            users,
            given.name,
            password,
            role=Role(given.role),
            tasks=given.task,
            known_as=given.known_as,
        )
        write_users(given.users, wanted)
    except ValidationError as error:
        sys.stderr.write(f"smallfirst: {faults_of(error, User.model_fields)}\n")
        return 2
    except (DeskError, OSError) as error:
        sys.stderr.write(f"smallfirst: {error}\n")
        return 1
    user = wanted.users[given.name]
    if given.json:
        told = user.model_dump(mode="json", exclude={"password"})
        sys.stdout.write(json.dumps({"name": given.name, **told}) + "\n")
        return 0
    tasks = "every task" if user.role is Role.ADMIN else ", ".join(user.tasks) or "no task yet"
    sys.stdout.write(f"{given.name} is a {user.role}, sees {tasks}; in trails {user.pseudonym}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smallfirst desk add-user", description=__doc__)
    parser.add_argument("name", help="The name to sign in with.")
    parser.add_argument("--users", type=Path, required=True, help="The file of users.")
    parser.add_argument("--role", choices=list(Role), default=Role.REVIEWER)
    parser.add_argument(
        "--task", action="append", default=[], help="A task that the user sees; may be given again."
    )
    parser.add_argument(
        "--known-as", help="As whom a proxy or a provider knows the user; the name if not given."
    )
    parser.add_argument(
        "--without-password",
        action="store_true",
        help="Let the user sign in at a proxy or a provider alone.",
    )
    parser.add_argument("--json", action="store_true", help="Print for programs.")
    return parser


def _password() -> str:
    """Read a password, twice where somebody types it.

    Raises:
        UsersFileError: When it is none.
    """
    if sys.stdin.isatty():
        password = getpass.getpass("password: ")
        if getpass.getpass("once more: ") != password:
            raise UsersFileError("password", "the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        rule = f"must have {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS:,} characters"
        raise UsersFileError("password", rule)
    return password


if __name__ == "__main__":
    sys.exit(main())
