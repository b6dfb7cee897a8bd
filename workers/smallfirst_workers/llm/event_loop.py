"""An event loop in a thread of its own, and batches of questions answered on it.

Celery's tasks are plain functions on threads; engines that answer many questions side by side are
asynchronous. This is the bridge between them.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from smallfirst_workers.engines import EngineResult

_Value = TypeVar("_Value")
_Question = TypeVar("_Question")
_STOP_SECONDS = 10.0


class EventLoop:
    """A loop that other threads hand coroutines to."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, _Value]) -> _Value:
        """Run a coroutine to its end."""
        return self.post(coroutine).result()

    def post(self, coroutine: Coroutine[Any, Any, _Value]) -> "Future[_Value]":
        """Start a coroutine; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def in_turn(
        self,
        asked: Sequence[_Question],
        answer: Callable[[_Question], Coroutine[Any, Any, EngineResult]],
    ) -> Iterator[EngineResult]:
        """Ask all questions at once, and give each answer out as it is there.

        What an answer raises is raised here. The questions still open are cancelled when that
        happens, or when nobody takes the rest.
        """
        done: SimpleQueue[tuple[int, Future[EngineResult]]] = SimpleQueue()
        futures = []
        for place, one in enumerate(asked):
            future = self.post(answer(one))
            future.add_done_callback(partial(_put, done, place))
            futures.append(future)
        try:
            for _ in asked:
                place, future = done.get()
                yield future.result().at(place)
        finally:
            for future in futures:
                future.cancel()

    def stop(self) -> None:
        """Cancel what still runs, and end the loop and its thread."""
        # A loop that is stuck cannot be tidied up, and is not to hold up who stops it.
        with suppress(TimeoutError):
            self.post(_cancel_others()).result(timeout=_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=_STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_others() -> None:
    """Cancel every other coroutine of the loop, and wait until they have cleaned up."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)


def _put(
    done: "SimpleQueue[tuple[int, Future[EngineResult]]]",
    place: int,
    future: "Future[EngineResult]",
) -> None:
    done.put((place, future))
