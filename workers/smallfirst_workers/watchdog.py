"""The watchdog: ends a process whose pass outlives its bound, with a stack dump.

A thread of Python's could not do it, since native code that hangs may hold the interpreter. The
timer is faulthandler's, which needs no interpreter and prints no locals, so no job's text.
"""

import faulthandler
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from time import monotonic, sleep

#: What faulthandler exits with: it can be told no other.
EXIT_HUNG = 1
#: The timer is set anew no more often than this, and put out so long after the last pass: each
#: setting starts a thread, which for a batch of short texts was a sixth of all but its pass.
_MAX_SLACK = timedelta(seconds=1)


class Watchdog:
    """Bounds how long a process may go without an answer from any of its passes.

    It never ends a pass within its bound, and ends one at most a second, or a tenth of the bound,
    after it.

    Args:
        bound: The longest wait for the next answers of a pass; None for no bound.
    """

    def __init__(self, bound: timedelta | None) -> None:
        self._bound = bound
        self._slack = min(_MAX_SLACK, bound / 10).total_seconds() if bound else 0.0
        self._due: dict[int, float] = {}
        #: When the timer goes off: never before the first pass is due, nor later than the slack
        #: after; None while it is not set.
        self._set_for: float | None = None
        self._names = count()
        self._lock = threading.Lock()
        #: When the last pass ended, while none runs.
        self._idle_since = 0.0
        #: Set while the timer is.
        self._is_armed = threading.Event()
        self._idler: threading.Thread | None = None

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Expect the first answers of a pass within the bound, until the block ends."""
        watch = Watch(self, next(self._names))
        watch.progress()
        try:
            yield watch
        finally:
            self._set(watch.name, None)

    def _set(self, name: int, begun: float | None) -> None:
        if self._bound is None:
            return
        with self._lock:
            self._due.pop(name, None)
            if begun is not None:
                self._due[name] = begun + self._bound.total_seconds()
            self._arm()

    def _arm(self) -> None:
        """Set the one timer there is to the pass that is due first, unless it is already."""
        if not self._due:
            self._idle_since = monotonic()
            return
        first = min(self._due.values())
        if self._set_for is None or not first <= self._set_for <= first + self._slack:
            self._set_for = first + self._slack
            faulthandler.dump_traceback_later(max(0.001, self._set_for - monotonic()), exit=True)
            self._is_armed.set()
            if self._idler is None:
                self._idler = threading.Thread(target=self._put_out, daemon=True, name="watchdog")
                self._idler.start()

    def _put_out(self) -> None:
        """Put the timer out where no pass has run for a while, long before it goes off."""
        while self._is_armed.wait():
            sleep(self._slack)
            with self._lock:
                if not self._due and monotonic() - self._idle_since >= self._slack:
                    faulthandler.cancel_dump_traceback_later()
                    self._set_for = None
                    self._is_armed.clear()


class Watch:
    """One pass under watch."""

    def __init__(self, dog: Watchdog, name: int) -> None:
        self.name = name
        self._dog = dog

    def progress(self) -> None:
        """Say that answers came: the bound begins anew."""
        self._dog._set(self.name, monotonic())  # noqa: SLF001 - of the same module
