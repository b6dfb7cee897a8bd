"""Celery's configuration for router, workers and Flower: one place, a reason beside each setting.

Celery carries hints: which entries of a backlog a worker should claim. Redis's streams are the
truth, so everything here prefers losing a message to repeating, hanging or wedging on one. Of this
package `broker` alone imports Celery or what Celery is made of; `import smallfirst` never reaches
it.
"""

import ssl
from typing import Any, Final

from celery import Celery

from smallfirst.broker.transport import transport_of
from smallfirst.ledger.keys import MESSAGE_PRIORITIES, PRIORITY_SEPARATOR, Keys
from smallfirst.settings import Settings

#: Where a task would go that names no pool: nobody reads it, and nothing is sent there.
NO_POOL = "none"

#: What does not hang on who it is that asks.
_FIXED: Final[dict[str, Any]] = {
    # JSON alone: a pickle in a queue would be a program in a queue.
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_protocol": 2,
    # Compressed bodies would be unpacked before anything could limit their size.
    "task_compression": None,
    "task_default_queue": NO_POOL,
    # Acknowledged when started: the ledger brings back what is lost. Late acknowledgement
    # repeats every running task on a connection blip, and a failed one wedges the worker.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    # Results are our own keys with a TTL; a result backend would only grow.
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # Flower shows a batch as sent, received, started, and done.
    "task_send_sent_event": True,
    "task_track_started": True,
    "worker_send_task_events": True,
    # The router retries by itself, in its own loop, where it also renews what it holds.
    "task_publish_retry": False,
    # Batches run in threads: torch and OpenVINO use their own inside a pass, and release the
    # interpreter, so that events and heartbeats go on meanwhile. A batch is fetched when there is a
    # thread for it; see `lanes`.
    "worker_pool": "threads",
    "worker_concurrency": 1,
    "worker_prefetch_multiplier": 1,
    # Whoever can publish to the control channel could stop workers.
    "worker_enable_remote_control": False,
    # structlog owns the output.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_disable_rate_limits": True,
    "timezone": "UTC",
    "enable_utc": True,
}


def make_app(settings: Settings, *, role: str, pool: str | None = None) -> Celery:
    """Build the Celery application of one component.

    Args:
        settings: Where Redis is, and under which namespace.
        role: Of the component, for Redis's list of clients.
        pool: A worker's pool, whose unstarted messages get keys of their own.
    """
    app = Celery("smallfirst", set_as_current=False)
    app.conf.update(configuration(settings, role=role, pool=pool))
    return app


def configuration(settings: Settings, *, role: str, pool: str | None = None) -> dict[str, Any]:
    """All of Celery's settings that differ from its defaults."""
    return {
        "broker_url": settings.broker.broker_url,
        # An entry of a list that is no message costs a worker nothing but a line in the log.
        "broker_transport": transport_of(settings.broker) if role == "worker" else None,
        "broker_use_ssl": _tls(settings),
        # Components may start before Redis does, and outlive its restarts.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A refused command (no permission, out of memory) should be seen, not retried for ever.
        "broker_channel_error_retry": False,
        # Flower asks every worker six things at once, each on a connection of its own, and hears
        # of no event while it waits for one.
        "broker_pool_limit": 32 if role == "flower" else 4,
        # Without it a publisher waits for a free connection without end.
        "broker_pool_acquire_timeout": 5,
        "broker_transport_options": transport_options(settings, role=role, pool=pool),
        **_FIXED,
    }


def _tls(settings: Settings) -> dict[str, Any] | None:
    """Encrypt, and verify whom we talk to, wherever the address says `rediss`.

    kombu goes by the name of its transport and not by the address, and left to itself verifies
    nobody. Source: kombu/connection.py and kombu/utils/url.py, 5.7.
    """
    address = settings.broker
    if not address.is_encrypted:
        return None
    given = {name: value for name, value in address.options.items() if name.startswith("ssl_")}
    return {**given, "ssl_cert_reqs": ssl.CERT_REQUIRED}


def transport_options(settings: Settings, *, role: str, pool: str | None) -> dict[str, Any]:
    """How kombu uses Redis; every component must agree on the prefix."""
    keys = Keys(settings.namespace)
    options: dict[str, Any] = {
        "global_keyprefix": keys.celery_prefix,
        # Two lists a queue. A worker takes the batches first that an interactive job leads: else
        # such a job would wait behind those that were published before it.
        "priority_steps": [*MESSAGE_PRIORITIES.values()],
        "sep": PRIORITY_SEPARATOR,
        # How long a message may sit in a worker unstarted before another gets it, looked for
        # every ten seconds. As long as a router waits before it publishes again: until then what a
        # broken connection left behind takes the place of a batch. A second copy finds its
        # entries claimed, and does nothing.
        "visibility_timeout": 60,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # Without these a frozen connection hangs its reader for ever.
        "socket_timeout": settings.socket_timeout_seconds,
        "socket_connect_timeout": settings.connect_timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A publish that timed out may have arrived; the ledger knows, a blind repeat does not.
        "retry_on_timeout": False,
        "client_name": f"smallfirst-{role}",
    }
    if settings.broker.master is not None:
        options["master_name"] = settings.broker.master
        options["sentinel_kwargs"] = settings.broker.sentinel_options(
            socket_timeout=settings.socket_timeout_seconds,
            socket_connect_timeout=settings.connect_timeout_seconds,
        )
    # Messages held unstarted are counted by pool, and restored by the same pool alone. Flower and
    # the router consume nothing of the pools', so theirs stay apart.
    owner = pool or f"@{role}"
    for name in ("unacked", "unacked_index", "unacked_mutex"):
        options[f"{name}_key"] = f"{name}:{owner}"
    return options
