"""Ending tasks for certain."""

import asyncio
from typing import Any

#: Seconds until a task that lives on is cancelled again.
AGAIN_SECONDS = 0.1


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended; what they raise is dropped.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which the driver sends every command
    in, may swallow a cancellation that comes just as it is done (python/cpython#86296).
    """
    living = set(tasks)
    while living:
        for task in living:
            task.cancel()
        ended, living = await asyncio.wait(living, timeout=AGAIN_SECONDS)
        await asyncio.gather(*ended, return_exceptions=True)
