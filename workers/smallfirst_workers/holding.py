"""Holding: what this process has in its hands, and the thread that keeps it.

The thread beats, so that the router knows the worker lives, and renews the leases of the entries in
hand, so that nobody else starts them. It takes no part in the work.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from smallfirst.keys import POOL_GROUP
from smallfirst.ledger import Ledger
from smallfirst_workers.errors import BlamelessError

log = structlog.get_logger()


class Holder:
    """The entries in this process's hands, by stream."""

    def __init__(self, ledger: Ledger, pool: str, *, lease: timedelta, beat: timedelta) -> None:
        self._ledger = ledger
        self._pool = pool
        self._lease = lease
        self._beat = min(beat, lease / 3)
        self._held: dict[str, set[str]] = {}
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

    @contextmanager
    def holding(self, stream: str, entries: Sequence[str]) -> Iterator[None]:
        """Keep entries for as long as the block runs; give back what it did not settle.

        What is given back counts as started, unless no job can be to blame: what keeps raising ends
        as a dead letter.
        """
        with self._lock:
            self._held.setdefault(stream, set()).update(entries)
        try:
            yield
        except BaseException as error:
            # Let go of first: a lease renewed after the release would hide the entries for another.
            self._let_go(stream, entries)
            is_blameless = isinstance(error, BlamelessError)
            self._ledger.release(stream, entries, self._lease, is_started=is_blameless)
            raise
        else:
            self._let_go(stream, entries)

    def _let_go(self, stream: str, entries: Sequence[str]) -> None:
        with self._lock:
            self._held[stream].difference_update(entries)

    def _run(self) -> None:
        while True:
            try:
                self._keep()
            except RedisError as error:
                log.warning(
                    "lease.not_renewed",
                    error=type(error).__name__,
                    consequence="past the lease another worker may repeat the work in hand",
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
                self._ledger.renew(stream, POOL_GROUP, list(self._held[stream]))
