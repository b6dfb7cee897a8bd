"""One way to connect to Redis, every wait bounded: a frozen link must not freeze the fleet."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.slices import Slice, keys_of_slices
from smallfirst.redis_access.address import RedisAddress
from smallfirst.settings import RouterSettings, Settings

#: Tries of one command over a broken connection, before its caller decides what to do.
RETRIES = 3


class _Pauses(ExponentialWithJitterBackoff):
    """How long to wait between two tries, up to a second, and whom to tell of each."""

    def __init__(self, on_retry: Callable[[], object]) -> None:
        super().__init__(base=0.05, cap=1.0)
        self._on_retry = on_retry

    def compute(self, failures: int) -> float:
        self._on_retry()
        return super().compute(failures)


def connect(
    settings: Settings, *, role: str, on_retry: Callable[[], object] = lambda: None
) -> Redis:
    """Open a pool of connections; replies are bytes.

    A retried command may have run twice. Every command of the ledger is safe to repeat: scripts are
    fenced by XACK, and what XREADGROUP read unseen stays pending and is recovered.

    Args:
        settings: Where Redis is.
        role: Of the component, for Redis's list of clients.
        on_retry: Called before a command, or a connection, is tried again. One that is left without
            an answer is given up after minutes only, since the tries of both multiply.
    """
    return _open(settings.redis, settings, role, on_retry)


def connect_slices(settings: Settings, *, role: str) -> tuple[Slice, ...]:
    """Open a pool of connections to each slice, as `connect` does."""
    keys = keys_of_slices(settings.namespace, settings.slices)
    return tuple(Slice(connect(settings, role=role), each) for each in keys)


def connect_broker(
    settings: Settings, redis: Redis, *, role: str, on_retry: Callable[[], object] = lambda: None
) -> Redis:
    """Open a pool of connections to Celery's Redis; the fleet's own, where that is the same."""
    if settings.broker_url is None:
        return redis
    return _open(settings.broker, settings, role, on_retry)


def _open(
    address: RedisAddress, settings: Settings, role: str, on_retry: Callable[[], object]
) -> Redis:
    # Each connection copies its retries deeply: a method would become that of another object.
    pauses = _Pauses(lambda: on_retry())  # noqa: PLW0108 - functions are not copied
    return address.connect(
        socket_timeout=settings.socket_timeout_seconds,
        socket_connect_timeout=settings.connect_timeout_seconds,
        socket_keepalive=True,
        health_check_interval=10,
        client_name=f"smallfirst-{role}",
        retry=Retry(pauses, RETRIES),
        # After a failover the old master answers as what it is now, until its address is another's.
        retry_on_error=[RedisConnectionError, RedisTimeoutError, ReadOnlyError, MasterDownError],
    )


def bounds_of(settings: Settings) -> Bounds:
    """How long everything is kept and how much is read, from a component's settings."""
    bounds = Bounds(
        result_ttl=timedelta(seconds=settings.result_ttl_seconds),
        job_ttl=timedelta(seconds=settings.job_ttl_seconds),
    )
    if not isinstance(settings, RouterSettings):
        return bounds
    return replace(
        bounds,
        dead_ttl=timedelta(seconds=settings.dead_ttl_seconds),
        max_dead=settings.max_dead,
        max_dead_bytes=settings.max_dead_bytes,
        max_job_bytes=settings.max_job_bytes,
        read_bytes=settings.read_bytes,
    )
