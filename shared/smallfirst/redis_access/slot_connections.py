"""Connections to the node of a Redis Cluster that has a slice's slot, wherever the slot moves.

All keys of a slice are in one slot, and so on one node at a time. So a slice needs no client of
clusters, which would spread its commands: it needs connections that follow the slot, as a
Sentinel's follow the master. Where the slot is, nodes tell themselves (`MOVED`), and no command and
no right is needed to ask them.

While a slot is on its way its keys are on two nodes, and no script has them all. What is asked
meanwhile counts as asked of a Redis that does not answer: it is tried again, and passes.
"""

import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import connection as asyncio_connections
from redis.connection import Connection, SSLConnection
from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError

Place = tuple[str, int]
#: The most nodes that are remembered, the seeds among them.
MAX_PLACES = 64
#: How a script says it that names a key of a slot on its way, whichever the version.
_NOT_LOCAL: Final = re.compile(r"non local key")


class SlotOwner:
    """The node that has a slot, as far as its connections were told.

    Args:
        seeds: Nodes of the cluster, at which the search begins.
    """

    def __init__(self, seeds: Iterable[Place]) -> None:
        self._places = deque(dict.fromkeys(seeds), maxlen=MAX_PLACES)
        self._lock = threading.Lock()

    @property
    def place(self) -> Place:
        """Where the slot is looked for now."""
        return self._places[0]

    def is_at(self, place: Place) -> None:
        """Look there from now on."""
        with self._lock:
            if place in self._places:
                self._places.remove(place)
            elif len(self._places) == MAX_PLACES:
                self._places.pop()
            self._places.appendleft(place)

    def is_not_at(self, place: Place) -> None:
        """Look elsewhere, unless that is done already: this node is gone, or apart."""
        with self._lock:
            if self._places[0] == place:
                self._places.rotate(-1)

    def trouble(self, error: ResponseError, asked: Place) -> str | None:
        """Learn from what a node refuses; say why it passes, or None where it does not."""
        if isinstance(error, MovedError):
            # A node that knows no name of the other's has the same.
            self.is_at((error.host or asked[0], error.port))
            return "the slice's slot is on another node"
        if isinstance(error, ClusterDownError):
            self.is_not_at(asked)
            return "the cluster is down"
        if isinstance(error, AskError | TryAgainError) or _NOT_LOCAL.search(str(error)):
            return "the slice's slot is on its way to another node"
        return None


class _Follows:
    """A connection that leads to where the slot is, each time that it connects."""

    host: str
    port: int

    def __init__(self, *, owner: SlotOwner, **options: Any) -> None:
        self._owner = owner
        super().__init__(**options)

    @property
    def _place(self) -> Place:
        return self.host, self.port


class SlotConnection(_Follows, Connection):
    """Such a connection."""

    def connect(self) -> None:
        """Connect, and let go of a node that has the slot no longer."""
        if self._sock is not None and self._place != self._owner.place:
            self.disconnect()
        super().connect()  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        self.host, self.port = self._owner.place
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        except OSError:
            self._owner.is_not_at(self._place)
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read an answer; a slot that is elsewhere counts as a broken connection.

        Raises:
            RedisConnectionError: Where the node has not the slot, or not all of it.
        """
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            reason = self._owner.trouble(error, self._place)
            if reason is None:
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError(reason) from None


class EncryptedSlotConnection(SlotConnection, SSLConnection):
    """Such a connection, over TLS."""


class AsyncSlotConnection(_Follows, asyncio_connections.Connection):
    """Such a connection, for asyncio."""

    async def connect(self) -> None:
        """Connect, and let go of a node that has the slot no longer."""
        if self.is_connected and self._place != self._owner.place:
            await self.disconnect()
        await super().connect()  # type: ignore[no-untyped-call]

    async def _connect(self) -> None:
        self.host, self.port = self._owner.place
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        except OSError:
            self._owner.is_not_at(self._place)
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read an answer; a slot that is elsewhere counts as a broken connection.

        Raises:
            RedisConnectionError: Where the node has not the slot, or not all of it.
        """
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            reason = self._owner.trouble(error, self._place)
            if reason is None:
                raise
            await self.disconnect(nowait=True)
            raise RedisConnectionError(reason) from None


class AsyncEncryptedSlotConnection(AsyncSlotConnection, asyncio_connections.SSLConnection):
    """Such a connection, for asyncio, over TLS."""
