"""Redis's access control file: its users, each with the rules for what its work takes.

One place, from which the command line and whatever deploys a fleet draw.
"""

import hashlib
from collections.abc import Mapping, Sequence

from smallfirst.redis_access.grants import Grant, grants
from smallfirst.redis_access.users import Role

#: Nobody can connect without a name. The rights are those with which Redis reads its append-only
#: file back: without them it drops every transaction there, and so all that scripts wrote.
#: Source: https://github.com/redis/redis/issues/14541, https://github.com/valkey-io/valkey/issues/3983
NAMELESS = "user default off allkeys allchannels +@all"
#: What every client says between two commands. That it connects (HELLO, AUTH) needs no right.
_IDLING = "ping"


def acl_file(namespace: str, passwords: Mapping[str, str | Sequence[str]]) -> str:
    """Write the file that Redis's setting `aclfile` names. Only hashes of passwords stand in it.

    A user without a password is left out, and so cannot connect; nor can anybody without a name.

    Args:
        namespace: Of the fleet.
        passwords: By user: a role, `producer-NAME` or `worker-POOL`. While a password is changed
            for another, both are given.

    Raises:
        ValueError: When nobody connects under some user's name.
    """
    lines = [NAMELESS]
    for user, given in sorted(passwords.items()):
        several = (given,) if isinstance(given, str) else given
        hashes = " ".join(f"#{hash_of(password)}" for password in several)
        lines.append(f"user {user} on {hashes} {' '.join(rules(user, namespace))}")
    return "".join(f"{line}\n" for line in lines)


def hash_of(password: str) -> str:
    """The form in which Redis keeps a password: the hex digits of its SHA-256."""
    return hashlib.sha256(password.encode()).hexdigest()


def all_grants(user: str, namespace: str) -> tuple[Grant, ...]:
    """What one user may do: first what every client says, then what its work takes."""
    # Our own clients say who they are; KEDA's does not.
    naming = () if user == Role.SCALER else ("client|setname",)
    return (Grant(" ".join((_IDLING, *naming))), *grants(user, namespace))


def rules(user: str, namespace: str) -> tuple[str, ...]:
    """One user's rules, but for its passwords."""
    base, *selectors = all_grants(user, namespace)
    start = ("resetkeys", "resetchannels", "-@all")
    return (*start, *base.rule()[1:-1].split(), *(grant.rule() for grant in selectors))
