"""Intake: reads what producers submit and steps hand back, and takes back what waited for room.

It owns which stream is read how far, in fair shares over the producers. What becomes of a job is
triage's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import groupby

from smallfirst.ledger.entries import Portion, StreamEntry
from smallfirst.ledger.fleet_state import FleetState
from smallfirst.ledger.keys import ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.settings import RouterSettings
from smallfirst_router.fair_shares import FairShares, cost_of


class Intake:
    """The streams that routers read, as one router reads them.

    Args:
        ledger: The router's.
        keys: Of the fleet.
        settings: Of the router: how much it reads at once, whom it registers.
    """

    def __init__(self, ledger: Ledger, keys: Keys, settings: RouterSettings) -> None:
        self._ledger = ledger
        self._keys = keys
        #: The most new jobs in one read, and the most taken back for one backlog.
        self._read_count = settings.read_count
        self._read_bytes = settings.read_bytes
        self._registered = settings.producers
        self._weights: dict[str, int] = {}
        self._reading = FairShares()
        #: The room of each backlog is shared out by itself.
        self._rooms: dict[str, FairShares] = {}

    @property
    def streams(self) -> list[str]:
        """The streams of the producers that were there at the last look."""
        return list(self._weights)

    def open(self) -> None:
        """Register producers, and make every stream that is read with its group."""
        self._ledger.open([self._keys.escalations], ROUTER_GROUP)
        self._ledger.submissions.register(self._registered)
        self._weights = {}
        self.take_up_producers()

    def take_up_producers(self) -> None:
        """Read the submissions of every producer that there is by now."""
        producers = self._ledger.submissions.producers().items()
        found = {self._keys.of_producer(name).jobs: each.weight for name, each in producers}
        self._ledger.open([s for s in found if s not in self._weights], ROUTER_GROUP)
        self._weights = found
        for shares in (self._reading, *self._rooms.values()):
            shares.weigh(found)

    def read(self, state: FleetState, *, most: int, block: timedelta | None) -> list[StreamEntry]:
        """Read returned jobs, and new ones in fair shares; wait for them only where none are there.

        Args:
            state: As it was a moment ago.
            most: How many, about, where it is less than one read may have.
            block: How long to wait; not at all where it is left out.
        """
        unread = {stream: each.num_unread for stream, each in state.read_by_routers.items()}
        new = {stream: unread.get(stream, 0) for stream in self._weights}
        if not any(unread.values()):
            found = self._read_evenly(block)
        else:
            portions = self._portions(new, min(most, self._read_count))
            found = self._ledger.read_portions(portions, ROUTER_GROUP)
        self._charge(self._reading, found)
        return found

    def _read_evenly(self, block: timedelta | None) -> list[StreamEntry]:
        """Read whatever comes first; of all producers together no more than one read."""
        streams = [self._keys.escalations, *self._weights]
        count = max(1, self._read_count // len(self._weights))
        max_bytes = self._read_bytes // len(streams)
        return self._ledger.read(
            streams, ROUTER_GROUP, count=count, block=block, max_bytes=max_bytes
        )

    def _portions(self, new: Mapping[str, int], most: int) -> list[Portion]:
        """What to read: what came back, a share of each producer, and a job of each newcomer.

        Who had nothing unread at the last look need not wait for more.
        """
        portions = [Portion([self._keys.escalations], self._read_count, self._read_bytes)]
        if newcomers := [stream for stream, count in new.items() if not count]:
            portions.append(Portion(newcomers, 1, 1))
        allotted = self._reading.allot(new, most)
        for count, streams in _by_count(allotted).items():
            portions.append(Portion(streams, count, self._read_bytes // len(allotted)))
        return portions

    def take_back(self, backlog: str, waiting: Mapping[str, int], room: int) -> list[StreamEntry]:
        """Take back what waited for a backlog, in fair shares, the oldest of each producer first.

        Args:
            backlog: The stream; its pool may be gone.
            waiting: How many jobs wait for it, by stream.
            room: How many more it may take.
        """
        shares = self._shares_of(backlog)
        allotted = shares.allot(waiting, min(room, self._read_count))
        found = self._ledger.take_waiting(backlog, allotted)
        self._charge(shares, found)
        return found

    def _shares_of(self, backlog: str) -> FairShares:
        if backlog not in self._rooms:
            self._rooms[backlog] = FairShares()
            self._rooms[backlog].weigh(self._weights)
        return self._rooms[backlog]

    def _charge(self, shares: FairShares, entries: Iterable[StreamEntry]) -> None:
        for stream, group in groupby(entries, key=lambda entry: entry.stream):
            if stream in self._weights:
                sizes = [entry.size for entry in group]
                shares.charge(stream, len(sizes), cost_of(sizes))


def _by_count(allotted: Mapping[str, int]) -> dict[int, list[str]]:
    """Put together the streams of which as many entries are read: one command can read them all."""
    streams: dict[int, list[str]] = defaultdict(list)
    for stream, count in allotted.items():
        streams[count].append(stream)
    return streams
