"""One router of each slice, side by side in one process.

They share the workers' queues and nothing else: a slice whose node is away holds up no other. The
first runs on the main thread, and each of the others on a thread with signs of life of its own.
"""

import threading
from collections.abc import Sequence

import structlog

from smallfirst_router.router import Router

log = structlog.get_logger()

#: How long the others have to hand back what they hold once one has failed; it may hang.
LEAVING_SECONDS = 10.0


def thread_of(number: int) -> str:
    """Name the thread on which a slice's router runs; the first one's is the main thread."""
    return f"slice-{number}"


class SliceRouters:
    """The routers of all slices, in the order of their numbers, started and stopped as one."""

    def __init__(self, routers: Sequence[Router]) -> None:
        self._first, *self._others = routers
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Route until told to stop.

        Raises:
            RedisUnfit: At the start, when Redis can serve no fleet.
        """
        threads = [
            threading.Thread(
                target=self._run, args=(router, number), name=thread_of(number), daemon=True
            )
            for number, router in enumerate(self._others, start=1)
        ]
        for thread in threads:
            thread.start()
        self._run(self._first, 0)
        for thread in threads:
            thread.join(LEAVING_SECONDS if self._errors else None)
        if self._errors:
            raise self._errors[0]

    def _run(self, router: Router, number: int) -> None:
        """Run one router; where it ends by an error, the others end too: a process is whole."""
        try:
            router.run()
        except BaseException as error:  # noqa: BLE001 - raised again on the main thread
            self._errors.append(error)
            self._tell(error, number)
            self.stop()

    def _tell(self, error: BaseException, number: int) -> None:
        """Log at once that a slice's router failed: another may hang, and hold up the end."""
        if self._others:
            log.error(
                "slice.failed",
                slice=number,
                error=type(error).__name__,
                consequence="this router ends; what it holds is a peer's after a lease",
            )

    def stop(self) -> None:
        """Have every router finish the step in hand, and `run` return."""
        for router in (self._first, *self._others):
            router.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether they were told to stop."""
        return self._first.is_stopping
