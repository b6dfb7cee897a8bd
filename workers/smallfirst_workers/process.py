"""One worker process: a Celery worker on one pool's queue, its models loaded beforehand."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from celery import signals
from redis.exceptions import RedisError

from smallfirst.broker.celery_app import make_app
from smallfirst.broker.lanes import open_lanes, threads_of
from smallfirst.broker.queues import node_name, queue_of, task_name
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.following import CatalogueFollower
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import RedisUnfit, SmallfirstError
from smallfirst.health import Health
from smallfirst.jobs import Tier
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.own_books import OwnBooks
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.slices import keys_of_slices
from smallfirst.process.born import born
from smallfirst.process.connection import bounds_of, connect
from smallfirst.process.exit_codes import EXIT_ENGINE_DEAD, EXIT_TOLD
from smallfirst.redis_access.refusals import refuse_cluster
from smallfirst.settings import WorkerSettings
from smallfirst.telemetry.metrics import serve_metrics
from smallfirst.telemetry.outages import tell
from smallfirst.telemetry.tracing import Tracing
from smallfirst_workers.batches import BatchRunner, run_message
from smallfirst_workers.energy import meter_of
from smallfirst_workers.errors import EngineDead, ModelBroken, PoolMissing, WorkerError
from smallfirst_workers.isolation import Isolation
from smallfirst_workers.leases import LeaseKeeper
from smallfirst_workers.main_loop import beat_in_main_loop
from smallfirst_workers.metrics import WorkerMetrics
from smallfirst_workers.models import Models
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.observers.books import BooksObserver
from smallfirst_workers.observers.standard import standard_observers
from smallfirst_workers.shared_clock import ReadMeter, SharedClock
from smallfirst_workers.watchdog import Watchdog
from smallfirst_workers.worker_time import WorkerTime

log = structlog.get_logger()

#: How often the catalogue's file is looked at.
RELOAD_SECONDS = 1.0


@dataclass(frozen=True)
class WorkerSlice:
    """What this worker has of one slice: its ledger, what is in hand, who runs its batches."""

    ledger: Ledger
    leases: LeaseKeeper
    runner: BatchRunner


class WorkerProcess:
    """What a worker consists of; `run` starts it and returns when it has drained."""

    def __init__(self, settings: WorkerSettings, tracing: Tracing) -> None:
        self.settings = settings
        self.name = Holder.here(settings.pool)
        self.watch = CatalogueWatch(settings.catalogue)
        clock = SharedClock(self._meter())
        self.models = Models(
            settings.pool,
            cache=settings.cache_dir,
            threads=settings.threads,
            has_metrics=settings.metrics_port is not None,
            clock=clock,
        )
        self.time = WorkerTime(clock, born())
        self.app = make_app(settings, role="worker", pool=settings.pool)
        self.health = Health(settings.health_dir)
        beat_in_main_loop(self.app, self.health)
        open_lanes(self.app, settings.pool)
        lease = timedelta(seconds=settings.lease_seconds)
        watchdog = Watchdog(timedelta(seconds=settings.pass_seconds))
        self.metrics = WorkerMetrics(settings.pool, lambda: self.watch.revision)
        self._isolation = Isolation()
        ledgers = [
            self._ledger(keys) for keys in keys_of_slices(settings.namespace, settings.slices)
        ]
        self._books = OwnBooks(ledgers[0], settings.pool, self.time.read, self._price_per_hour)
        booking = BooksObserver(self.time, self._books)
        observers = standard_observers(watchdog, self.metrics, tracing, booking)
        self.slices = [self._slice(ledger, lease, observers) for ledger in ledgers]
        self._stop = threading.Event()
        self._leaving = threading.Thread(target=self._leave, name="leaving", daemon=True)
        self._consumer: Any = None
        self._is_engine_dead = self._knows_slices = False
        self._unfit: RedisUnfit | None = None

    def _meter(self) -> ReadMeter | None:
        """What measures this process's energy, where anything does."""
        pool = self.watch.current.pools.get(self.settings.pool)
        has_gpu = pool is not None and pool.tier is Tier.LLM and not pool.remote
        return meter_of(has_gpu=has_gpu)

    def _ledger(self, keys: Keys) -> Ledger:
        redis = connect(self.settings, role="worker", on_retry=self.health.beat)
        return Ledger(redis, keys, str(self.name), bounds_of(self.settings))

    def _slice(
        self, ledger: Ledger, lease: timedelta, observers: Sequence[BatchObserver]
    ) -> WorkerSlice:
        """Put together what work on one slice takes; the first one's beats enter the books."""
        beat, keys = timedelta(seconds=self.settings.heartbeat_seconds), ledger.keys
        on_beat = self._books.enter_if_due if keys.slice == 0 else lambda: None
        pool = self.settings.pool
        leases = LeaseKeeper(ledger, pool, lease=lease, beat=beat, on_beat=on_beat)
        runner = BatchRunner(ledger, keys, leases, lease, observers, isolation=self._isolation)
        return WorkerSlice(ledger, leases, runner)

    def _price_per_hour(self) -> float:
        pool = self.watch.current.pools.get(self.settings.pool)
        return pool.price_per_hour if pool else 0.0

    def run(self) -> int:
        """Load the models, then take batches until SIGTERM; return the exit status."""
        self.health.open()
        try:
            with serve_metrics(self.metrics.registry, self.settings):
                return self._serve()
        finally:
            self.health.leave()

    def _serve(self) -> int:
        self._check_redis()
        if self.settings.pool not in self.watch.current.pools:
            raise PoolMissing(self.settings.pool)
        names = self.models.serve(self.watch.current, self.watch.revision)
        if not names:
            log.warning(
                "worker.idle",
                pool=self.settings.pool,
                consequence="the catalogue places no model on this pool, so no work will come",
            )
        self._register(names)
        self._connect_signals()
        worker = self._celery_worker()
        worker.start()
        self._stop.set()
        self.models.unload()
        if self._leaving.is_alive():
            self._leaving.join(self.settings.lease_seconds)
        for each in self.slices:
            each.leases.close()
        self._books.close()
        log.info("worker.stopped")
        if self._unfit is not None:
            raise self._unfit
        return EXIT_ENGINE_DEAD if self._is_engine_dead else int(worker.exitcode or 0)

    def _check_redis(self) -> None:
        """Look what Redis is; while it cannot be asked, Celery waits for it."""
        try:
            refuse_cluster(self.slices[0].ledger.hello(), self.settings.redis)
            self._check_slices()
        except RedisError as error:
            tell(error, consequence="this worker waits for Redis")

    def _check_slices(self) -> None:
        """Look how many slices the fleet has, until a router has said so."""
        if not self._knows_slices:
            ledger, settings = self.slices[0].ledger, self.settings
            self._knows_slices = ledger.check_slices(settings.slices, settings.redis_address)

    def give_up(self, error: EngineDead | ModelBroken) -> None:
        """End the process, since its engine is of no use: whoever keeps it running starts another.

        What its batches had not settled was given back when they raised.
        """
        if not self._is_engine_dead:
            self._is_engine_dead = True
            log.error(
                "engine.dead",
                problem=str(error),
                consequence="this worker ends; its jobs go to another",
            )
            os.kill(os.getpid(), signal.SIGTERM)

    def _celery_worker(self) -> Any:
        pool = self.settings.pool
        self.app.conf.task_queues = [queue_of(pool)]
        return self.app.Worker(
            hostname=node_name(self.name),
            queues=[pool],
            # How many batches run at once: one pass fills a small model's process, while vLLM
            # interleaves the requests of several batches.
            concurrency=threads_of(self.watch.current.pools[pool].max_concurrent_batches),
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            task_events=True,
            health=self.health,
        )

    def _register(self, names: list[str]) -> None:
        """Make a Celery task of each model: Flower reads best when a model is a name."""
        for name in names:
            register(self, name)
        if self._consumer is not None:
            self._consumer.update_strategies()

    def _connect_signals(self) -> None:
        # Celery's own set-up of logging would send everything twice.
        signals.setup_logging.connect(_no_logging, weak=False)
        signals.worker_ready.connect(self._on_ready, weak=False)
        signals.worker_shutting_down.connect(self._on_shutting_down, weak=False)

    def _on_ready(self, sender: Any, **_: object) -> None:
        self._consumer = sender
        self.time.end_loading()
        for each in self.slices:
            each.leases.open()
        self.health.enter()
        threading.Thread(target=self._follow_catalogue, name="catalogue", daemon=True).start()
        log.info("worker.ready", pool=self.settings.pool, worker=str(self.name))

    def _on_shutting_down(self, **_: object) -> None:
        # Here, since not every end that may follow cleans up behind itself.
        self.health.leave()
        # Celery ignores a second SIGTERM, and a second SIGINT makes its threads pool raise.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_told_twice)
        # Not here: over a link that froze it takes as long as Redis is patiently tried.
        if self._leaving.ident is None:
            self._leaving.start()
        self.models.stop_waiting()

    def _leave(self) -> None:
        for each in self.slices:
            each.leases.leave()

    def _on_told_twice(self, *_: object) -> None:
        """Hand back what is in hand, and go without finishing it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        # Not here: what this signal interrupted may be in the midst of the same connection.
        threading.Thread(target=self._hand_back, name="hand-back", daemon=True).start()

    def _hand_back(self) -> None:
        try:
            num_entries = sum(each.leases.give_back_all() for each in self.slices)
            self._books.enter()
            log.warning(
                "worker.handed_back",
                num_jobs=num_entries,
                consequence="another worker answers them, and it counts as no start of theirs",
            )
        except RedisError as error:
            log.warning(
                "worker.left_unnoticed",
                error=type(error).__name__,
                consequence="another worker answers what was in hand when its lease is out",
            )
        finally:
            # Nobody else would end vLLM's own process.
            for child in multiprocessing.active_children():
                child.kill()
            # A pass cannot be interrupted: native code computes it.
            os._exit(EXIT_TOLD)

    def _follow_catalogue(self) -> None:
        """Take up each good change of the catalogue: new models, new tasks, new examples."""
        expected = (SmallfirstError, WorkerError)
        follower = CatalogueFollower(self.watch, self._take_up, expected=expected)
        while not self._stop.wait(RELOAD_SECONDS):
            follower.look()
            self._refuse_slices()

    def _refuse_slices(self) -> None:
        """End once a router says that the fleet has another number of slices."""
        try:
            self._check_slices()
        except RedisUnfit as error:
            self._unfit, self._knows_slices = error, True
            os.kill(os.getpid(), signal.SIGTERM)
        except RedisError:
            # Who beats, and who takes batches, tells of it; it is asked again.
            return

    def _take_up(self, catalogue: Catalogue) -> None:
        self._register(self.models.serve(catalogue, self.watch.revision))


def register(process: WorkerProcess, model: str) -> None:
    """Give a model its Celery task, once."""
    name = task_name(process.watch.current.models[model].tier, model)
    if name in process.app.tasks:
        return

    @process.app.task(name=name)  # type: ignore[untyped-decorator]
    def run_batch(message: dict[str, object]) -> str:
        """Run one batch; what is returned is what Flower shows."""
        batch = BatchMessage.model_validate(message, strict=False, extra="ignore")
        if batch.slice >= len(process.slices):
            # It is left over from more slices; none of its jobs waits any more.
            return "left over"
        try:
            served = process.models.served(model)
            with process.time.batch_in_hand():
                return run_message(process.slices[batch.slice].runner, batch, served)
        except (EngineDead, ModelBroken) as error:
            process.give_up(error)
            raise


def _no_logging(**_: object) -> None:
    """Keep Celery's hands off logging; its presence is what counts."""
