"""Holding: what this process has in its hands, and the thread that keeps it.

The thread beats, so that the router knows the worker lives, and renews the leases of the entries in
hand, so that nobody else starts them. It takes no part in the work.

Whether a lease is over is not judged here. A process that stood still, or was cut off, for longer
than its lease goes on with its work when it can: what a router took over meanwhile it takes back,
and if another worker has started, whoever is done first answers. Else a fleet that is starved, each
of its passes longer than a lease, would start every job again and again and end none.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from smallfirst.ledger.ledger import Ledger
from smallfirst_workers.errors import EndpointDown, ModelBroken

log = structlog.get_logger()

#: No job can be to blame for these: a start that ends in one is taken back.
BLAMELESS = (EndpointDown, ModelBroken, RedisError)


@dataclass(frozen=True)
class PendingRelease:
    """Entries to be given back as soon as Redis can be reached, with which start each was."""

    stream: str
    starts: Mapping[str, int]
    is_undone: bool
    pause: timedelta = timedelta(0)


class LeaseKeeper:
    """The entries in this process's hands, by stream, with which start of each is its own.

    Args:
        ledger: Of the slice.
        pool: The worker's.
        lease: For how long nobody else takes an entry over that is not renewed.
        beat: Between two signs of life.
        on_beat: What else is done at each, when all leases are renewed.
    """

    def __init__(
        self,
        ledger: Ledger,
        pool: str,
        *,
        lease: timedelta,
        beat: timedelta,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._on_beat = on_beat
        self._pool = pool
        self._lease = lease
        self._beat = min(beat, lease / 3)
        self._held: dict[str, dict[str, int]] = {}
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
            self._ledger.lives.beat(self._pool, leaving=True)
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
        for stream, starts in held.items():
            self._ledger.give_back(stream, starts, self._lease, is_undone=True)
        return sum(map(len, held.values()))

    def give_back(
        self, stream: str, starts: Mapping[str, int], *, is_undone: bool, pause: timedelta
    ) -> None:
        """Give entries back whose work is not to be done here, to be started again after a pause.

        Args:
            stream: Of the entries.
            starts: Which start of each this is.
            is_undone: Whether it counts as none.
            pause: Until a router may take them over; a lease at most.
        """
        self.drop(stream, starts)
        self._give_back(PendingRelease(stream, starts, is_undone, pause))

    @contextmanager
    def holding(self, stream: str, starts: Mapping[str, int]) -> Iterator[None]:
        """Keep entries for as long as the block runs; give back what it did not settle.

        What is given back counts as started: if it keeps raising, it ends as a dead letter. Only
        where no job can be to blame (an endpoint or Redis that is down) is the start taken back.

        Args:
            stream: Of the entries.
            starts: Which start of each this is.
        """
        with self._lock:
            self._held.setdefault(stream, {}).update(starts)
        try:
            yield
        except BaseException as error:
            # Let go of first: a lease renewed after the release would hide the entries for another.
            mine = self.drop(stream, starts)
            self._give_back(PendingRelease(stream, mine, isinstance(error, BLAMELESS)))
            raise
        else:
            self.drop(stream, starts)

    def holds(self, stream: str, entry: str) -> bool:
        """Whether an entry is in hand, and for all that Redis has told has not ended.

        It may be in another's hands as well, who started it when this process was silent.
        """
        with self._lock:
            return entry in self._held.get(stream, {})

    def drop(self, stream: str, entries: Iterable[str]) -> dict[str, int]:
        """Renew these no more; return those that were in hand, with their starts."""
        with self._lock:
            held = self._held.get(stream, {})
            return {entry: held.pop(entry) for entry in entries if entry in held}

    def _give_back(self, owed: PendingRelease) -> None:
        try:
            self._release(owed)
        except RedisError:
            # Another gets them when the lease is out; if Redis is back before, sooner, and without
            # a start that an outage would have cost them.
            with self._lock:
                self._owed.append(owed)

    def _release(self, owed: PendingRelease) -> None:
        self._ledger.give_back(
            owed.stream, owed.starts, self._lease, is_undone=owed.is_undone, pause=owed.pause
        )

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
                    consequence="past the lease another worker repeats the work in hand, and"
                    " whichever is done first answers",
                )
            # It goes on while the last batches drain, so leaving must not cut the pause short.
            if self._is_closed.wait(self._beat.total_seconds()):
                return

    def _keep(self) -> None:
        if not self._has_left.is_set():
            self._ledger.lives.beat(self._pool)
        for stream in list(self._held):
            # Whoever lets go meanwhile waits for this renewal, and releases after it.
            with self._lock:
                held = self._held.get(stream, {})
                kept = self._ledger.keep(stream, held)
                self._held[stream] = {entry: held[entry] for entry in kept}
        self._pay()
        self._on_beat()
