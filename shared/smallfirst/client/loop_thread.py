"""An event loop in a thread of its own, for programs that have none."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from smallfirst.errors import ClientClosed, ClientMoved

_Value = TypeVar("_Value")


class LoopThread:
    """Runs coroutines for other threads. It starts with the first of them, and ends with `stop`.

    Args:
        name: Of the thread.
        at_end: Awaited in the loop as the last thing.
    """

    def __init__(self, name: str, *, at_end: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._at_end = at_end
        # The garbage collector may call `post` and `stop` in the midst of either.
        self._lock = threading.RLock()
        self._is_stopped = False
        self._process: int | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def call(self, coroutine: Coroutine[Any, Any, _Value]) -> _Value:
        """Run a coroutine to its end; an interrupt (Ctrl-C) cancels it.

        Raises:
            ClientClosed: When the thread has ended, or ends meanwhile.
            ClientMoved: In a process that was forked off after the start.
        """
        try:
            future = self._schedule(coroutine)
        except BaseException:
            coroutine.close()
            raise
        try:
            return future.result()
        except CancelledError:
            raise ClientClosed from None
        except BaseException:
            future.cancel()
            raise

    def post(self, function: Callable[[], None]) -> None:
        """Run a function in the loop some time soon; nothing if there is no loop (any more)."""
        if self._process != os.getpid():
            return
        with self._lock:
            if self._loop and not self._is_stopped:
                self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """End the thread. Everybody who still waits gets `ClientClosed`."""
        if self._process not in {None, os.getpid()}:
            return
        with self._lock:
            if self._loop and not self._is_stopped:
                # Behind every call that came in before, so that none is left hanging.
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._is_stopped = True
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()

    def _schedule(self, coroutine: Coroutine[Any, Any, _Value]) -> Future[_Value]:
        if self._process not in {None, os.getpid()}:
            raise ClientMoved("process")
        if self._thread is threading.current_thread():
            raise RuntimeError("a client cannot wait for itself: use AsyncClient in a coroutine")
        with self._lock:
            if self._is_stopped:
                raise ClientClosed
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop or self._start())

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop,), name=self._name, daemon=True)
        self._process, self._loop, self._thread = os.getpid(), loop, thread
        thread.start()
        return loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        await self._stopping.wait()
        await self._at_end()
