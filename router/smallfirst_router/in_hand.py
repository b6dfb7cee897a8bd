"""What a router has read and not settled yet: taken once, settled in parts, renewed between them.

How a part is decided is triage's business.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from time import monotonic

import structlog

from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import ROUTER_GROUP
from smallfirst.ledger.ledger import Ledger

log = structlog.get_logger()

#: Bytes of entries that are enough for one part: what comes of them stands in memory at once.
PART_BYTES = 2_097_152


class InHand:
    """The rest of one read of the jobs and the escalations.

    Args:
        ledger: Where the leases are.
        lease: For how long one holds unless it is renewed.
    """

    def __init__(self, ledger: Ledger, lease: timedelta) -> None:
        self._ledger = ledger
        self._lease = lease
        self._entries: list[StreamEntry] = []
        self._num_taken = 0
        self._taken_at = 0.0
        self._has_warned = False

    @property
    def is_empty(self) -> bool:
        """Whether all of it is settled, so that more may be read."""
        return not self._entries

    def take(self, entries: Iterable[StreamEntry]) -> None:
        """Hold entries that were just read."""
        self._entries.extend(entries)
        self._num_taken, self._taken_at = len(self._entries), monotonic()

    def next_part(self) -> list[StreamEntry]:
        """The first few, by bytes; one at least while there is any."""
        size, count = 0, 0
        for entry in self._entries:
            size, count = size + entry.size, count + 1
            if size >= PART_BYTES:
                break
        return self._entries[:count]

    def drop(self, count: int) -> None:
        """Let go of the first few, which are settled."""
        del self._entries[:count]
        if count:
            self._look_back(monotonic() - self._taken_at)

    def forget(self, entries: Iterable[StreamEntry]) -> None:
        """Let go of entries that are settled apart."""
        self._let_go({(entry.stream, entry.entry) for entry in entries})

    def clear(self) -> None:
        """Let go of everything; it is read again once the leases are out."""
        self._entries.clear()

    def renew(self) -> None:
        """Keep the leases; forget what a peer has taken over."""
        for stream, entries in self._by_stream():
            kept = self._ledger.renew(stream, ROUTER_GROUP, entries)
            self._let_go({(stream, entry) for entry in entries if entry not in kept})

    def release(self) -> None:
        """Hand everything back, so that a peer has it at once."""
        for stream, entries in self._by_stream():
            self._ledger.release(stream, entries, self._lease, group=ROUTER_GROUP)
        self.clear()

    def _let_go(self, names: set[tuple[str, str]]) -> None:
        if names:
            self._entries = [e for e in self._entries if (e.stream, e.entry) not in names]

    def _by_stream(self) -> Iterator[tuple[str, list[str]]]:
        found: dict[str, list[str]] = defaultdict(list)
        for entry in self._entries:
            found[entry.stream].append(entry.entry)
        yield from found.items()

    def _look_back(self, seconds: float) -> None:
        """Say once that triage is slow: nothing is lost by it, but jobs wait behind one another."""
        if self._has_warned or seconds <= self._lease.total_seconds() / 2:
            return
        self._has_warned = True
        log.warning(
            "triage.slow",
            num_jobs=self._num_taken,
            num_left=len(self._entries),
            seconds=round(seconds, 1),
            consequence="jobs wait for the router; what it has read stays its own meanwhile",
            remedy="run more routers, take less in one read (SMALLFIRST_READ_COUNT,"
            " SMALLFIRST_READ_BYTES), or bound the texts of tasks with rules (max_chars)",
        )
