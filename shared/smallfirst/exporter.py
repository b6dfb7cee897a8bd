"""Tells Prometheus what nobody else does: what waits, for how long, in whose hands, at what cost.

    python -m smallfirst.exporter        # http://127.0.0.1:9464/metrics

It surveys Redis at each scrape, with a few commands for each pool of the catalogue, however many
jobs there are; so one replica is enough and any number do no harm. It never reads a job, and needs
no right to.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import NoPermissionError, RedisError

from smallfirst.audit.reporting import read_reports
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import RedisUnfit, SmallfirstError
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.books import DayBook, Spent, Use, read_day_books
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import ROUTERS, date_of
from smallfirst.ledger.people_loads import look_at_people
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.slices import Slice, check_slices
from smallfirst.ledger.stream_loads import StreamLoad
from smallfirst.ledger.survey import FleetLoad, FleetSurvey
from smallfirst.process.connection import connect_broker, connect_slices
from smallfirst.process.exit_codes import EXIT_CONFIG
from smallfirst.process.settings_help import answer_arguments
from smallfirst.settings import ExporterSettings, load_settings
from smallfirst.telemetry.audits import audit_metrics
from smallfirst.telemetry.builds import Build
from smallfirst.telemetry.drift import DriftWatch
from smallfirst.telemetry.logs import configure_logs
from smallfirst.telemetry.metrics import serve_metrics
from smallfirst.telemetry.outages import tell
from smallfirst.telemetry.redis_servers import distinct, memory_metrics, persistence_metrics

log = structlog.get_logger()


class Fleet(Collector):
    """Reads a fleet's Redis at each scrape.

    Args:
        slices: Of the fleet.
        lists: Of the fleet.
        catalogue: Gives the catalogue of the moment: its pools, and the tiers of its steps.
        check: Raises where these are not all slices of the fleet.
    """

    def __init__(
        self,
        slices: Sequence[Slice],
        lists: CeleryLists,
        catalogue: Callable[[], Catalogue],
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._check = check
        self._slices = slices
        self._catalogue = catalogue
        #: Prometheus may scrape while another one still reads.
        self._lock = threading.Lock()
        self._survey = FleetSurvey(slices, lists, may_read_jobs=False)
        self._drift = DriftWatch(slices[0])

    def collect(self) -> Iterator[Metric]:
        """Give every metric; where Redis does not answer, that alone."""
        is_up = GaugeMetricFamily("smallfirst_redis_up", "Whether Redis answered this scrape.")
        try:
            with self._lock:
                found = list(self._metrics())
        except RedisError as error:
            tell(error, consequence="no metrics")
            found = []
        except RedisUnfit as error:
            _refuse(error)
            found = []
        is_up.add_metric([], float(bool(found)))
        yield from (is_up, *found)

    def _metrics(self) -> Iterator[Metric]:
        self._check()
        catalogue = self._catalogue()
        load = self._survey.look(catalogue.pools)
        yield from self._streams(load)
        yield from self._producers(load)
        yield from self._pools(load)
        yield from self._people(catalogue, load.now_ms)
        yield _gauge("dead_letters", "Dead letters that are kept.", load.dead_letters)
        yield self._written()
        yield self._destroyed(load.producers)
        yield from self._records()
        yield from self._servers()
        yield from self._booked(catalogue, load.now_ms)
        audited = [name for name, task in catalogue.tasks.items() if task.audit is not None]
        first = self._slices[0]
        yield from audit_metrics(read_reports(Audits(first.redis, first.keys).said(audited)))
        yield from self._drift.metrics(catalogue, load.now_ms)

    def _streams(self, load: FleetLoad) -> Iterator[Metric]:
        """What routers read has `@router` for a pool; the submissions of all producers are one."""
        streams = {(ROUTERS, "jobs"): load.jobs, (ROUTERS, "escalations"): load.escalations}
        for pool, each in load.pools.items():
            streams |= {(pool, str(priority)): found for priority, found in each.streams.items()}
        tells: dict[str, tuple[str, Callable[[StreamLoad], float]]] = {
            "jobs_unread": ("Jobs that nobody has taken yet.", lambda s: s.unread),
            "jobs_pending": (
                "Jobs in the hands of a router, a queue or a worker.",
                lambda s: s.pending,
            ),
            "jobs_queued": ("Jobs dispatched that no worker has started.", lambda s: s.queued),
            "oldest_job_age_seconds": (
                "How long the oldest job has been in the stream; 0 where there is none.",
                lambda s: s.oldest_seconds or 0.0,
            ),
        }
        for name, (words, value) in tells.items():
            metric = GaugeMetricFamily(f"smallfirst_{name}", words, labels=["pool", "stream"])
            for labels, found in streams.items():
                metric.add_metric(list(labels), float(value(found)))
            yield metric

    def _producers(self, load: FleetLoad) -> Iterator[Metric]:
        """What each registered producer waits for; nobody else makes a series."""
        words = "Jobs of a producer that no router has decided on yet."
        jobs = GaugeMetricFamily("smallfirst_producer_jobs", words, labels=["producer"])
        words = "How long a producer's oldest job has waited for a router; 0 where there is none."
        name = "smallfirst_producer_oldest_job_age_seconds"
        ages = GaugeMetricFamily(name, words, labels=["producer"])
        for producer, each in load.producers.items():
            jobs.add_metric([producer], float(each.num_jobs))
            ages.add_metric([producer], each.oldest_seconds or 0.0)
        yield from (jobs, ages)

    def _pools(self, load: FleetLoad) -> Iterator[Metric]:
        words = "Processes that have said within 7 seconds that they live."
        workers = GaugeMetricFamily("smallfirst_workers", words, labels=["pool"])
        workers.add_metric([ROUTERS], float(load.routers))
        words = "Batches published that no worker has started."
        batches = GaugeMetricFamily("smallfirst_queue_batches", words, labels=["pool"])
        for name, pool in load.pools.items():
            workers.add_metric([name], float(pool.workers))
            batches.add_metric([name], float(pool.batches))
        yield from (workers, batches)

    def _people(self, catalogue: Catalogue, now_ms: int) -> Iterator[Metric]:
        """What waits for people, by task: they are no pool, have no workers, and are not scaled."""
        tasks = [name for name, task in catalogue.tasks.items() if task.person_step is not None]
        loads = look_at_people(self._slices, tasks, now_ms)
        words = "Jobs of a task that wait for a person, are in hand, or decided and not final."
        jobs = GaugeMetricFamily("smallfirst_people_jobs", words, labels=["task", "state"])
        for task, load in loads.items():
            jobs.add_metric([task, "waiting"], float(load.num_waiting))
            jobs.add_metric([task, "in_hand"], float(load.num_held))
            jobs.add_metric([task, "decided"], float(load.num_decided))
        yield jobs
        yield _of_tasks(
            "people_oldest_job_age_seconds",
            "How long the oldest job has waited for a person; 0 where there is none.",
            {task: load.oldest_seconds or 0.0 for task, load in loads.items()},
        )
        yield _of_tasks(
            "people_first_end_seconds",
            "Until the first wait ends of a job that nobody has in hand; nothing where none waits.",
            {task: load.first_end_seconds for task, load in loads.items()},
        )
        yield _of_tasks(
            "people_least_left_ratio",
            "The least share of its wait that is left to a job that nobody has in hand.",
            {task: load.least_left for task, load in loads.items()},
        )

    def _written(self) -> Metric:
        words = "Dead letters that were written, those among them that are kept no longer."
        written: float | None = None
        # Rules of an older version do not let it read the count: that alone is not told then.
        with suppress(NoPermissionError):
            told: list[Any] = [each.redis.get(each.keys.dead_written) for each in self._slices]
            written = float(sum(int(number or 0) for number in told))
        return CounterMetricFamily("smallfirst_dead_letters_written", words, value=written)

    def _destroyed(self, producers: Iterable[str]) -> Metric:
        words = "Submissions that somebody deleted before they were settled."
        destroyed = CounterMetricFamily("smallfirst_destroyed_jobs", words, labels=["producer"])
        for name in producers:
            destroyed.add_metric([name], float(sum(self._each_destroyed(name))))
        return destroyed

    def _records(self) -> Iterator[Metric]:
        """What waits for the keeper of the audit log; 0 where the fleet keeps none."""
        streams = [RecordStream(each.redis, each.keys) for each in self._slices]
        # Rules of an older version do not let it count them: they alone are not told then.
        with suppress(NoPermissionError):
            waiting = sum(stream.num_waiting for stream in streams)
            lost = sum(stream.lost for stream in streams)
            words = "Records of results that the audit log's keeper has not taken up."
            yield _gauge("audit_log_waiting_records", words, waiting)
            words = "Results without a record, since nobody took records up for too long."
            yield CounterMetricFamily("smallfirst_audit_log_lost_records", words, value=lost)

    def _each_destroyed(self, producer: str) -> Iterator[int]:
        for each in self._slices:
            key = each.keys.of_producer(producer).submissions
            found: Any = each.redis.hmget(key, "destroyed")
            yield int(found[0] or 0)

    def _servers(self) -> Iterator[Metric]:
        servers = distinct([each.redis.info() for each in self._slices])
        yield from memory_metrics(servers)
        yield from persistence_metrics(servers)

    def _booked(self, catalogue: Catalogue, now_ms: int) -> Iterator[Metric]:
        """What was booked since midnight (UTC): counters that begin anew each day."""
        today = date_of(now_ms)
        book = read_day_books(self._slices, [today])[today]
        yield from self._attempts(catalogue, book)
        yield from self._uses(book)

    def _attempts(self, catalogue: Catalogue, book: DayBook) -> Iterator[Metric]:
        labels = ["task", "step", "tier", "outcome"]
        metrics = [
            (CounterMetricFamily(f"smallfirst_{name}", words, labels=labels), value)
            for name, (words, value) in _OF_ATTEMPTS.items()
        ]
        words = "Tokens of attempts by task, step and outcome, and whether they were written."
        tokens = CounterMetricFamily("smallfirst_tokens", words, labels=[*labels, "kind"])
        for cell, spent in book.attempts.items():
            tier = _tier_of(catalogue, cell.task, cell.step)
            labelled = [cell.task, str(cell.step), tier, cell.outcome]
            for metric, value in metrics:
                metric.add_metric(labelled, float(value(spent)))
            tokens.add_metric([*labelled, "read"], float(spent.num_tokens - spent.num_written))
            tokens.add_metric([*labelled, "written"], float(spent.num_written))
        yield from (*(metric for metric, _ in metrics), tokens)

    def _uses(self, book: DayBook) -> Iterator[Metric]:
        """What workers did with their time; of routers, whose pool is `@router`, the same."""
        units: dict[str, Callable[[Use], float]] = {
            "seconds": lambda use: use.seconds,
            "cost": lambda use: use.cost,
            "joules": lambda use: use.joules,
        }
        for unit, value in units.items():
            words = (
                f"{unit.capitalize()} of a pool's workers by use: asked for jobs, lost, handling,"
                " idle, loading."
            )
            metric = CounterMetricFamily(f"smallfirst_pool_{unit}", words, labels=["pool", "use"])
            for pool, uses in book.pools.items():
                for name, use in uses.items():
                    # What comes and goes with a pass under way would look like a counter's end.
                    metric.add_metric([pool, name], max(0.0, value(use)))
            yield metric


#: What is told of attempts, by the metric's name.
_OF_ATTEMPTS: Final[Mapping[str, tuple[str, Callable[[Spent], float]]]] = {
    "attempts": ("Attempts by task, step and outcome.", lambda spent: spent.num_attempts),
    "worker_seconds": (
        "Worker seconds that attempts took, by task, step and outcome.",
        lambda spent: spent.seconds,
    ),
    "cost": (
        "Cost of attempts in the catalogue's currency, by task, step and outcome.",
        lambda spent: spent.cost,
    ),
    "joules": (
        "Energy that was measured of attempts, by task, step and outcome; 0 where nothing was.",
        lambda spent: spent.joules,
    ),
}


def _refuse(error: RedisUnfit) -> None:
    log.error("redis.unfit", problem=str(error), consequence="no metrics")


def _tier_of(catalogue: Catalogue, task: str, step: int) -> str:
    """Say of which tier a step is; of none where the catalogue has it no longer."""
    steps = catalogue.tasks[task].cascade if task in catalogue.tasks else ()
    return str(catalogue.tier_of(steps[step])) if step < len(steps) else ""


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"smallfirst_{name}", words, value=float(value))


def _of_tasks(name: str, words: str, values: Mapping[str, float | None]) -> Metric:
    metric = GaugeMetricFamily(f"smallfirst_{name}", words, labels=["task"])
    for task, value in values.items():
        if value is not None:
            metric.add_metric([task], value)
    return metric


def serve(settings: ExporterSettings, stop: threading.Event) -> None:
    """Answer scrapes until told to stop.

    Raises:
        CatalogueError: When the catalogue is wrong at the start.
        RedisUnfit: When the fleet has another number of slices.
        SettingsError: When the port is taken.
    """
    watch = CatalogueWatch(settings.catalogue)

    def catalogue() -> Catalogue:
        watch.refresh()
        return watch.current

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Build("exporter", lambda: watch.revision))
    slices = connect_slices(settings, role="exporter")
    broker = connect_broker(settings, slices[0].redis, role="exporter")
    first, address = slices[0], settings.redis_address
    check = partial(check_slices, first.redis, first.keys, settings.slices, address=address)
    # Whether Redis answers is what a scrape tells.
    with suppress(RedisError):
        check()
    registry.register(Fleet(slices, CeleryLists(broker, first.keys), catalogue, check))
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
    answer_arguments(
        ExporterSettings,
        module="smallfirst.exporter",
        does="Tells Prometheus what waits, who is alive, and what was answered.",
    )
    sys.exit(main())
