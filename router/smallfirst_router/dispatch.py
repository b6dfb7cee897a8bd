"""Dispatch: forms batches when a pool has room, and never before.

What a pool's backlog offers is held here, still pending in the ledger, until it is published. A
batch formed on arrival would be small exactly when the fleet is busiest.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from time import monotonic

import structlog
from redis.exceptions import RedisError

from smallfirst import results
from smallfirst.catalogue import Pool
from smallfirst.jobs import Job, Priority, Problem, Status, Tier
from smallfirst.ledger.celery_lists import CeleryLists, PublishedBatches
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.fleet_state import FleetState, PoolState
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.settlements import Basis, Finish, Move, Settlement, dead_letter
from smallfirst.ledger.unreadable import READING_ERRORS, unreadable
from smallfirst.people import task_of_people
from smallfirst.redis_access.refusals import refuse_cluster_as_broker
from smallfirst.settings import RouterSettings
from smallfirst_router.batches import (
    Batch,
    Limits,
    WaitingJob,
    WaitingJobs,
    fill_of,
    form_batches,
)
from smallfirst_router.cascade import Plan
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.publishing import Publisher
from smallfirst_router.turns import Turns

log = structlog.get_logger()

#: Holders that hold nothing, and backlogs without a pool, are forgotten after this long.
FORGET_AFTER = timedelta(hours=1)
#: Batches that may lie in the queue for each live worker, which fetches one when it can run it: the
#: next. What lies there cannot grow any more: two would be smaller ones, and longer waits.
WAITING_PER_WORKER = 1
#: Batches led by an interactive job that may be in their queue for each live worker, whatever else
#: waits: workers take them first.
URGENT_PER_WORKER = 1
#: The field that batches are formed without.
TEXT = "job"
#: The longest that one recovery of the backlogs goes on; what is left comes with the next.
RECOVERY_BUDGET = timedelta(seconds=1)


class Dispatch:
    """What this router holds for each pool, and how it leaves."""

    def __init__(
        self,
        ledger: Ledger,
        keys: Keys,
        lists: CeleryLists,
        publisher: Publisher,
        settings: RouterSettings,
        metrics: RouterMetrics,
        turns: Turns | None = None,
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._turns = turns or Turns()
        self._lists = lists
        self._publisher = publisher
        self._settings = settings
        self._metrics = metrics
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._queue_timeout = timedelta(seconds=settings.queue_timeout_seconds)
        self._held: dict[str, WaitingJobs] = {}
        #: Streams and entries let go of, and still in this router's name.
        self._unplaced: list[tuple[str, str]] = []
        #: Pools of earlier catalogues whose backlogs are there yet, with since when it is known.
        self._left_over: dict[str, float] = {}
        self._plan = Plan()

    def serve(self, plan: Plan) -> None:
        """Form batches for the pools of this plan from now on.

        What is held and has its place no more by this plan is let go of: `recover` finds it, with
        its text, and sends it where it belongs.
        """
        self._plan = plan
        for name, held in self._held.items():
            for job in held:
                if not self._is_placed(name, job.task, job.model):
                    self._unplaced.append((self._keys.backlog(name, job.priority), job.entry))
                    held.drop(job.key)

    def open(self) -> None:
        """Make the backlogs of every pool, and look for those of pools that are gone.

        Backlogs of pools that the catalogue has no longer are emptied, back to triage, and so are
        those where jobs wait for people whom their task does not ask any more. Others whose name
        begins with @ belong to a newer version.

        Raises:
            RedisUnfit: When Celery's Redis can carry no lists.
        """
        if self._settings.broker_url is not None:
            refuse_cluster_as_broker(self._lists.hello(), self._settings.broker)
        self._ledger.open_pools(self._served)
        known = self._ledger.pools_with_backlogs() - set(self._served)
        self._left_over = {
            name: self._left_over.get(name, monotonic())
            for name in known
            if not name.startswith("@") or task_of_people(name) is not None
        }

    def tidy(self) -> None:
        """Forget holders that are gone, and backlogs that nobody fills any more."""
        pools = map(self._keys.backlogs, self._served)
        backlogs = [stream for each in pools for stream in each.values()]
        self._ledger.tidy(backlogs, POOL_GROUP, idle=FORGET_AFTER)
        for pool, since in self._left_over.items():
            if monotonic() - since >= FORGET_AFTER.total_seconds():
                self._ledger.drop_empty(pool)

    @property
    def _served(self) -> list[str]:
        """What has backlogs by the plan in force: pools, and where jobs wait for people."""
        return [*self._plan.pools, *sorted(self._plan.unbatched)]

    @property
    def pools(self) -> list[str]:
        """The pools that jobs wait for, those that are gone among them; and where people are."""
        return [*self._served, *self._left_over]

    def is_busy(self, state: FleetState) -> bool:
        """Whether jobs wait for a worker that lives, and so may be free at any moment."""
        return any(self._may_publish(name, pool) for name, pool in state.pools.items())

    def dispatch(self, state: FleetState) -> int:
        """Publish what there is room for; return how many batches."""
        asked = [name for name in self._plan.pools if self._may_publish(name, state.pools[name])]
        published = self._lists.count_batches(asked)
        return sum(self._serve(name, state.pools[name], each) for name, each in published.items())

    def _may_publish(self, name: str, state: PoolState) -> bool:
        """Whether jobs wait for a worker of this pool that lives."""
        return bool(state.num_workers and (state.num_unread or self._held.get(name)))

    def _serve(self, name: str, state: PoolState, published: PublishedBatches) -> int:
        rooms = self._rooms(name, state.num_workers, published)
        served = [priority for priority, room in rooms.items() if room > 0]
        pool, held = self._plan.pools[name], self._held_of(name)
        self._fill(name, held, state, served)
        if not any(held.count(priority) for priority in served):
            return 0
        limits = Limits(pool.batch_jobs, pool.batch_tokens, shares_texts=pool.tier is Tier.SLM)
        batches = form_batches(held, limits, rooms)
        for batch in batches:
            self._send(name, pool, batch, held)
            self._metrics.count_batch(name, batch.model, fill=fill_of(batch, limits))
        return len(batches)

    def _rooms(
        self, name: str, num_workers: int, published: PublishedBatches
    ) -> dict[Priority, int]:
        """How many batches may be added, by their priority: an interactive one passes all bulk."""
        room = WAITING_PER_WORKER * num_workers - published.num_batches
        room = self._turns.allow(name, self._keys.slice, room)
        urgent = URGENT_PER_WORKER * num_workers - published.num_urgent
        return {Priority.INTERACTIVE: max(room, urgent), Priority.BULK: room}

    def _fill(
        self, name: str, held: WaitingJobs, state: PoolState, priorities: Iterable[Priority]
    ) -> None:
        """Read more of these backlogs, as far as this router may hold of each."""
        for priority in priorities:
            stream = self._keys.backlog(name, priority)
            space = self._settings.hold_jobs - held.count(priority)
            if space > 0 and state.backlogs[stream].num_unread:
                self._hold(
                    held, self._ledger.read([stream], POOL_GROUP, count=space, left_out=TEXT)
                )

    def end_due(self, entries: Sequence[StreamEntry]) -> None:
        """End jobs of any backlog that are past their deadline."""
        for pool, group in groupby(entries, key=lambda entry: self._keys.pool_of(entry.stream)):
            held = self._held.get(pool or "", WaitingJobs())
            for entry in (found := list(group)):
                held.drop((self._keys.priority_of(entry.stream), entry.entry))
            self._hold(held, found)

    def _hold(self, held: WaitingJobs, entries: Sequence[StreamEntry]) -> None:
        """Take entries in, but for those that no worker should see again."""
        now_ms = self._ledger.now_ms() if entries else 0
        for _, group in groupby(entries, key=lambda entry: entry.stream):
            over = []
            for entry in group:
                found = self._look_at(entry, now_ms)
                if found is None:
                    over.append(entry)
                else:
                    held.add(found)
            self._end(over, now_ms)

    def _look_at(self, entry: StreamEntry, now_ms: int) -> WaitingJob | None:
        """Read an entry, without its text; None where no worker should see it again."""
        try:
            _check(entry)
            slip = RoutingSlip.model_validate_json(entry.fields[b"slip"])
            pool = self._keys.pool_of(entry.stream)
            is_placed = self._is_placed(pool, slip.task, slip.asked.model)
            if self._is_over(entry, slip, now_ms) or not is_placed:
                return None
            return _waiting(entry, slip, self._keys.priority_of(entry.stream))
        except READING_ERRORS:
            return None

    def _end(self, entries: Sequence[StreamEntry], now_ms: int) -> None:
        """End entries of one stream that no worker should see again, a few texts at a time."""
        for page in self._ledger.whole(entries):
            ended = [self._ended(entry, now_ms) for entry in page]
            self._ledger.settle(entries[0].stream, POOL_GROUP, ended, must_hold=True)
            self._metrics.count_endings(ended)

    def _ended(self, entry: StreamEntry, now_ms: int) -> Settlement:
        try:
            _check(entry)
            slip = RoutingSlip.model_validate_json(entry.fields[b"slip"])
            if self._is_over(entry, slip, now_ms):
                return self._given_up(entry, slip, now_ms)
            return self._sent_back(entry, slip)
        except READING_ERRORS:
            return unreadable(entry, now_ms)

    def _is_over(self, entry: StreamEntry, slip: RoutingSlip, now_ms: int) -> bool:
        """Whether a job's time is up, or it has cost too many workers their lives.

        People begin and leave a job as they please.
        """
        is_deadly = entry.starts >= self._settings.max_starts
        return now_ms >= slip.expires_ms or (is_deadly and self._keys.task_of(entry.stream) is None)

    def _given_up(self, entry: StreamEntry, slip: RoutingSlip, now_ms: int) -> Settlement:
        if now_ms >= slip.expires_ms:
            return _give_up(entry, slip, Status.EXPIRED, results.expired(slip.trail), now_ms)
        asked = slip.asked
        last = self._last_words(entry)
        message = (
            f"{entry.starts} workers started this job and none of them ended it: the last {last}"
        )
        problem = Problem(code="poison", message=message)
        log.warning(
            "job.poisonous",
            starts=entry.starts,
            task=slip.task,
            step=asked.step,
            pool=asked.pool,
            consequence="the job is a dead letter; its batch-mates were answered",
        )
        return _give_up(entry, slip, Status.FAILED, problem, now_ms)

    def _last_words(self, entry: StreamEntry) -> str:
        """How the last start ended. In a cluster nobody tells how another process died."""
        with suppress(RedisError):
            if words := self._ledger.lives.end_of(entry.holder):
                return words
        return "ended without a word"

    def _is_placed(self, pool: str | None, task: str, model: str) -> bool:
        """Whether by the plan in force a task asks a model, and asks it in this pool."""
        return (task, model) in self._plan.asked and self._plan.places.get(model) == pool

    def _sent_back(self, entry: StreamEntry, slip: RoutingSlip) -> Move:
        """Send a job back to triage whose task has another model by now, or its model a pool."""
        # A slip that names no step is none of a backlog.
        back = slip.model_copy(update={"request": slip.asked, "is_unasked": True})
        return Move(
            entry=entry.entry,
            job_id=entry.fields[b"id"].decode(),
            job=entry.fields[b"job"],
            slip=back,
            to=self._keys.escalations,
        )

    def _send(self, name: str, pool: Pool, batch: Batch, held: WaitingJobs) -> None:
        """Pass a batch's entries to the queue, then say so: in this order a crash loses nothing."""
        kept: list[WaitingJob] = []
        for priority, stream in self._keys.backlogs(name).items():
            mine = [job for job in batch.jobs if job.priority is priority]
            passed = self._ledger.queue(stream, [job.entry for job in mine])
            kept += [job for job in mine if job.entry in passed]
        for job in batch.jobs:
            held.drop(job.key)
        if kept:
            self._publisher.publish(name, pool.tier, Batch(batch.model, tuple(kept)))
            log.debug("batch.published", pool=name, model=batch.model, num_jobs=len(kept))

    def renew(self) -> None:
        """Keep the leases of what is held; forget what another router has taken over."""
        for held, priority, stream, entries in self._each_held():
            kept = self._ledger.renew(stream, POOL_GROUP, entries)
            for entry in set(entries) - kept:
                held.drop((priority, entry))

    def recover(self, state: FleetState) -> int:
        """Take over the entries of dead workers and routers, and of lost messages."""
        self._release_unplaced()
        for name in self._left_over:
            self._fill(name, WaitingJobs(), state.pools[name], Priority)
        until = monotonic() + RECOVERY_BUDGET.total_seconds()
        # What waits for people has no batches, and who may take it sees for himself.
        pools = {n: pool for n, pool in state.pools.items() if n not in self._plan.unbatched}
        in_hand = [name for name, pool in pools.items() if pool.num_pending]
        published = self._lists.count_batches(in_hand)
        return sum(
            self._recover(name, pool, published.get(name, PublishedBatches()).num_batches, until)
            for name, pool in pools.items()
        )

    def _recover(self, name: str, state: PoolState, num_batches: int, until: float) -> int:
        # A message is known to be lost when the queue holds none and its entries are still
        # unclaimed, and may be when a worker has died, perhaps with a message in its hands. Else
        # only a much longer silence tells. Twice published is harmless: one copy is claimed. Of a
        # pool that is gone nobody may be left to start what its queue holds.
        has_lost = self._has_lost_a_worker(name, state) or not num_batches
        is_lost = has_lost or name in self._left_over
        queue_timeout = self._lease if is_lost else self._queue_timeout
        held = self._held_of(name)
        recovered: Counter[bool] = Counter()
        for stream in [key for key, each in state.backlogs.items() if each.num_pending]:
            for entries in self._pages(stream, held, queue_timeout, until):
                self._hold(held, entries)
                recovered.update(not is_lost and e.holder == QUEUE_CONSUMER for e in entries)
        self._tell_recovered(name, num_lost=recovered[False], num_waited=recovered[True])
        return recovered.total()

    def _pages(
        self, stream: str, held: WaitingJobs, queue_timeout: timedelta, until: float
    ) -> Iterator[list[StreamEntry]]:
        """Take over page after page, as far as this router may hold; one whatever the time is."""
        while entries := self._ledger.recover(
            stream, POOL_GROUP, lease=self._lease, queue_timeout=queue_timeout, left_out=TEXT
        ):
            yield entries
            if len(held) >= self._settings.hold_jobs or monotonic() >= until:
                return

    def _tell_recovered(self, name: str, *, num_lost: int, num_waited: int) -> None:
        """Tell of jobs whose holder or message is gone, and apart of those that only waited."""
        if num_lost:
            self._metrics.count_recovered(name, num_lost)
            log.info("entries.recovered", pool=name, num_entries=num_lost)
        if num_waited:
            self._metrics.count_republished(name, num_waited)
            log.info("entries.republished", pool=name, num_entries=num_waited)

    def _has_lost_a_worker(self, name: str, state: PoolState) -> bool:
        if not state.num_silent:
            return False
        # Last who has died: by that the rest is known to be done.
        self._lists.forget_held(name)
        num_died = self._ledger.lives.reap(name)
        if num_died:
            self._metrics.count_lost(name, num_died)
            log.warning(
                "worker.lost",
                pool=name,
                num_workers=num_died,
                consequence="what it had in hand, started or not, is dispatched again",
            )
        return num_died > 0

    def _release_unplaced(self) -> None:
        for stream, group in groupby(sorted(self._unplaced), key=itemgetter(0)):
            entries = [entry for _, entry in group]
            self._ledger.release(stream, entries, self._lease)
        self._unplaced.clear()

    def release(self) -> None:
        """Hand everything held back, so that another router has it at once."""
        for _, _, stream, entries in self._each_held():
            self._ledger.release(stream, entries, self._lease)
        self._held.clear()

    def _held_of(self, pool: str) -> WaitingJobs:
        return self._held.setdefault(pool, WaitingJobs())

    def _each_held(self) -> Iterator[tuple[WaitingJobs, Priority, str, list[str]]]:
        """Go through what is held, stream by stream."""
        for name, held in self._held.items():
            for priority, stream in self._keys.backlogs(name).items():
                entries = [job.entry for job in held if job.priority is priority]
                if entries:
                    yield held, priority, stream, entries


def _check(entry: StreamEntry) -> None:
    """Read all of an entry that was started: perhaps its worker could not read it.

    What nobody can read is started no more. The text of what nobody has started is left out.
    """
    if entry.starts:
        read_parked_job(entry)


def _waiting(entry: StreamEntry, slip: RoutingSlip, priority: Priority) -> WaitingJob:
    return WaitingJob(
        entry=entry.entry,
        priority=priority,
        task=slip.task,
        model=slip.asked.model,
        num_chars=slip.num_chars,
        # A router of an earlier version counts no tokens: a quarter of the characters, then.
        num_tokens=slip.num_tokens or 2 + slip.num_chars // 4,
        text=slip.text_key,
        parked_ms=slip.parked_ms,
        starts=entry.starts,
    )


def _give_up(
    entry: StreamEntry, slip: RoutingSlip, status: Status, problem: Problem, now_ms: int
) -> Settlement:
    raw = entry.fields[b"job"]
    job = Job.model_validate_json(raw, extra="ignore")
    result = results.unanswered(
        job, status, problem, submitted_ms=slip.submitted_ms, now_ms=now_ms, trail=slip.trail
    )
    letter = None
    if status is Status.FAILED:
        letter = dead_letter(
            raw,
            problem.code,
            producer=slip.producer,
            detail=problem.message,
            job_id=job.id,
            task=job.task,
        )
    return Finish(
        entry=entry.entry,
        producer=slip.producer,
        result=result,
        reply_to=job.reply_to,
        letter=letter,
        raw=raw if letter else b"",
        basis=Basis.of(HeldJob(entry, job, slip)),
    )
