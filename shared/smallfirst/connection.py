"""One way to connect to Redis, every wait bounded: a frozen link must not freeze the fleet."""

from datetime import timedelta

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from smallfirst.ledger import Bounds
from smallfirst.settings import RouterSettings, Settings

#: Tries of one command over a broken connection, before its caller decides what to do.
RETRIES = 3


def connect(settings: Settings, *, role: str) -> Redis:
    """Open a pool of connections; replies are bytes.

    A retried command may have run twice. Every command of the ledger is safe to repeat: scripts are
    fenced by XACK, and what XREADGROUP read unseen stays pending and is recovered.
    """
    return settings.redis.connect(
        socket_timeout=settings.socket_timeout_seconds,
        socket_connect_timeout=settings.connect_timeout_seconds,
        socket_keepalive=True,
        health_check_interval=10,
        client_name=f"smallfirst-{role}",
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES),
        # After a failover the old master answers as what it is now, until its address is another's.
        retry_on_error=[RedisConnectionError, RedisTimeoutError, ReadOnlyError, MasterDownError],
    )


def bounds_of(settings: Settings) -> Bounds:
    """How long everything is kept, from a component's settings."""
    defaults = Bounds()
    dead = settings if isinstance(settings, RouterSettings) else None
    return Bounds(
        result_ttl=timedelta(seconds=settings.result_ttl_seconds),
        job_ttl=timedelta(seconds=settings.job_ttl_seconds),
        dead_ttl=timedelta(seconds=dead.dead_ttl_seconds) if dead else defaults.dead_ttl,
        max_dead=dead.max_dead if dead else defaults.max_dead,
    )
