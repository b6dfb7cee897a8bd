"""Where a client lives, and whether it still does."""

import asyncio
import os

from smallfirst.errors import ClientClosed, ClientMoved


class LoopAffinity:
    """The event loop and the process of a client's first use. Connections work nowhere else."""

    def __init__(self) -> None:
        self._place: tuple[int, asyncio.AbstractEventLoop] | None = None
        self.is_closed = False

    def require(self) -> None:
        """Settle here at the first call, and from then on insist on it.

        Raises:
            ClientClosed: After the end.
            ClientMoved: In another process or event loop.
        """
        if self.is_closed:
            raise ClientClosed
        here = (os.getpid(), asyncio.get_running_loop())
        self._place = self._place or here
        if self._place != here:
            raise ClientMoved("process" if self._place[0] != here[0] else "event loop")
