"""Slices: how many a fleet has, and in which of them a job is.

Each slice is a ledger of its own, on one node of a cluster. A job is in the slice that its id says,
from its submission to its result, whoever computes it. So all parts of a fleet must know the same
number; the routers write it down, and whoever was told another is told so.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

from redis import Redis

from smallfirst.errors import SlicesDiffer
from smallfirst.ledger.keys import Keys


@dataclass(frozen=True)
class Slice:
    """One slice of a fleet: its keys, and a connection that leads to them."""

    redis: Redis
    keys: Keys


def slice_of(job_id: str, num_slices: int) -> int:
    """Say in which slice a job is: the CRC-32 of its id (as in zip and PNG) modulo the number."""
    return crc32(job_id.encode()) % num_slices


def keys_of_slices(namespace: str, num_slices: int) -> tuple[Keys, ...]:
    """The keys of every slice."""
    return tuple(Keys(namespace, number) for number in range(num_slices))


def declare_slices(redis: Redis, keys: Keys, num_slices: int, *, address: str) -> None:
    """Write down how many slices the fleet has, where nobody has; see `check_slices`."""
    redis.set(keys.num_slices, num_slices, nx=True)
    check_slices(redis, keys, num_slices, address=address)


def check_slices(redis: Redis, keys: Keys, num_slices: int, *, address: str) -> bool:
    """Make sure that this process was told as many slices as the fleet has.

    False where nobody can tell yet: no router has been there.

    Raises:
        SlicesDiffer: When it was told another number.
    """
    found: Any = redis.get(keys.num_slices)
    if found is not None and int(found) != num_slices:
        raise SlicesDiffer(address, int(found), num_slices)
    return found is not None
