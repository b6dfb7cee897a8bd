"""Tells Prometheus what nobody else does: what waits, for how long, in whose hands, at what cost.

    python -m smallfirst.exporter        # http://127.0.0.1:9464/metrics

It reads Redis at each scrape, a few commands for each pool of the catalogue, however many jobs
there are; so one replica is enough and any number do no harm. It never reads a job, and needs no
right to: the ages of those in somebody's hands come from the ids of their entries, which are times;
how long others have been unread it knows from its own scrapes.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import SmallfirstError
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import DEAD_AFTER
from smallfirst.process.connection import connect
from smallfirst.process.exit_codes import EXIT_CONFIG
from smallfirst.settings import ExporterSettings, load_settings
from smallfirst.telemetry.logs import configure_logs
from smallfirst.telemetry.metrics import serve_metrics

log = structlog.get_logger()


@dataclass(frozen=True)
class Load:
    """How much of one stream is not settled yet.

    Attributes:
        unread: Entries that nobody has taken.
        pending: Entries in somebody's hands.
        queued: Of those, the ones that were dispatched and that no worker has started.
        oldest_seconds: Age of the oldest that is not settled; 0 where there is none. While nobody
            reads, and nothing is in hand, it counts from the first scrape that saw an unread one.
    """

    unread: int
    pending: int
    queued: int
    oldest_seconds: float


class Fleet(Collector):
    """Reads a fleet's Redis at each scrape.

    Args:
        redis: A connection to the fleet's Redis.
        keys: The fleet's keys.
        catalogue: Gives the catalogue of the moment: its pools, and the tiers of its steps.
    """

    def __init__(self, redis: Redis, keys: Keys, catalogue: Callable[[], Catalogue]) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._catalogue = catalogue
        #: Prometheus may scrape while another one still reads.
        self._lock = threading.Lock()
        #: By stream: what was last read, and since when (ms) there was more behind it.
        self._unread_since: dict[str, tuple[bytes, int]] = {}

    def collect(self) -> Iterator[Metric]:
        """Give every metric; where Redis does not answer, that alone."""
        is_up = GaugeMetricFamily("smallfirst_redis_up", "Whether Redis answered this scrape.")
        try:
            with self._lock:
                found = list(self._metrics())
        except RedisError as error:
            log.warning("redis.unreachable", error=type(error).__name__, consequence="no metrics")
            found = []
        is_up.add_metric([], float(bool(found)))
        yield from (is_up, *found)

    def _metrics(self) -> Iterator[Metric]:
        now_ms = self._now_ms()
        catalogue = self._catalogue()
        pools = list(catalogue.pools)
        yield from self._streams(pools, now_ms)
        yield self._workers(pools, now_ms)
        yield self._messages(pools)
        yield _gauge(
            "dead_letters", "Dead letters that are kept.", self._redis.xlen(self._keys.dead)
        )
        yield from self._memory()
        yield from self._booked(catalogue)

    def _now_ms(self) -> int:
        seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _streams(self, pools: Iterable[str], now_ms: int) -> Iterator[Metric]:
        """The two streams that routers read have pool `router`; escalations are urgent there."""
        streams = {
            ("@router", "jobs"): (self._keys.jobs, ROUTER_GROUP),
            ("@router", "escalations"): (self._keys.escalations, ROUTER_GROUP),
        }
        for pool in pools:
            for priority, stream in self._keys.backlogs(pool).items():
                streams[pool, str(priority)] = (stream, POOL_GROUP)
        loads = {labels: self._load(*place, now_ms) for labels, place in streams.items()}
        names = {
            "jobs_unread": ("Jobs that nobody has taken yet.", "unread"),
            "jobs_pending": ("Jobs in the hands of a router, a queue or a worker.", "pending"),
            "jobs_queued": ("Jobs dispatched that no worker has started.", "queued"),
            "oldest_job_age_seconds": (
                "Age of the oldest job that is not settled.",
                "oldest_seconds",
            ),
        }
        for name, (words, attribute) in names.items():
            metric = GaugeMetricFamily(f"smallfirst_{name}", words, labels=["pool", "stream"])
            for labels, load in loads.items():
                metric.add_metric(list(labels), float(getattr(load, attribute)))
            yield metric

    def _load(self, stream: str, group: str, now_ms: int) -> Load:
        try:
            groups = self._redis.xinfo_groups(stream)
        except ResponseError:
            return Load(0, 0, 0, 0.0)  # the stream is not there yet
        ours = next((each for each in groups if each["name"] == group.encode()), None)
        if ours is None:
            return Load(0, 0, 0, 0.0)
        pending = self._redis.xpending(stream, group)
        unread = self._unread(stream, ours)
        queued = sum(
            each["pending"]
            for each in pending["consumers"]
            if each["name"] == QUEUE_CONSUMER.encode()
        )
        seen_ms = self._seen_ms(stream, ours["last-delivered-id"], unread, now_ms)
        since_ms = int(pending["min"].split(b"-")[0]) if pending["min"] else seen_ms
        return Load(unread, pending["pending"], queued, max(0, now_ms - since_ms) / 1000)

    def _seen_ms(self, stream: str, last_read: bytes, unread: int, now_ms: int) -> int:
        """Since when there has been something unread, and nobody read it."""
        known = self._unread_since.get(stream)
        if not unread:
            self._unread_since.pop(stream, None)
            return now_ms
        if known is None or known[0] != last_read:
            known = self._unread_since[stream] = (last_read, now_ms)
        return known[1]

    def _unread(self, stream: str, group: dict[str, Any]) -> int:
        """What the group has not read; before Redis 7, which counts it, by what is not pending."""
        lag = group.get("lag")
        return int(self._redis.xlen(stream) - group["pending"] if lag is None else lag)

    def _workers(self, pools: Iterable[str], now_ms: int) -> Metric:
        words = "Processes that have said within 7 seconds that they live."
        metric = GaugeMetricFamily("smallfirst_workers", words, labels=["pool"])
        since = now_ms - DEAD_AFTER.total_seconds() * 1000
        for pool in (ROUTERS, *pools):
            count = self._redis.zcount(self._keys.workers(pool), since, "+inf")
            metric.add_metric([pool], float(count))
        return metric

    def _messages(self, pools: Iterable[str]) -> Metric:
        words = "Batches in Celery's list that no worker has taken."
        metric = GaugeMetricFamily("smallfirst_queue_batches", words, labels=["pool"])
        for pool in pools:
            metric.add_metric([pool], float(self._redis.llen(self._keys.queue(pool))))
        return metric

    def _memory(self) -> Iterator[Metric]:
        memory = self._redis.info("memory")
        used, most = memory["used_memory"], memory["maxmemory"]
        yield _gauge("redis_memory_bytes", "Bytes that Redis holds in memory.", used)
        yield _gauge(
            "redis_max_memory_bytes",
            "Bytes of memory beyond which Redis refuses writes; 0 means no bound.",
            most,
        )

    def _booked(self, catalogue: Catalogue) -> Iterator[Metric]:
        """What was booked since midnight (UTC): counters that begin anew each day."""
        kinds = {
            "jobs": ("smallfirst_attempts", "Attempts by task, step and outcome."),
            "seconds": (
                "smallfirst_worker_seconds",
                "Worker seconds that attempts took, by task, step and outcome.",
            ),
            "cost": (
                "smallfirst_cost",
                "Cost of attempts in the catalogue's currency, by task, step and outcome.",
            ),
        }
        labels = ["task", "step", "tier", "outcome"]
        metrics = {
            kind: CounterMetricFamily(*words, labels=labels) for kind, words in kinds.items()
        }
        today = self._keys.booked(f"{datetime.now(UTC):%Y-%m-%d}")
        for name, value in self._redis.hgetall(today).items():
            task, step, outcome, kind = name.decode().split(":")
            tier = _tier_of(catalogue, task, int(step))
            metrics[kind].add_metric([task, step, tier, outcome], float(value))
        yield from metrics.values()


def _tier_of(catalogue: Catalogue, task: str, step: int) -> str:
    """Say of which tier a step is; of none where the catalogue has it no longer."""
    steps = catalogue.tasks[task].cascade if task in catalogue.tasks else ()
    return str(catalogue.tier_of(steps[step])) if step < len(steps) else ""


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"smallfirst_{name}", words, value=float(value))


def serve(settings: ExporterSettings, stop: threading.Event) -> None:
    """Answer scrapes until told to stop.

    Raises:
        CatalogueError: When the catalogue is wrong at the start.
        SettingsError: When the port is taken.
    """
    watch = CatalogueWatch(settings.catalogue)

    def catalogue() -> Catalogue:
        watch.refresh()
        return watch.current

    registry = CollectorRegistry(auto_describe=False)
    redis = connect(settings, role="exporter")
    registry.register(Fleet(redis, Keys(settings.namespace), catalogue))
    with serve_metrics(registry, settings):
        stop.wait()


def main() -> int:
    """Run the exporter until SIGTERM or SIGINT; return the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings(ExporterSettings)
        configure_logs(settings.log_level, settings.log_format)
        serve(settings, stop)
    except SmallfirstError as error:
        sys.stderr.write(f"smallfirst-exporter: {error}\n")
        return EXIT_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
