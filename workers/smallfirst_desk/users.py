"""Users: who may sign in at the desk, with which password, and which tasks they see.

One file, YAML or JSON, read again when it changes. Passwords stand in it as argon2 hashes alone.
Trails and logs name people by their pseudonyms.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Final

import yaml
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from smallfirst.catalogue.file_stamps import stamp_of
from smallfirst.jobs import Name
from smallfirst.wording import faults_of
from smallfirst_desk.errors import UsersFileError

#: A file of ten thousand users has two megabytes.
MAX_BYTES: Final = 4_000_000
#: The longest password that is hashed: hashing takes time in its length.
MAX_PASSWORD_CHARS: Final = 1024
MIN_PASSWORD_CHARS: Final = 10
_HASHER: Final = PasswordHasher()
#: Compared with where there is no such user, so that the time tells nobody who there is.
_NOBODY: Final = _HASHER.hash(token_hex(16))


class Role(StrEnum):
    """What somebody may do beside answering.

    Attributes:
        REVIEWER: Answers jobs of the tasks that are theirs.
        LEAD: Sees besides who has which job of these tasks in hand.
        ADMIN: The same of every task.
    """

    REVIEWER = "reviewer"
    LEAD = "lead"
    ADMIN = "admin"


class User(BaseModel):
    """One person."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    password: Annotated[str, StringConstraints(pattern=r"^\$argon2id\$")] | None = Field(
        default=None,
        description="The argon2id hash of the password; `smallfirst desk add-user` makes it. None"
        " for who signs in at a proxy or a provider alone.",
    )
    known_as: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="As whom a proxy or a provider knows the person; the name where left out.",
    )
    pseudonym: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9\-]{0,31}$")] = Field(
        description="The name in trails, logs and rows, by which nobody knows the person."
    )
    role: Role = Role.REVIEWER
    tasks: tuple[Name, ...] = Field(
        default=(), description="The tasks whose jobs the person sees; an admin sees all."
    )

    def may_see(self, task: str) -> bool:
        """Whether the person may see the jobs of a task, and how many there are."""
        return self.role is Role.ADMIN or task in self.tasks

    def sees_of(self, tasks: Iterable[str]) -> list[str]:
        """Which of these tasks the person may see."""
        return [task for task in tasks if self.may_see(task)]


class Users(BaseModel):
    """Everybody who may sign in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    users: dict[Name, User] = {}


class UsersFile:
    """The users of a file, kept current.

    Args:
        path: The file.

    Raises:
        UsersFileError: When the first reading finds anything wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp_of(path)
        self._users = read_users(path).users

    @property
    def current(self) -> Mapping[str, User]:
        """Everybody by name; as it was, where the file is wrong meanwhile."""
        if (stamp := stamp_of(self._path)) != self._stamp:
            self._stamp = stamp
            try:
                self._users = read_users(self._path).users
            except UsersFileError:
                return self._users
        return self._users

    def signed_in(self, name: str, password: str) -> User | None:
        """Find who has this name and password; it takes as long where there is none."""
        user = self.current.get(name)
        has_one = user is not None and user.password is not None
        hashed = user.password if user is not None and user.password is not None else _NOBODY
        is_right = is_password(hashed, password)
        return user if has_one and is_right else None

    def known_as(self, person: str) -> tuple[str, User] | None:
        """Find whom a proxy or a provider knows so: the name, and the user."""
        found = (pair for pair in self.current.items() if _known_as(*pair) == person)
        return next(found, None)

    @property
    def has_passwords(self) -> bool:
        """Whether anybody signs in by a password."""
        return any(user.password is not None for user in self.current.values())


def is_password(hashed: str, password: str) -> bool:
    """Whether a hash is this password's."""
    if len(password) > MAX_PASSWORD_CHARS:
        return False
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def read_users(path: Path) -> Users:
    """Read the file of users.

    Raises:
        UsersFileError: When it is missing or wrong; no value of it is quoted.
    """
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise UsersFileError(path, f"has more than {MAX_BYTES:,} bytes")
        found = yaml.safe_load(content)
    except FileNotFoundError:
        raise UsersFileError(
            path, "no such file; add the first user with `smallfirst desk add-user NAME`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsersFileError(path, f"cannot be read: {type(error).__name__}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsersFileError(path, f"is neither YAML nor JSON{where}") from None
    return _users_of(found, path)


def _users_of(found: object, path: Path) -> Users:
    try:
        users = Users.model_validate({} if found is None else found)
    except ValidationError as error:
        raise UsersFileError(path, faults_of(error, Users.model_fields)) from None
    pseudonyms = [user.pseudonym for user in users.users.values()]
    twice = next((each for each in pseudonyms if pseudonyms.count(each) > 1), None)
    if twice is not None:
        raise UsersFileError(path, f"two users have the pseudonym {twice!r}; keep one of them")
    known = Counter(_known_as(name, user) for name, user in users.users.items())
    name, count = next(iter(known.most_common(1)), ("", 0))
    if count > 1:
        raise UsersFileError(path, f"two users are known as {name!r}; keep `known_as` of one")
    return users


def _known_as(name: str, user: User) -> str:
    return user.known_as or name


def added(
    users: Users,
    name: str,
    password: str | None,
    *,
    role: Role,
    tasks: Iterable[str],
    known_as: str | None = None,
) -> Users:
    """The same with one more user; one that is there keeps its pseudonym.

    Without a password, the user signs in at a proxy or a provider alone.

    Raises:
        ValidationError: When the name or a task's is none.
    """
    there = users.users.get(name)
    user = User(
        password=None if password is None else _HASHER.hash(password),
        known_as=known_as,
        pseudonym=there.pseudonym if there else f"r-{token_hex(4)}",
        role=role,
        tasks=tuple(dict.fromkeys(tasks)),
    )
    return Users.model_validate({"users": {**users.users, name: user}})


def write_users(path: Path, users: Users) -> None:
    """Write the file whole or not at all; only its owner may read it."""
    written = users.model_dump(mode="json", exclude_none=True)
    text = (
        json.dumps(written, indent=2) + "\n"
        if path.suffix == ".json"
        else yaml.safe_dump(written, sort_keys=False)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600, exist_ok=False)
    half.write_text(text, encoding="utf-8")
    half.replace(path)
