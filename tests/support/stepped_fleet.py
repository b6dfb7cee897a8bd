"""A fleet on a real Redis that moves only when told: routers, workers, catalogue and time.

Its routers and workers are the real ones, but for the models (`stepped_models`). No process and no
clock runs beside it, so that any order of their steps can be had again.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.support.notices import Notices
from tests.support.stepped_models import CATALOGUES, POOLS, Engine, tasks_of
from tests.support.turns import Turns
from tests.support.vain_starts import VainStarts

from smallfirst.broker.celery_app import make_app
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Priority, Tier
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.settings import RouterSettings
from smallfirst.telemetry.tracing import Tracing
from smallfirst_router.dispatch import Dispatch
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.publishing import Publisher
from smallfirst_router.router import Router
from smallfirst_router.triage import Triage
from smallfirst_workers.batches import BatchRunner, run_message
from smallfirst_workers.engines import ServedModel
from smallfirst_workers.errors import EndpointDown
from smallfirst_workers.leases import LeaseKeeper
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.running_batches import RunningBatch

KEYS = Keys()
OWN = KEYS.of_producer("default")
LEASE, QUEUE_TIMEOUT = timedelta(seconds=6), timedelta(seconds=60)
#: Small, so that a few jobs reach every bound.
SMALL = {"read_count": 3, "hold_jobs": 3, "max_backlog_jobs": 6, "max_starts": 3}


class Died(BaseException):
    """Raised where a process ends."""


class MortalRedis(Redis):
    """A connection that is cut for good when its process dies."""

    is_dead = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command."""
        if self.is_dead:
            raise RedisConnectionError("the process is dead")
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


class SteppedRouter:
    """One replica of the router, each part of whose round is a step of its own."""

    def __init__(self, fleet: "SteppedFleet", name: str) -> None:
        settings, metrics = fleet.settings, fleet.metrics
        self._ledger = Ledger(fleet.redis, KEYS, name, Bounds())
        self._triage = Triage(self._ledger, KEYS, settings, metrics, Tracing())
        lists = CeleryLists(fleet.redis, KEYS)
        self._dispatch = Dispatch(self._ledger, KEYS, lists, fleet.publisher, settings, metrics)
        watch = CatalogueWatch(settings.catalogue)
        self._router = Router(self._ledger, self._triage, self._dispatch, watch, settings, metrics)
        self._router.serve(watch.current)
        self._router.open()
        self._read: list[StreamEntry] = []

    def read(self) -> None:
        """Take entries of what producers and workers wrote, and decide nothing yet."""
        streams = [OWN.jobs, KEYS.escalations]
        self._read += self._ledger.read(streams, ROUTER_GROUP, count=SMALL["read_count"])

    def settle(self) -> None:
        """Decide on what was read."""
        while self._read:
            del self._read[: self._triage.settle(self._read)]

    def recover(self) -> None:
        """Take over what nobody holds."""
        self._router.recover()

    def end_due(self) -> None:
        """End the jobs that are past their deadline."""
        self._router.end_due()

    def renew(self) -> None:
        """Keep what is held of the backlogs."""
        self._dispatch.renew()

    def reload(self) -> None:
        """Take up the catalogue that there is now."""
        self._router.reload()

    def work(self) -> None:
        """Do a whole round, after what is left of one."""
        self.settle()
        self._router.step()

    def close(self) -> None:
        """End as one that is told to."""
        self._router.close()


class HandWatch(BatchObserver):
    """Knows which batch a worker is in the midst of."""

    batch: RunningBatch | None = None

    def on_claimed(self, batch: RunningBatch) -> None:
        """A batch begins."""
        self.batch = batch

    def on_closed(self, batch: RunningBatch) -> None:  # noqa: ARG002 - it is the only one
        """The batch is over."""
        self.batch = None


class SteppedWorker:
    """One worker of a pool. It begins a batch, and stops before each answer of its model."""

    def __init__(self, fleet: "SteppedFleet", pool: str, name: str) -> None:
        self.pool = pool
        self._fleet = fleet
        self._redis = MortalRedis(connection_pool=fleet.redis.connection_pool)
        self._ledger = Ledger(self._redis, KEYS, name)
        self._leases = LeaseKeeper(self._ledger, pool, lease=LEASE, beat=LEASE / 3)
        self._hand = HandWatch()
        self._runner = BatchRunner(self._ledger, KEYS, self._leases, LEASE, (self._hand,))
        self._batch: Turns | None = None
        self.reload()
        self.beat()

    def reload(self) -> None:
        """Take up the catalogue that there is now."""
        self._revision, self._catalogue = self._fleet.read_catalogue()

    def beat(self) -> None:
        """Say that it lives, and keep what it has in hand."""
        self._leases._keep()

    @property
    def in_hand(self) -> list[HeldJob]:
        """The jobs of its batch that have not ended, for all that it knows."""
        jobs = self._hand.batch.jobs if self._hand.batch else ()
        return [each for each in jobs if self._leases.holds(each.entry.stream, each.entry.entry)]

    @property
    def is_busy(self) -> bool:
        """Whether it is in the midst of a batch."""
        return self._batch is not None

    @property
    def has_work(self) -> bool:
        """Whether it is in the midst of a batch, or one waits for it."""
        return self.is_busy or any(map(self._fleet.redis.llen, KEYS.queues(self.pool).values()))

    def begin(self) -> None:
        """Take a batch from the queue, and claim what it names."""
        message = None if self.is_busy else self._fleet.pop_message(self.pool)
        if message is not None:
            self._batch = Turns(lambda wait: self._run(message, wait))
            self._go_on("begin")

    def answer(self) -> None:
        """Answer the next text of its batch."""
        if self.is_busy:
            self._go_on("answer")

    def lose_endpoint(self) -> None:
        """Find that its model, which runs elsewhere, cannot be asked."""
        if self.is_busy:
            self._go_on("down")

    def work(self) -> None:
        """Bring the batch in hand, or the next one, to its end."""
        self.begin()
        while self.is_busy:
            self.answer()

    def die(self) -> None:
        """End in the midst of whatever it does, without a word to Redis."""
        self._fleet.vain_starts.note_struck(self.in_hand)
        self._redis.is_dead = True
        while self.is_busy:
            self._go_on("die")

    def _go_on(self, said: str) -> None:
        assert self._batch is not None
        try:
            self._batch.go_on(said)
        finally:
            if self._batch.is_over:
                self._batch = None

    def _run(self, message: BatchMessage, wait: Callable[[], str]) -> None:
        asked = tasks_of(self._catalogue, message.model)
        engine = Engine(wait, self._end, self._note_deadly, asked)
        tier = Tier.SLM if message.model == "minilm" else Tier.LLM
        served = ServedModel(engine, tier, 1.0, self._revision)
        try:
            run_message(self._runner, message, served)
        except (RuntimeError, EndpointDown, RedisConnectionError) as error:
            # What ends a batch is Celery's to note, and stops no worker.
            if not (self.is_dead or isinstance(error, EndpointDown) or str(error) == "MemoryError"):
                raise

    def _note_deadly(self) -> None:
        self._fleet.vain_starts.note_deadly(self.in_hand)

    def _end(self) -> None:
        self._redis.is_dead = True
        raise Died

    @property
    def is_dead(self) -> bool:
        """Whether its process has ended."""
        return self._redis.is_dead


@dataclass
class SteppedFleet:
    """Two routers, a worker for each pool, one catalogue.

    Args:
        redis: Empty.
        redis_url: Where the publisher finds it.
        folder: For the catalogue.
    """

    redis: Any
    redis_url: str
    folder: Path
    metrics: RouterMetrics = field(default_factory=RouterMetrics)
    routers: list[SteppedRouter] = field(default_factory=list)
    workers: list[SteppedWorker] = field(default_factory=list)
    vain_starts: VainStarts = field(default_factory=VainStarts)
    num_made: int = 0

    def __post_init__(self) -> None:
        self.write_catalogue("whole")
        values = {"redis_url": self.redis_url, "catalogue": self.folder / "catalogue.yaml"}
        self.settings = RouterSettings.model_validate({**values, **SMALL})
        self.publisher = Publisher(make_app(self.settings, role="router"))
        self._watch = CatalogueWatch(self.settings.catalogue)
        self.notices = Notices(self.redis, OWN)

    def open(self) -> None:
        """Begin anew, with an empty Redis."""
        self.redis.flushall()
        self.notices.forget()
        self.vain_starts = VainStarts()
        self.write_catalogue("whole")
        self.routers = [SteppedRouter(self, self._name("@router")) for _ in range(2)]
        self.workers = [SteppedWorker(self, pool, self._name(pool)) for pool in POOLS]

    def let_go(self) -> None:
        """End every batch that is under way."""
        for worker in self.workers:
            worker.die()

    def close(self) -> None:
        """End, and listen no more."""
        self.let_go()
        self.notices.close()

    def _name(self, pool: str) -> str:
        self.num_made += 1
        return f"{pool}/host/{self.num_made}/aaaaaa"

    def write_catalogue(self, name: str) -> None:
        """Put another catalogue in the place of the one there was."""
        new = self.folder / "new.yaml"
        new.write_text(CATALOGUES[name], "utf-8")
        new.replace(self.folder / "catalogue.yaml")

    def read_catalogue(self) -> tuple[str, Catalogue]:
        """Tell the revision of the catalogue that there is now, and what it says."""
        self._watch.refresh()
        return self._watch.revision, self._watch.current

    def replace_router(self, place: int) -> None:
        """A router dies, and another one starts."""
        self.routers[place] = SteppedRouter(self, self._name("@router"))

    def tell_router_to_go(self, place: int) -> None:
        """A router is told to end, and another one starts."""
        self.routers[place].close()
        self.replace_router(place)

    def replace_worker(self, place: int) -> None:
        """A worker dies, and another one starts."""
        old = self.workers[place]
        old.die()
        self.workers[place] = SteppedWorker(self, old.pool, self._name(old.pool))

    def replace_dead_workers(self) -> None:
        """Start a worker for each that died of its work."""
        for place, worker in enumerate(self.workers):
            if worker.is_dead:
                self.replace_worker(place)

    def pop_message(self, pool: str) -> BatchMessage | None:
        """Take a pool's oldest message from Celery's lists, the most urgent first."""
        found = map(self.redis.rpop, KEYS.queues(pool).values())
        if (raw := next(filter(None, found), None)) is None:
            return None
        body = json.loads(base64.b64decode(json.loads(raw)["body"]))
        return BatchMessage.model_validate(body[0][0], strict=False)

    def lose_message(self, place: int) -> None:
        """Let the oldest message of a pool vanish."""
        self.pop_message(POOLS[place])

    def double_message(self, place: int) -> None:
        """Let the newest message of each of a pool's lists come twice."""
        for queue in KEYS.queues(POOLS[place]).values():
            for message in self.redis.lrange(queue, 0, 0):
                self.redis.lpush(queue, message)

    def forget_scripts(self, _place: int = 0) -> None:
        """Let Redis forget its scripts, as where it fails over."""
        self.redis.script_flush()

    def pass_time(self, duration: timedelta) -> None:
        """Let all that waits, and all that lives, have been silent for longer."""
        by_ms = round(duration.total_seconds() * 1000)
        for stream, group in self.streams().items():
            self._age(stream, group, by_ms)
        for pool in POOLS:
            for name in self.redis.zrange(KEYS.workers(pool), 0, -1):
                self.redis.zincrby(KEYS.workers(pool), -by_ms, name)

    def stand_still(self, duration: timedelta) -> None:
        """Let time pass in which nobody does anything: whatever is in hand loses its lease."""
        assert duration > LEASE
        for worker in self.workers:
            self.vain_starts.note_struck(worker.in_hand)
        self.pass_time(duration)

    def wait_by_redis(self, duration: timedelta) -> None:
        """Return when so much time has passed on Redis's own clock, which cannot be set."""
        until_ms = self.now_ms() + round(duration.total_seconds() * 1000)
        while self.now_ms() <= until_ms:
            pass

    def now_ms(self) -> int:
        """Redis's clock in milliseconds."""
        return Ledger(self.redis, KEYS, "clock").now_ms()

    def step(self) -> None:
        """One round of everybody, long after the last one."""
        self.pass_time(QUEUE_TIMEOUT + LEASE)
        for worker in self.workers:
            worker.reload()
            worker.beat()
        for router in self.routers:
            router.reload()
            router.recover()
            router.end_due()
            router.work()
        for worker in self.workers:
            while not worker.is_dead and worker.has_work:
                worker.work()
        self.replace_dead_workers()

    def jobs_in_flight(self) -> list[str]:
        """The keys of the jobs that have no end yet."""
        keys = self.redis.scan_iter(match=OWN.job("*"), count=1000)
        return [key.decode() for key in keys if self.redis.hexists(key, "origin")]

    def streams(self) -> dict[str, str]:
        """Every stream that jobs wait in, and its group."""
        read_by_routers = dict.fromkeys((OWN.jobs, KEYS.escalations), ROUTER_GROUP)
        backlogs = [KEYS.backlog(pool, priority) for pool in POOLS for priority in Priority]
        there = [stream for stream in backlogs if self.redis.exists(stream)]
        return read_by_routers | dict.fromkeys(there, POOL_GROUP)

    def _age(self, stream: str, group: str, by_ms: int) -> None:
        for entry in self.redis.xpending_range(stream, group, "-", "+", 1000):
            idle = entry["time_since_delivered"] + by_ms
            holder, name = entry["consumer"], entry["message_id"]
            count = entry["times_delivered"]
            self.redis.xclaim(
                stream, group, holder, 0, [name], idle=idle, retrycount=count, justid=True
            )
