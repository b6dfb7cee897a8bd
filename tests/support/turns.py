"""Work that goes on only when told: a thread that stops wherever it waits for its turn.

So a test stands between any two steps of real code, and decides who goes next.
"""

import threading
from collections.abc import Callable


class Turns:
    """One piece of work in a thread of its own; it or its owner runs, never both.

    Args:
        work: Is told how to wait for its next turn; the wait returns what its owner says then.
    """

    def __init__(self, work: Callable[[Callable[[], str]], object]) -> None:
        self._work = work
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._said = ""
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="turns", daemon=True)
        self.is_over = False
        self._thread.start()

    def go_on(self, said: str = "") -> None:
        """Let the work go on to its next wait, or to its end; what it raised is raised here."""
        assert not self.is_over, "the work is over"
        self._said = said
        self._theirs.release()
        self._mine.acquire()
        if self.is_over:
            self._thread.join()
        if self._raised is not None:
            raise self._raised

    def _wait(self) -> str:
        self._mine.release()
        self._theirs.acquire()
        return self._said

    def _run(self) -> None:
        self._theirs.acquire()
        try:
            self._work(self._wait)
        except BaseException as error:  # noqa: BLE001 - raised again in its owner's thread
            self._raised = error
        self.is_over = True
        self._mine.release()
