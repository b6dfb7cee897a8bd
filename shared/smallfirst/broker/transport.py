"""kombu's Redis transport, made safe against malformed messages and a full Redis.

Only the router writes to a pool's list, and access rules keep everybody else out. Should an
administrator's hand slip nevertheless, kombu's own transport lets an entry that is not a valid
message stop each worker that reads it (celery#7975), or make it reconnect for ever. Here such an
entry is dropped and logged: the ledger knows every job, so nothing is lost with it.

A Redis that refuses writes for a while, because its memory or its disk is full or a failover is
under way, is to kombu an error of the program, which ends the worker. Here it counts as a broken
connection, which is tried again.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any, ClassVar

import structlog
from kombu.transport import redis, virtual
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.refusals import is_passing

log = structlog.get_logger()

#: Between two tries of a worker that starts to bind its queue.
BIND_AGAIN_SECONDS = 1.0
_TEXTS = (("headers", "id"), ("headers", "task"), ("properties", "delivery_tag"))


def transport_of(address: RedisAddress) -> str:
    """Name the transport for an address as Celery finds it: `broker_transport`."""
    return f"{__name__}:{'Transport' if address.master is None else 'SentinelTransport'}"


@contextmanager
def _refusals_pass() -> Iterator[None]:
    """Let Celery connect anew where Redis refuses to write and soon will not."""
    try:
        yield
    except ResponseError as err:
        if not is_passing(err):
            raise
        raise RedisConnectionError("refuses to write: it is full, or not the master") from None


class _QoS(redis.QoS):  # type: ignore[misc]
    """Keeps acknowledgements that did not arrive, and makes good for them as soon as it can.

    kombu's own would hold the place of the next message for ever: the worker, its one place taken,
    reads no more, and so does not even notice that its connection is gone.
    """

    #: Of every connection of this process, since what follows a broken one pays for it.
    _owed: ClassVar[set[str]] = set()
    #: Whether the worker has a thread for what this channel brings.
    has_room: Callable[[], bool] = staticmethod(lambda: True)

    def can_consume(self) -> bool:
        """Whether another message is wanted."""
        return self.has_room() and bool(super().can_consume())

    def ack(self, delivery_tag: str) -> None:
        self._owed.add(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        try:
            self.pay()
        except RedisError as err:
            if isinstance(err, ResponseError) and not is_passing(err):
                raise
            log.warning(
                "message.not_acknowledged",
                error=type(err).__name__,
                consequence="it counts as waiting until Redis is back",
            )

    def pay(self) -> None:
        """Acknowledge what is owed."""
        for tag in tuple(self._owed):
            self._remove_from_indices(tag).execute()
            self._owed.discard(tag)


class _ReadsOn:
    """Reads on behind an entry that is no JSON, and waits for a Redis that refuses to write.

    kombu writes when a worker declares its queue and binds it, notes which messages it holds, and
    puts back those that it never started. All of that comes by `conn_or_acquire`.
    """

    QoS = _QoS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._takes: dict[str, Any] = {}

    def basic_consume(self, queue: str, *args: Any, **options: Any) -> Any:
        """Remember who takes what this channel reads; see `_brpop_read`."""
        found = super().basic_consume(queue, *args, **options)  # type: ignore[misc]
        self._takes[queue] = self.connection._callbacks[queue]  # type: ignore[attr-defined] # noqa: SLF001 - of kombu's
        return found

    def basic_cancel(self, *args: Any, **options: Any) -> None:
        """Take no more: what a read brings that is under way goes back to its list."""
        self._takes.clear()
        super().basic_cancel(*args, **options)  # type: ignore[misc]

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        with _refusals_pass(), super().conn_or_acquire(client) as found:  # type: ignore[misc]
            yield found

    def _queue_bind(self, *binding: Any) -> None:
        try:
            super()._queue_bind(*binding)  # type: ignore[misc]
        except RedisConnectionError:
            # The connection itself is good, so Celery would be back here at once.
            time.sleep(BIND_AGAIN_SECONDS)
            raise

    def _brpop_start(self, timeout: float | None = None) -> None:
        with suppress(RedisError):
            self.qos.pay()  # type: ignore[attr-defined]
        super()._brpop_start(timeout)  # type: ignore[misc]

    def _brpop_read(self, **options: Any) -> Any:
        # kombu keeps takers by queue, for all channels of a connection: of two that read the same
        # queue, the last to begin would take what either reads.
        self.connection._callbacks.update(self._takes)  # type: ignore[attr-defined] # noqa: SLF001
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (ValueError, RecursionError) as err:
            _drop("is no JSON" if isinstance(err, ValueError) else "is nested too deep")
            raise Empty from err


class _Drops:
    """Hands on what is a message of Celery's, and drops the rest."""

    def on_readable(self, fileno: int) -> None:
        with _refusals_pass():
            super().on_readable(fileno)  # type: ignore[misc]

    def _deliver(self, message: object, queue: str) -> None:
        problem = why_malformed(message)
        if problem is not None:
            _drop(problem)
            return
        super()._deliver(message, queue)  # type: ignore[misc]


class Channel(_ReadsOn, redis.Channel):  # type: ignore[misc]
    """Guarded, of one server."""


class Transport(_Drops, redis.Transport):  # type: ignore[misc]
    """Guarded, of one server."""

    Channel = Channel


class SentinelChannel(_ReadsOn, redis.SentinelChannel):  # type: ignore[misc]
    """Guarded, of the master that Sentinels name."""


class SentinelTransport(_Drops, redis.SentinelTransport):  # type: ignore[misc]
    """Guarded, of the master that Sentinels name."""

    Channel = SentinelChannel


def why_malformed(message: object) -> str | None:
    """Say why an entry of a list is no message that Celery can start; None where it is one.

    Source: the second version of Celery's protocol, docs/internals/protocol.rst of Celery 5.7.
    """
    if not isinstance(message, dict):
        return "is no object"
    for part in ("headers", "properties"):
        if not isinstance(message.get(part), dict):
            return f"has no {part}"
    for part, name in _TEXTS:
        if not isinstance(message[part].get(name), str):
            return f"has no {part}.{name}"
    properties = message["properties"]
    if not isinstance(properties.get("delivery_info"), dict):
        return "has no properties.delivery_info"
    if message.get("content-type") != "application/json" or not _is_call(message, properties):
        return "has no call as its body"
    return None


def _is_call(message: dict[str, Any], properties: dict[str, Any]) -> bool:
    """Whether the body is JSON of positional arguments, named ones and what is embedded."""
    if properties.get("body_encoding") != "base64":
        return False
    try:
        call = json.loads(base64.b64decode(message.get("body", ""), validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return False
    kinds = (list, dict, dict)
    return (
        isinstance(call, list)
        and len(call) == len(kinds)
        and all(isinstance(part, kind) for part, kind in zip(call, kinds, strict=True))
    )


def _drop(problem: str) -> None:
    log.warning(
        "message.malformed",
        problem=problem,
        consequence="it is dropped; what it should have carried is dispatched again",
        remedy="see who else can write to Celery's lists; the router alone should",
    )
