"""What a router sees of the whole fleet in each round: what waits where, and who lives."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from smallfirst.ledger.keys import Keys


@dataclass(frozen=True)
class StreamState:
    """One stream: all entries, and those of them that are in somebody's hands.

    Attributes:
        num_entries: Unread, pending and waiting, since what is settled is deleted.
        num_pending: In anybody's hands.
        has_group: Whether the stream, and the group that reads it, are there.
        num_waiting: Read, and in nobody's hands until a backlog has room.
    """

    num_entries: int = 0
    num_pending: int = 0
    has_group: bool = True
    num_waiting: int = 0

    @property
    def num_unread(self) -> int:
        """How many nobody has read; never below 0, though what is pending may be gone."""
        return max(0, self.num_entries - self.num_pending - self.num_waiting)


@dataclass(frozen=True)
class PoolState:
    """One pool.

    Attributes:
        backlogs: By stream.
        num_workers: How many live.
        num_silent: How many have died, and are not struck off yet.
    """

    backlogs: Mapping[str, StreamState] = field(default_factory=dict)
    num_workers: int = 0
    num_silent: int = 0

    @property
    def num_pending(self) -> int:
        """How many of its jobs are in anybody's hands."""
        return sum(stream.num_pending for stream in self.backlogs.values())

    @property
    def num_entries(self) -> int:
        """How many jobs are on its backlogs."""
        return sum(stream.num_entries for stream in self.backlogs.values())

    @property
    def num_unread(self) -> int:
        """How many of its jobs nobody has read."""
        return sum(stream.num_unread for stream in self.backlogs.values())


@dataclass(frozen=True)
class FleetState:
    """The streams that routers read, and every pool that was asked for.

    Attributes:
        read_by_routers: By stream; what waits for room is in nobody's hands there.
        pools: By name.
        waiting: Jobs that wait for a backlog to have room, by that and by the stream that they are
            in. Its pool may be gone.
    """

    read_by_routers: Mapping[str, StreamState] = field(default_factory=dict)
    pools: Mapping[str, PoolState] = field(default_factory=dict)
    waiting: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def lacks_groups(self, pools: Sequence[str]) -> bool:
        """Whether a stream of the routers, or of these pools, is not there or has no group."""
        of_pools = [each for pool in pools for each in self.pools[pool].backlogs.values()]
        return not all(each.has_group for each in (*self.read_by_routers.values(), *of_pools))


def state_keys(keys: Keys, submissions: Sequence[str], pools: Sequence[str]) -> list[str]:
    """The keys that fleet_state.lua looks at, in its order."""
    of_pools = [(*keys.backlogs(pool).values(), keys.workers(pool)) for pool in pools]
    return [keys.escalations, *submissions, *(key for each in of_pools for key in each)]


def fleet_state(
    keys: Keys, submissions: Sequence[str], pools: Sequence[str], reply: Sequence[Any]
) -> FleetState:
    """Read what fleet_state.lua returns."""
    of_producers, of_pools = reply[1 : len(submissions) + 1], reply[len(submissions) + 1 :]
    read = {keys.escalations: _stream(reply[0])}
    waiting: dict[str, dict[str, int]] = defaultdict(dict)
    for stream, (num_entries, num_pending, told) in zip(submissions, of_producers, strict=True):
        counts = {keys.awaited_by(name.decode()): int(num) for name, num in _pairs(told)}
        num_waiting = sum(counts.values())
        of_stream = _stream((num_entries, num_pending - num_waiting))
        read[stream] = replace(of_stream, num_waiting=num_waiting)
        for backlog, count in counts.items():
            waiting[backlog][stream] = count
    told = map(_pool, (keys.backlogs(pool).values() for pool in pools), of_pools)
    return FleetState(read, dict(zip(pools, told, strict=True)), waiting)


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[bytes, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _pool(names: Iterable[str], told: Sequence[Any]) -> PoolState:
    *streams, workers, silent = told
    backlogs = dict(zip(names, map(_stream, streams), strict=True))
    return PoolState(backlogs, int(workers), int(silent))


def _stream(told: Sequence[int]) -> StreamState:
    num_entries, num_pending = map(int, told)
    return StreamState(num_entries, max(0, num_pending), has_group=num_pending >= 0)
