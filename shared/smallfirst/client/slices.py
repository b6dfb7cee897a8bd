"""A fleet of several slices as a client sees it: one transport of each, and which job is in which.

A job's slice hangs on its id alone, so whoever knows the id knows where its result will be.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from smallfirst.client.transports import JobLocation, RedisTransport, Transport
from smallfirst.jobs import Job
from smallfirst.ledger.slices import slice_of

#: Between an entry and the number of its slice: two slices may give out the same entry.
_MARK = "@"

_Found = TypeVar("_Found")


class SlicedTransport:
    """All slices of a fleet. What is asked of several is asked of all at once.

    Args:
        slices: The transport of each, in the order of their numbers. The first hears the notices
            of all, and knows how many there are.
    """

    def __init__(self, slices: Sequence[RedisTransport]) -> None:
        self._slices = slices

    async def add(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs, in order within each slice."""
        await self._slices[0].check_fleet()
        places = self._by_slice([job.id for job in jobs])
        entries = dict.fromkeys(range(len(jobs)), "")

        async def add(number: int, mine: list[int]) -> None:
            found = await self._slices[number].add([jobs[place] for place in mine])
            marked = [f"{entry}{_MARK}{number}" for entry in found]
            entries.update(zip(mine, marked, strict=True))

        await _all(add(number, mine) for number, mine in places.items())
        return list(entries.values())

    async def cancel(self, ids: Sequence[str]) -> None:
        """Submit cancellations, each where its job is."""
        await self._each(ids, lambda transport, mine: transport.cancel(mine))

    async def unread(self, entries: Sequence[str]) -> set[str]:
        """Look which entries still stand in the streams of their slices."""
        by_slice: dict[int, list[str]] = defaultdict(list)
        for entry in entries:
            by_slice[int(entry.partition(_MARK)[2])].append(entry.partition(_MARK)[0])
        numbers = list(by_slice)
        found = await _all(self._slices[number].unread(by_slice[number]) for number in numbers)
        pairs = zip(numbers, found, strict=True)
        return {f"{entry}{_MARK}{number}" for number, unread in pairs for entry in unread}

    async def count_backlog(self) -> int:
        """Count what waits for a router in all slices."""
        return sum(await _all(transport.count_backlog() for transport in self._slices))

    async def fetch(self, ids: Sequence[str]) -> dict[str, str]:
        """Read results, each where its job is."""
        found = await self._each(ids, lambda transport, mine: transport.fetch(mine))
        return {job_id: raw for results in found for job_id, raw in results.items()}

    def notices(self, reply_to: str) -> AsyncGenerator[list[str], None]:
        """Listen to all slices, over the connection of one."""
        return self._slices[0].notices(reply_to)

    async def locate(self, job_id: str) -> JobLocation:
        """Look in the job's slice."""
        await self._slices[0].check_fleet()
        return await self._slices[slice_of(job_id, len(self._slices))].locate(job_id)

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._slices:
            await transport.close()

    async def _each(
        self,
        ids: Sequence[str],
        ask: Callable[[Transport, list[str]], Awaitable[_Found]],
    ) -> list[_Found]:
        """Ask each slice about those of the ids that are in it."""
        await self._slices[0].check_fleet()
        by_slice = self._by_slice(ids)
        return await _all(
            ask(self._slices[number], [ids[place] for place in places])
            for number, places in by_slice.items()
        )

    def _by_slice(self, ids: Sequence[str]) -> dict[int, list[int]]:
        """The places of the ids, by the slices that their jobs are in."""
        found: dict[int, list[int]] = defaultdict(list)
        for place, job_id in enumerate(ids):
            found[slice_of(job_id, len(self._slices))].append(place)
        return found


async def _all(asked: Iterable[Awaitable[_Found]]) -> list[_Found]:
    """Wait until every slice has answered; raise what one raised only then."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in found if not isinstance(answer, BaseException)]
