"""Two lanes into a worker: one for all its batches, and one for what is urgent alone.

A worker fetches a batch when it has a thread to run it, never ahead: what lies ready behind a
running batch would keep a batch of interactive jobs waiting for both, though another worker may be
free before. Beside its batches it runs as many urgent ones at once, in threads of their own. So a
batch of interactive jobs waits for no pass of bulk; it shares the processor with one.

Celery knows one lane. What makes two of them: a second channel of kombu's, which looks at the list
of urgent messages alone; a pool of threads that counts what each lane has brought; and a wake-up of
the main loop whenever a thread is free, which would else sleep up to a second through it. Source:
celery/worker/loops.py and kombu/transport/redis.py (`on_poll_start`), 5.7.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from typing import Any, Final

from celery import Celery, bootsteps
from celery.concurrency import thread
from kombu import Consumer

from smallfirst.broker.queues import queue_of
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import MESSAGE_PRIORITIES

#: More than any pool has ended since the loop last looked.
_MANY: Final = 4096


class Lane(Enum):
    """A way for batches into a worker."""

    #: Every batch, urgent ones first.
    MAIN = "main"
    #: Urgent ones alone.
    EXPRESS = "express"


def threads_of(num_batches: int) -> int:
    """How many threads a worker needs that runs so many batches side by side, in each lane."""
    return num_batches * len(Lane)


def open_lanes(app: Celery, pool: str) -> None:
    """Have the workers of an application fetch a pool's batches by both lanes."""
    app.conf.worker_pool = TaskPool
    app.steps["consumer"].add(_express_of(pool))


class TaskPool(thread.TaskPool):  # type: ignore[misc]
    """Threads, as many for each lane, and what each has in hand."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_hand = Counter[Lane]()
        self._lane = Lane.MAIN
        self._lock = threading.Lock()
        self._ended, self._end = os.pipe()
        for end in (self._ended, self._end):
            os.set_blocking(end, False)

    def has_room(self, lane: Lane) -> bool:
        """Whether a thread is free for a batch that comes by this lane."""
        return bool(self._in_hand[lane] < self.limit // len(Lane))

    @contextmanager
    def coming_by(self, lane: Lane) -> Iterator[None]:
        """Count what Celery's main thread starts meanwhile as come by this lane."""
        self._lane = lane
        try:
            yield
        finally:
            self._lane = Lane.MAIN

    def register_with_event_loop(self, loop: Any) -> None:
        """Be heard by a loop; Celery makes a new one after each loss of its connection."""
        loop.add_reader(self._ended, self._look)

    def on_apply(self, *args: Any, **options: Any) -> Any:
        """Start a batch in a thread."""
        self._count(self._lane, 1)
        try:
            result = super().on_apply(*args, **options)
        except BaseException:
            self._count(self._lane, -1)
            raise
        result.f.add_done_callback(partial(self._on_ended, self._lane))
        return result

    def _on_ended(self, lane: Lane, _: object) -> None:
        self._count(lane, -1)
        # A full pipe wakes the loop as well.
        with suppress(BlockingIOError):
            os.write(self._end, b"\0")

    def _count(self, lane: Lane, change: int) -> None:
        with self._lock:
            self._in_hand[lane] += change

    def _look(self) -> None:
        """Nothing more than to go round: the loop then fetches what there is room for."""
        with suppress(BlockingIOError):
            os.read(self._ended, _MANY)


def _express_of(pool: str) -> type[bootsteps.ConsumerStep]:
    """The step of Celery's start that opens the express lane of a pool."""

    class Express(bootsteps.ConsumerStep):  # type: ignore[misc]
        """Listens for urgent batches, on a channel of its own."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, c: Any) -> None:
            """Bound both channels by the threads of their lane."""
            c.task_consumer.channel.qos.has_room = partial(c.pool.has_room, Lane.MAIN)
            channel = c.connection.channel()
            channel.qos.has_room = partial(c.pool.has_room, Lane.EXPRESS)
            channel.priority_steps = [MESSAGE_PRIORITIES[Priority.INTERACTIVE]]
            take = c.create_task_handler()

            def on_message(message: Any) -> None:
                with c.pool.coming_by(Lane.EXPRESS):
                    take(message)

            consumer = Consumer(channel, queues=[queue_of(pool)], on_message=on_message)
            self.consumers = [consumer]
            consumer.consume()

    return Express
