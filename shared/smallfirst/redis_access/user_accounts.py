"""The users of a Redis that runs: made, given another password, and deleted by an administrator.

What a user may do is `acl`'s; which producers there are is the registry's. This module owns the
commands by which a Redis takes users up at once, and what it says where it does not.
"""

import re
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from smallfirst.errors import UsersNotAdministered
from smallfirst.redis_access.acl import hash_of, rules

#: How Redis begins its answer where nobody may administer users: its provider does.
_UNKNOWN = ("unknown command", "unknown subcommand")
#: The user as whom connects whoever names none.
_NAMELESS_USER = "default"


class UserAccounts:
    """The users of one Redis, as far as they are a fleet's.

    Every method raises `UsersNotAdministered` where this connection may not administer users.

    Args:
        redis: Connected as an administrator.
        namespace: Of the fleet.
        is_cluster: Whether it is a cluster, each of whose nodes has users of its own.
    """

    def __init__(self, redis: Redis, namespace: str, *, is_cluster: bool = False) -> None:
        self._redis: Any = redis
        self._namespace = namespace
        self._is_cluster = is_cluster

    def is_open(self) -> bool:
        """Whether whoever reaches this Redis may do everything there without a password."""
        about = self._about(_NAMELESS_USER)
        return about is not None and {"on", "nopass"} <= set(about["flags"])

    def password_hashes(self, user: str) -> list[str] | None:
        """Give the hashes of a user's passwords, the oldest first; None where there is no user."""
        about = self._about(user)
        return None if about is None else list(about["passwords"])

    def is_foreign(self, user: str, key: str) -> bool:
        """Whether a user is there and has no right to a key, as that of another fleet has none."""
        about = self._about(user)
        # How a selector is told differs with the protocol's version; its words are the same.
        is_named = re.compile(rf"~{re.escape(key)}(?![\w:*-])")
        return about is not None and not is_named.search(str(about["selectors"]))

    def make(self, user: str, password: str) -> None:
        """Make a user, or take its rights up anew and give it one password more."""
        fresh = ("on", "clearselectors", *rules(user, self._namespace))
        self._ask("SETUSER", user, *fresh, f"#{hash_of(password)}")

    def renew_rights(self, user: str) -> None:
        """Give a user the rights of this version; its passwords stay."""
        self._ask("SETUSER", user, "clearselectors", *rules(user, self._namespace))

    def add_password(self, user: str, password: str) -> None:
        """Let a user in by another password too."""
        self._ask("SETUSER", user, f"#{hash_of(password)}")

    def drop_passwords(self, user: str, hashes: list[str]) -> None:
        """Let a user in by these passwords no more."""
        self._ask("SETUSER", user, *(f"!{each}" for each in hashes))

    def delete(self, user: str) -> bool:
        """Delete a user, whose connections end; return whether there was one."""
        return bool(self._ask("DELUSER", user))

    def save(self) -> bool:
        """Have Redis write its users down; False where it has no file for them, or may not."""
        try:
            self._redis.execute_command("ACL", "SAVE")
        except ResponseError:
            return False
        return True

    def _about(self, user: str) -> Any:
        return self._ask("GETUSER", user)

    def _ask(self, command: str, *arguments: str) -> Any:
        if self._is_cluster:
            raise UsersNotAdministered("each node of a cluster has users of its own")
        try:
            return self._redis.execute_command(f"ACL {command}", *arguments)
        except NoPermissionError as error:
            raise UsersNotAdministered("this connection has no right to") from error
        except ResponseError as error:
            if str(error).lower().startswith(_UNKNOWN):
                raise UsersNotAdministered("its provider administers them") from error
            if "ACL SETUSER modifier" in str(error):
                raise UsersNotAdministered("Redis 7 is needed for their rules") from error
            raise
