"""Holding: what this process has in its hands, and the thread that keeps it.

The thread beats, so that the router knows the worker lives, and renews the leases of the entries in
hand, so that nobody else starts them. It takes no part in the work.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

import structlog
from redis.exceptions import RedisError

from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst_workers.errors import EndpointDown, ModelBroken

log = structlog.get_logger()

#: No job can be to blame for these: a start that ends in one is taken back.
BLAMELESS = (EndpointDown, ModelBroken, RedisError)


@dataclass(frozen=True)
class PendingRelease:
    """Entries to be given back as soon as Redis can be reached."""

    stream: str
    entries: tuple[str, ...]
    is_started: bool


class LeaseKeeper:
    """The entries in this process's hands, by stream, with when each lease was last confirmed."""

    def __init__(self, ledger: Ledger, pool: str, *, lease: timedelta, beat: timedelta) -> None:
        self._ledger = ledger
        self._pool = pool
        self._lease = lease
        self._beat = min(beat, lease / 3)
        self._held: dict[str, dict[str, float]] = {}
        self._owed: list[PendingRelease] = []
        self._lock = threading.Lock()
        self._has_left = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holder", daemon=True)

    def open(self) -> None:
        """Begin to beat: from now on the router sends work."""
        self._thread.start()

    def leave(self) -> None:
        """Tell the router to send nothing more; what is in hand is still kept."""
        self._has_left.set()
        try:
            self._ledger.beat(self._pool, leaving=True)
        except RedisError as error:
            log.warning("worker.left_unnoticed", error=type(error).__name__)

    def close(self) -> None:
        """End the thread, when nothing is in hand any more."""
        self._is_closed.set()
        if self._thread.is_alive():
            self._thread.join(self._lease.total_seconds())
        with suppress(RedisError):
            self._pay()

    def give_back_all(self) -> int:
        """Give everything in hand back at once, its starts taken back; return how many entries."""
        with self._lock:
            held, self._held = self._held, {}
        for stream, entries in held.items():
            self._ledger.release(stream, list(entries), self._lease, is_started=True)
        return sum(map(len, held.values()))

    def give_back(self, stream: str, entries: Sequence[str]) -> None:
        """Give entries back that were not begun: it counts as no start of theirs."""
        self.drop(stream, entries)
        self._give_back(PendingRelease(stream, tuple(entries), is_started=True))

    @contextmanager
    def holding(
        self, stream: str, entries: Sequence[str], *, since: float | None = None
    ) -> Iterator[None]:
        """Keep entries for as long as the block runs; give back what it did not settle.

        What is given back counts as started: if it keeps raising, it ends as a dead letter. Only
        where no job can be to blame (an endpoint or Redis that is down) is the start taken back.

        Args:
            stream: Of the entries.
            entries: Their ids.
            since: When they were asked for, on the monotonic clock: their lease began no sooner.
        """
        with self._lock:
            begun = monotonic() if since is None else since
            self._held.setdefault(stream, {}).update(dict.fromkeys(entries, begun))
        try:
            yield
        except BaseException as error:
            # Let go of first: a lease renewed after the release would hide the entries for another.
            self.drop(stream, entries)
            self._give_back(PendingRelease(stream, tuple(entries), isinstance(error, BLAMELESS)))
            raise
        else:
            self.drop(stream, entries)

    def holds(self, stream: str, entry: str) -> bool:
        """Whether an entry is certainly still this worker's: confirmed within the lease.

        Judged by the monotonic clock from before the confirming command was sent, so that a worker
        cut off from Redis knows by itself, no later than the routers do, that its lease is over.
        """
        with self._lock:
            confirmed = self._held.get(stream, {}).get(entry)
        return confirmed is not None and monotonic() - confirmed < self._lease.total_seconds()

    def drop(self, stream: str, entries: Sequence[str]) -> None:
        """Renew these no more."""
        with self._lock:
            for entry in entries:
                self._held.get(stream, {}).pop(entry, None)

    def _give_back(self, owed: PendingRelease) -> None:
        try:
            self._release(owed)
        except RedisError:
            # Another gets them when the lease is out; if Redis is back before, sooner, and without
            # a start that an outage would have cost them.
            with self._lock:
                self._owed.append(owed)

    def _release(self, owed: PendingRelease) -> None:
        self._ledger.release(owed.stream, owed.entries, self._lease, is_started=owed.is_started)

    def _pay(self) -> None:
        while self._owed:
            self._release(self._owed[0])
            del self._owed[0]

    def _run(self) -> None:
        while True:
            try:
                self._keep()
            except RedisError as error:
                log.warning(
                    "lease.not_renewed",
                    error=type(error).__name__,
                    consequence="past the lease another worker repeats the work in hand, and what"
                    " this one answers is dropped",
                )
            # It goes on while the last batches drain, so leaving must not cut the pause short.
            if self._is_closed.wait(self._beat.total_seconds()):
                return

    def _keep(self) -> None:
        if not self._has_left.is_set():
            self._ledger.beat(self._pool)
        for stream in list(self._held):
            # Whoever lets go meanwhile waits for this renewal, and releases after it.
            with self._lock:
                held, asked_at = self._held.get(stream, {}), monotonic()
                kept = self._ledger.renew(stream, POOL_GROUP, list(held))
                self._held[stream] = dict.fromkeys(kept, asked_at)
        self._pay()
