"""Celery's main loop, as far as it gives signs of life.

A worker's main thread is in one of three places, and touches the process's `alive` in each:

- in the **loop**, by a timer of the loop's own, each second;
- in the **wait for Redis**, within which the loop does not go round: each second between two tries;
- in the **drain**, while it waits for the passes in hand: each second. One that hangs is the
  watchdog's to end.

What holds it up between two touches is a command that Redis leaves without an answer: a try costs
`SMALLFIRST_CONNECT_TIMEOUT_SECONDS` and `_SOCKET_TIMEOUT_SECONDS` at most, 13 s as they come. When
a connection has frozen, the loop may meet a few such commands in a row: the event that found it
out, the goodbye to it, the next connection. So `alive` is younger than a minute while the main
thread goes on, whatever Redis does, and a main thread that hangs is seen by its age.

While models load, nobody goes round: until `ready` is there, `alive` says nothing.
"""

import threading
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps
from kombu import Connection

from smallfirst.health import Health

#: Between two signs of life.
BEAT_SECONDS = 1.0


def beat_in_main_loop(app: Celery, health: Health) -> None:
    """Have the workers of an application beat; each is to be made with `health=` this one too."""
    app.steps["worker"].add(Pulse)
    app.amqp.Connection = beating_connection(health)


class Pulse(bootsteps.StartStopStep):  # type: ignore[misc]
    """Beats in the loop, and in the drain. Started before the consumer, and stopped after it."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, *, health: Health, **options: Any) -> None:
        super().__init__(worker, **options)
        self._health = health

    def start(self, worker: Any) -> None:
        """Beat from the timer of the loop. Set before any connection, it outlives them all."""
        worker.timer.call_repeatedly(BEAT_SECONDS, self._health.beat)

    def stop(self, worker: Any) -> None:
        """Wait for the passes in hand, as Celery would right after, and beat meanwhile."""
        ending = threading.Thread(target=worker.pool.stop, name="drain", daemon=True)
        ending.start()
        while ending.is_alive():
            self._health.beat()
            ending.join(BEAT_SECONDS)


def beating_connection(health: Health) -> type[Connection]:
    """Make a connection to the broker that beats while the main thread waits for it.

    Both waits come by here: that of the consumer for its own connection, and that within an event
    that Celery wants sent, be it in the midst of the loop. Source: kombu/connection.py, 5.7.
    """

    class BeatingConnection(Connection):  # type: ignore[misc]
        def _ensure_connection(
            self, *policy: Any, callback: Callable[[], None] | None = None, **options: Any
        ) -> Any:
            def on_each_second() -> None:
                health.beat()
                if callback is not None:
                    callback()

            health.beat()
            return super()._ensure_connection(*policy, callback=on_each_second, **options)

    return BeatingConnection
