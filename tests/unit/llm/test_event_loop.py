"""The loop beside Celery's threads: what it leaves behind when it ends."""

import asyncio
import threading

import pytest

from smallfirst_workers.llm.event_loop import EventLoop


def test_what_still_runs_is_cancelled_and_cleans_up() -> None:
    """Whoever waits on a coroutine of a loop that ends is told so, after its clean-up."""
    loop, begun, cleaned = EventLoop("test"), threading.Event(), threading.Event()

    async def wait_for_ever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    waiting = loop.post(wait_for_ever())
    assert begun.wait(timeout=10)
    loop.stop()

    assert waiting.cancelled()
    assert cleaned.is_set()


def test_an_ended_loop_takes_nothing_more() -> None:
    """It is closed, thread and all, and says so to whoever comes late."""
    loop = EventLoop("ended")
    loop.stop()

    assert "ended" not in [thread.name for thread in threading.enumerate()]
    late = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        loop.post(late)
    late.close()
