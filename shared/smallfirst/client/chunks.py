"""Cutting what is long, or endless, into what fits one round trip."""

from collections.abc import Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import TypeVar

#: Jobs or ids in one round trip to Redis: enough to make it cheap, few enough to share the link.
CHUNK = 500
#: How long jobs are gathered from a slow source while results may be waiting.
GATHER_SECONDS = 0.02

_Item = TypeVar("_Item")


def chunks(items: Iterable[_Item], size: int = CHUNK) -> Iterator[list[_Item]]:
    """Cut into lists of `size`, the last one shorter; nothing is read ahead."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def gather(source: Iterator[_Item], at_most: int) -> list[_Item]:
    """Take at least one item, unless there is none; go on while it is quick and there is room."""
    gathered = list(islice(source, min(1, at_most)))
    until = monotonic() + GATHER_SECONDS
    while gathered and len(gathered) < at_most and monotonic() < until:
        more = list(islice(source, 1))
        if not more:
            break
        gathered += more
    return gathered
