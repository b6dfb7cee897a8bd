"""One router of each slice, side by side in one process.

They share the workers' queues and nothing else: a slice whose node is away holds up no other. The
first runs on the main thread, whose signs of life are the process's.
"""

import threading
from collections.abc import Sequence

from smallfirst_router.router import Router


class SliceRouters:
    """The routers of all slices, started and stopped as one."""

    def __init__(self, routers: Sequence[Router]) -> None:
        self._first, *self._others = routers
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Route until told to stop.

        Raises:
            RedisUnfit: At the start, when Redis can serve no fleet.
        """
        threads = [
            threading.Thread(target=self._run, args=(router,), name=f"slice-{number}")
            for number, router in enumerate(self._others, start=1)
        ]
        for thread in threads:
            thread.start()
        self._run(self._first)
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self, router: Router) -> None:
        """Run one router; where it ends by an error, the others end too: a process is whole."""
        try:
            router.run()
        except BaseException as error:  # noqa: BLE001 - raised again once all have ended
            self._errors.append(error)
            self.stop()

    def stop(self) -> None:
        """Have every router finish the step in hand, and `run` return."""
        for router in (self._first, *self._others):
            router.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether they were told to stop."""
        return self._first.is_stopping
