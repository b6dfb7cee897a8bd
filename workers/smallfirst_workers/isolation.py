"""Which batches of a process may run side by side.

A job that kills its worker takes what runs beside it down too. So a batch whose jobs were begun
twice in vain runs by itself, as the router has put each of these jobs in a batch by itself: what
dies then is the job at fault alone.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Starts without an end after which a batch runs alone.
STARTS_IN_COMPANY = 2


class Isolation:
    """Lets a process's batches run at once, and a suspect one when no other does.

    Attributes:
        num_suspects_waiting: How many suspect ones wait for others to end.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_running = 0
        self.num_suspects_waiting = 0
        self._runs_suspect = False

    @contextmanager
    def of(self, starts: int | None) -> Iterator[None]:
        """Run a batch of jobs with so many starts before; wait until that is allowed.

        Args:
            starts: As its message tells them; None where it does not.
        """
        is_suspect = (starts or 0) >= STARTS_IN_COMPANY
        self._enter(is_suspect=is_suspect)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, *, is_suspect: bool) -> None:
        with self._changed:
            self.num_suspects_waiting += is_suspect
            self._changed.wait_for(self._is_empty if is_suspect else self._has_no_suspect)
            self.num_suspects_waiting -= is_suspect
            self._num_running += 1
            self._runs_suspect = is_suspect

    def _leave(self) -> None:
        with self._changed:
            self._num_running -= 1
            self._runs_suspect = False
            self._changed.notify_all()

    def _is_empty(self) -> bool:
        return self._num_running == 0

    def _has_no_suspect(self) -> bool:
        # Those that wait go first: else a busy worker would never come to them.
        return not self._runs_suspect and self.num_suspects_waiting == 0
