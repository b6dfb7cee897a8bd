"""Who connects to Redis: the roles of a fleet, and the users that producers and pools have."""

from enum import StrEnum
from typing import Final

from smallfirst.jobs import DEFAULT_PRODUCER, is_name


class Role(StrEnum):
    """Who connects to Redis.

    Each producer but `default` has a user of its own, `producer-NAME`; and the workers of a pool
    may have theirs, `worker-POOL`, which reaches that pool's jobs alone.
    """

    PRODUCER = "producer"
    ROUTER = "router"
    WORKER = "worker"
    FLOWER = "flower"
    SCALER = "scaler"
    EXPORTER = "exporter"
    DESK = "desk"
    AUDIT_LOG = "audit-log"


#: What stands before the name of a producer that is not `default`.
_BEFORE_NAME: Final = f"{Role.PRODUCER}-"
#: What stands before the name of a pool.
_BEFORE_POOL: Final = f"{Role.WORKER}-"


def producer_user(producer: str) -> str:
    """Name the user as whom a producer connects."""
    return str(Role.PRODUCER) if producer == DEFAULT_PRODUCER else f"{_BEFORE_NAME}{producer}"


def producer_of(user: str) -> str | None:
    """Name the producer that connects as this user; None where it is another role's."""
    if user == Role.PRODUCER:
        return DEFAULT_PRODUCER
    name = user.removeprefix(_BEFORE_NAME)
    is_named = user.startswith(_BEFORE_NAME) and is_name(name) and name != DEFAULT_PRODUCER
    return name if is_named else None


def worker_user(pool: str) -> str:
    """Name the user as whom the workers of one pool connect."""
    return f"{_BEFORE_POOL}{pool}"


def pool_of(user: str) -> str | None:
    """Name the pool whose workers alone connect as this user; None where it is another's."""
    pool = user.removeprefix(_BEFORE_POOL)
    return pool if user.startswith(_BEFORE_POOL) and is_name(pool) else None


def is_user(name: str) -> bool:
    """Whether some part of a fleet, or some producer, connects under this name."""
    return name in frozenset(Role) or not (producer_of(name) is None and pool_of(name) is None)
