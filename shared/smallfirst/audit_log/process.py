"""The process that keeps the audit log: what it opens, in which order, and how it ends."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog
from redis.exceptions import RedisError

from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.keeping import Keeper
from smallfirst.audit_log.notes import read_key
from smallfirst.health import Health
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.slices import check_slices
from smallfirst.process.connection import connect_slices
from smallfirst.settings import AuditLogSettings
from smallfirst.telemetry.outages import tell

log = structlog.get_logger()
#: How long to wait between two tries to begin, while Redis does not answer.
_OUTAGE_SECONDS = 2.0


def keep(settings: AuditLogSettings, stop: threading.Event) -> None:
    """Keep the log until told to stop.

    Raises:
        SmallfirstError: When the log, its key or the fleet is not what it should be.
        OSError: When the folder cannot be made or written.
    """
    key = read_key(settings.audit_log_key)
    slices = connect_slices(settings, role="audit-log")
    streams = [RecordStream(each.redis, each.keys) for each in slices]
    health = Health(settings.health_dir)
    health.open()
    first, address = slices[0], settings.redis_address
    check = partial(check_slices, first.redis, first.keys, settings.slices, address=address)
    with LogFolder(settings.audit_log, key) as folder:
        keeper = Keeper(folder, streams, key.verifier)
        while not (_is_open(keeper, check) or stop.wait(_OUTAGE_SECONDS)):
            health.beat()
        if stop.is_set():
            return
        log.info("audit_log.opened", records=folder.size, key=key.verifier.line)
        health.enter()
        days = settings.audit_log_days
        keep = None if days is None else timedelta(days=days)
        keeper.run(stop, timedelta(seconds=settings.audit_log_seconds), health.beat, keep)
        health.leave()
        log.info("audit_log.closed", records=folder.size)


def _is_open(keeper: Keeper, check: Callable[[], object]) -> bool:
    try:
        check()
        keeper.open()
    except RedisError as error:
        tell(error, consequence="no result is recorded yet")
        return False
    return True
