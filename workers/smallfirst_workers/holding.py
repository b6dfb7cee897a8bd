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
from smallfirst_workers.errors import EndpointDown

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
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holder", daemon=True)

    def open(self) -> None:
        """Begin to beat: from now on the router sends work."""
        self._thread.start()

    def leave(self) -> None:
        """Tell the router to send nothing more; what is in hand is still kept."""
        self._stop.set()
        try:
            self._ledger.beat(self._pool, leaving=True)
        except RedisError as error:
            log.warning("worker.left_unnoticed", error=type(error).__name__)

    @contextmanager
    def holding(self, stream: str, entries: Sequence[str]) -> Iterator[None]:
        """Keep entries for as long as the block runs; give back what it did not settle.

        What is given back counts as started: if it keeps raising, it ends as a dead letter. Only
        for an endpoint that is down no job can be to blame.
        """
        with self._lock:
            self._held.setdefault(stream, set()).update(entries)
        try:
            yield
        except BaseException as error:
            is_blameless = isinstance(error, EndpointDown)
            self._ledger.release(stream, entries, self._lease, is_started=is_blameless)
            raise
        finally:
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
            self._stop.wait(self._beat.total_seconds())

    def _keep(self) -> None:
        if not self._stop.is_set():
            self._ledger.beat(self._pool)
        with self._lock:
            held = {stream: list(entries) for stream, entries in self._held.items()}
        for stream, entries in held.items():
            self._ledger.renew(stream, POOL_GROUP, entries)
