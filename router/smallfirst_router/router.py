"""The router's loop: read, triage, dispatch; and now and then renew, recover, reload, tidy.

A round takes about a second at most: what is read is settled in parts, one a round.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from smallfirst.catalogue import Catalogue, place_text
from smallfirst.catalogue.following import CatalogueFollower
from smallfirst.catalogue.sound_shadows import serve_sound, tell_left_out
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.catalogue.word_borders import REMEDY, blind_patterns
from smallfirst.errors import SmallfirstError
from smallfirst.health import Health
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.fleet_state import FleetState
from smallfirst.ledger.groups import is_group_missing
from smallfirst.ledger.keys import ROUTER_GROUP, ROUTERS
from smallfirst.ledger.ledger import DUE_COUNT, Ledger
from smallfirst.ledger.own_books import OwnBooks
from smallfirst.ledger.seen import SeenJobs
from smallfirst.redis_access.refusals import refuse_cluster
from smallfirst.settings import RouterSettings
from smallfirst.telemetry.outages import tell
from smallfirst_router.cascade import Plan, plan_of
from smallfirst_router.dispatch import FORGET_AFTER, Dispatch
from smallfirst_router.drift_judge import DriftJudge
from smallfirst_router.drift_response import DriftResponse
from smallfirst_router.errors import RouterError, StillTraining
from smallfirst_router.in_hand import InHand
from smallfirst_router.intake import Intake
from smallfirst_router.linear_models import LinearModels
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.people import People
from smallfirst_router.router_time import RouterTime
from smallfirst_router.triage import Triage

log = structlog.get_logger()

#: How long a router waits while jobs wait for a worker that lives, at first and at last, doubling
#: while nothing comes of it: the longest that a worker goes unseen that has become free. It waits
#: by itself, since Redis looks ten times a second for clients that have waited long enough.
FIRST_BUSY_WAIT, LAST_BUSY_WAIT = timedelta(milliseconds=2), timedelta(milliseconds=8)
#: How many new jobs it reads in a round while others wait for a backlog's room: who is urgent waits
#: for two rounds.
FLOODED_READ = 64
#: How long one read waits for jobs while none does: a new job ends the wait at once.
IDLE_BLOCK = timedelta(milliseconds=250)
#: So many slices at rest are each looked after every second; of more, each as much less often.
SLICES_AT_FULL_PACE = 2.5
#: How far ids of submissions may be ahead of Redis's clock, which may itself be set back a little.
MAX_AHEAD = timedelta(minutes=1)
#: Waits between attempts to reach Redis: doubling, with jitter, up to the last.
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.1, 5.0


@dataclass
class PeriodicTask:
    """Something that is due every so often; more seldom at rest, where it may."""

    every: timedelta
    do: Callable[[], object]
    may_rest: bool = True
    due: float = 0.0


class Router:
    """One replica. Any number share the work, through one consumer group."""

    def __init__(
        self,
        ledger: Ledger,
        triage: Triage,
        dispatch: Dispatch,
        watch: CatalogueWatch,
        settings: RouterSettings,
        metrics: RouterMetrics,
        health: Health | None = None,
        linear_models: LinearModels | None = None,
    ) -> None:
        self._ledger = ledger
        self._keys = keys = ledger.keys
        self._triage = triage
        self._dispatch = dispatch
        self._watch = watch
        self._settings = settings
        self._metrics = metrics
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._health = health or Health(None)
        self._linear_models = linear_models or LinearModels(settings.cache_dir)
        self._time: RouterTime | None = None
        self._books: OwnBooks | None = None
        #: The plan of the catalogue, and the tasks of it whose promise an audit has broken.
        self._planned, self._broken = Plan(), frozenset[str]()
        self._drift = DriftResponse(ledger)
        self._in_hand = InHand(ledger, self._lease)
        self._people = People(ledger, metrics)
        #: Streams in which a dead router may have left what it had read.
        self._to_recover: list[str] = []
        self._is_busy = False
        self._busy_wait = FIRST_BUSY_WAIT
        #: Streams of submissions whose ids claim the future, as it was said.
        self._ahead: set[str] = set()
        self._stop = threading.Event()
        self._failures, self._has_more_due = 0, False
        self._plan = Plan()
        self._intake = Intake(ledger, keys, settings)
        #: As it was before the last dispatch.
        self._state = FleetState()
        self._follower = CatalogueFollower(
            watch,
            self.serve,
            expected=(SmallfirstError, RouterError),
            passing=(StillTraining,),
        )
        # However many slices, a router at rest asks no more.
        self._rest = max(1.0, settings.slices / SLICES_AT_FULL_PACE)
        self._idle_block = IDLE_BLOCK * settings.slices
        self._periodic_tasks = list(self._make_periodic_tasks())

    def _make_periodic_tasks(self) -> Iterator[PeriodicTask]:
        """What is due every so often, in this order."""
        second = timedelta(seconds=1)
        for each in (
            self.reload,
            self._intake.take_up_producers,
            self.recover,
            self.end_due,
            self.look_at_audits,
            self._triage.shadowing.count_pairs,
            self.look_at_drift,
        ):
            yield PeriodicTask(second, each)
        yield PeriodicTask(self._lease / 3, self._renew, may_rest=False)
        yield PeriodicTask(2 * second, self._beat, may_rest=False)
        yield PeriodicTask(10 * second, self.look_at_ids)
        yield PeriodicTask(10 * second, self._look_for_destroyed)
        yield PeriodicTask(60 * second, self.tidy)

    def serve(self, catalogue: Catalogue) -> None:
        """Take up a catalogue: every task planned, every pool's backlog made.

        Raises:
            CatalogueError: When a model fits no pool, or a linear one cannot be trained.
            ModelFilesError: When a linear model is missing or broken.
            RouterError: When a rule does not compile, or a linear model is being trained.
        """
        self._planned = self._plan_with_shadows(catalogue)
        self._drift.watch(catalogue, self._planned.watched)
        for place, reason in blind_patterns(catalogue):
            log.warning("rule.never_matches", where=place_text(place), reason=reason, remedy=REMEDY)
        self._go_by_plan()

    def _plan_with_shadows(self, catalogue: Catalogue) -> Plan:
        """Plan a catalogue, without those candidates in shadow for which that fails."""
        errors = (SmallfirstError, RouterError)
        served = serve_sound(catalogue, self._planned_of, errors=errors, passing=(StillTraining,))
        tell_left_out(catalogue, served.left_out)
        return served.outcome

    def _planned_of(self, catalogue: Catalogue) -> Plan:
        skills = self._linear_models.skills_of(catalogue)
        return plan_of(catalogue, self._watch.revision, skills)

    def _go_by_plan(self) -> None:
        self._plan = self._planned.with_alarms(self._drift.standing).without(self._broken)
        self._triage.serve(self._plan)
        self._dispatch.serve(self._plan)
        self._people.serve(self._plan)

    def keep_books(self, router_time: RouterTime, seen: SeenJobs | None = None) -> None:
        """Book the process's time, and what it saw; the first slice's router enters it for all."""
        self._time = router_time
        if self._keys.slice == 0:
            self._books = OwnBooks(
                self._ledger, ROUTERS, router_time.read, lambda: self._plan.price_per_hour, seen
            )

    def judge_drift_by(self, judge: DriftJudge | None) -> None:
        """Have a judge, whom the routers of all slices share, say whether jobs have drifted."""
        self._drift.judge = judge

    def run(self) -> None:
        """Route until told to stop, through outages of Redis.

        Raises:
            RedisUnfit: At the start, when Redis can serve no fleet.
        """
        while not self._stop.is_set() and not self._has_done(self.open):
            pass
        self._health.enter()
        if self._time is not None:
            self._time.end_loading()
        while not self._stop.is_set():
            # After a failure Redis may be another one, and empty: the streams are made sure of.
            self._has_done(self._open_and_step if self._failures else self.step)
        with suppress(RedisError):
            self.close()

    def close(self) -> None:
        """Hand back what is held, so that a peer has it at once, and sign off."""
        self._linear_models.close()
        self._drift.close()
        self._in_hand.release()
        self._dispatch.release()
        self._ledger.lives.beat(ROUTERS, leaving=True)
        if self._books is not None:
            self._books.close()

    def stop(self) -> None:
        """Finish the step in hand, then close and return from `run`."""
        self._health.leave()
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def step(self) -> None:
        """One round: what the router does, in order."""
        began = time.monotonic()
        self._run_due_tasks()
        if self._has_more_due:
            self.end_due()
        self._take()
        self._settle_part()
        self._state = self._look()
        if self._dispatch.dispatch(self._state):
            self._busy_wait = FIRST_BUSY_WAIT
        self._metrics.count_round(time.monotonic() - began)

    def _open_and_step(self) -> None:
        self.open()
        self.step()

    def open(self) -> None:
        """Make the streams that are read, and the backlogs that are written.

        Raises:
            RedisUnfit: When Redis can serve no fleet.
        """
        refuse_cluster(self._ledger.hello(), self._settings.redis)
        self._ledger.declare_slices(self._settings.slices, self._settings.redis_address)
        self._intake.open()
        self._dispatch.open()

    def _look(self) -> FleetState:
        return self._ledger.state(self._intake.streams, self._dispatch.pools)

    def _take(self) -> None:
        """Take more in hand, once all of it is settled, and know what room the backlogs have.

        Beyond their bounds jobs wait in the streams whose lengths their producers look at. New jobs
        have what room is left, behind those that wait still.
        """
        rooms = self._rooms()
        waiting = {name: sum(counts.values()) for name, counts in self._state.waiting.items()}
        if self._in_hand.is_empty:
            found = self._recover_read() + self._take_back(rooms, waiting)
            read = self._read(may_wait=not (self._is_busy or found))
            self._is_busy = bool(found or read)
            self._in_hand.take(found + read)
        self._triage.have_room(rooms, waiting)
        self._triage.shadowing.look(self._state)

    def _recover_read(self) -> list[StreamEntry]:
        """Take over a page of what dead routers had read; the next one at once, if there was any.

        While something is in hand nothing is taken over: a peer may have the time for it.
        """
        lease, found = self._lease, []
        for stream in self._to_recover:
            found += self._ledger.recover(stream, ROUTER_GROUP, lease=lease, queue_timeout=lease)
        self._to_recover = list(dict.fromkeys(entry.stream for entry in found))
        return found

    def _take_back(self, rooms: Mapping[str, int], waiting: dict[str, int]) -> list[StreamEntry]:
        """Take back jobs that wait for a backlog, as far as it has room."""
        found = []
        for backlog, counts in self._state.waiting.items():
            # Of a pool that is gone they are planned anew, by the catalogue in force.
            entries = self._intake.take_back(backlog, counts, rooms.get(backlog, waiting[backlog]))
            waiting[backlog] -= len(entries)
            found += entries
        return found

    def _rooms(self) -> dict[str, int]:
        """How many more jobs each backlog may take, of the plan's pools and where people are.

        Each priority has a bound of its own: what is urgent does not wait behind a flood.
        """
        bound, pools = self._settings.max_backlog_jobs, self._state.pools
        served = (*self._plan.pools, *self._plan.unbatched)
        known = [pools[name] for name in served if name in pools]
        return {
            stream: bound - each.num_entries
            for pool in known
            for stream, each in pool.backlogs.items()
        }

    def _settle_part(self) -> None:
        entries = self._in_hand.next_part()
        try:
            num_settled = self._triage.settle(entries)
        except RedisError:
            # They stay this router's until their lease is out, and are recovered then.
            self._in_hand.clear()
            raise
        self._in_hand.drop(num_settled)

    def _renew(self) -> None:
        self._in_hand.renew()
        self._dispatch.renew()

    def _read(self, *, may_wait: bool) -> list[StreamEntry]:
        """Read returned jobs and new ones."""
        if may_wait and self._dispatch.is_busy(self._state):
            self._stop.wait(self._busy_wait.total_seconds())
            self._busy_wait = min(2 * self._busy_wait, LAST_BUSY_WAIT)
            may_wait = False
        wait = IDLE_BLOCK if self._has_work() else self._idle_block
        most = FLOODED_READ if any(self._state.waiting.values()) else self._settings.read_count
        return self._intake.read(self._state, most=most, block=wait if may_wait else None)

    def _run_due_tasks(self) -> None:
        now = time.monotonic()
        rest = 1.0 if self._has_work() else self._rest
        for task in self._periodic_tasks:
            if now >= task.due:
                task.due = now + task.every.total_seconds() * (rest if task.may_rest else 1.0)
                task.do()

    def _has_work(self) -> bool:
        """Whether anything waits for a pool, or is in its hands. People are not waited for."""
        pools = self._state.pools.items()
        of_models = (pool for name, pool in pools if name not in self._plan.unbatched)
        return any(pool.num_pending or pool.num_unread for pool in of_models)

    def recover(self) -> None:
        """Take over what dead workers had in hand, and look for what dead routers had read."""
        state = self._look()
        if state.lacks_groups([*self._plan.pools, *self._plan.unbatched]):
            self.open()
            state = self._look()
        self._to_recover = [n for n, each in state.read_by_routers.items() if each.num_pending]
        self._dispatch.recover(state)

    def end_due(self) -> None:
        """End the jobs that are past their deadline, wherever they wait, worker or none."""
        num_jobs, entries = self._ledger.take_due()
        self._has_more_due = num_jobs == DUE_COUNT
        pool_of, task_of = self._keys.pool_of, self._keys.task_of
        self._people.end_due([entry for entry in entries if task_of(entry.stream)])
        parked = [entry for entry in entries if pool_of(entry.stream)]
        self._dispatch.end_due([entry for entry in parked if not task_of(entry.stream)])
        read = [entry for entry in entries if not pool_of(entry.stream)]
        self._in_hand.forget(read)
        while read:
            del read[: self._triage.settle(read)]

    def reload(self) -> None:
        """Take up the catalogue where it changed for the better; keep the old one where not."""
        if self._follower.look():
            self._dispatch.open()

    def look_at_audits(self) -> None:
        """Ask no machine of a task whose promise an audit has broken, where the task says so."""
        orders = self._planned.audited.items()
        series = {name: order.series for name, order in orders if order.stops}
        broken = self._ledger.audits.broken(series)
        if broken == self._broken:
            return
        for task in sorted(broken - self._broken):
            log.error(
                "promise.broken",
                task=task,
                consequence="no machine's answer is accepted; jobs go to people, or abstain",
                remedy=f"calibrate the task again: smallfirst calibrate {task}",
            )
        self._broken = broken
        self._go_by_plan()

    def look_at_drift(self) -> None:
        """Go by stricter thresholds, or check more, where jobs have drifted, as the task says."""
        if self._drift.look():
            self._go_by_plan()

    def _drop_checks(self) -> None:
        for task in self._planned.audited:
            if num_dropped := self._ledger.audits.drop_late(task):
                log.info("checks.dropped", task=task, num_checks=num_dropped)

    def _beat(self) -> None:
        self._ledger.lives.beat(ROUTERS)
        if self._books is not None:
            self._books.enter_if_due()

    def look_at_ids(self) -> None:
        """Notice submissions whose ids claim the future: all ids after one do the same."""
        left = [self._mend_ids(stream) for stream in self._intake.streams]
        self._metrics.tell_ahead(max(left, default=0.0), slice_number=self._keys.slice)

    def _mend_ids(self, stream: str) -> float:
        """Make a stream anew where it is at rest; give the seconds by which it is ahead still."""
        ahead, is_mended = self._ledger.submissions.mend_ids(stream, ROUTER_GROUP, MAX_AHEAD)
        if ahead and stream not in self._ahead:
            log.error(
                "ids.ahead",
                stream=stream,
                seconds=ahead.total_seconds(),
                consequence="how long jobs wait is not known; deadlines count from their reading",
                remedy="let Redis choose the ids (XADD with *); the stream is made anew by itself"
                " once it is empty, for which producers may have to pause",
            )
        if is_mended:
            log.info("ids.mended", stream=stream)
        is_left = bool(ahead) and not is_mended
        self._ahead = self._ahead | {stream} if is_left else self._ahead - {stream}
        return ahead.total_seconds() if is_left else 0.0

    def _look_for_destroyed(self) -> None:
        """Tell of submissions that were confirmed and are gone; of each once, by one router."""
        for stream in self._intake.streams:
            producer = self._keys.producer_of(stream) or ""
            if num_destroyed := self._ledger.submissions.count_destroyed(producer):
                log.error(
                    "entries.destroyed",
                    producer=producer,
                    num_entries=num_destroyed,
                    consequence="confirmed jobs are gone, without a result or a dead letter",
                    remedy="find who trims the stream (XADD with MAXLEN or MINID, XTRIM, XDEL);"
                    " the producer submits again, under the same ids",
                )

    def tidy(self) -> None:
        """Forget who and what is long gone."""
        streams = [*self._intake.streams, self._keys.escalations]
        self._ledger.tidy(streams, ROUTER_GROUP, idle=FORGET_AFTER)
        self._drop_checks()
        self._dispatch.tidy()

    def _has_done(self, do: Callable[[], None]) -> bool:
        """Run one round; when Redis cannot be reached, wait a little longer each time.

        A sign of life comes before the round and before the wait, which is of 5 s at most; within
        the round, before a command that Redis left without an answer is tried again (`connect`).
        """
        self._health.beat()
        try:
            do()
        except (RedisError, OperationalError) as error:
            self._failures += 1
            wait = backoff_seconds(self._failures, random.random())  # noqa: S311 - jitter
            _warn(error, retry_seconds=round(wait, 2))
            self._health.beat()
            self._stop.wait(wait)
            return False
        self._failures = 0
        return True


def _warn(error: Exception, *, retry_seconds: float) -> None:
    if is_group_missing(error):
        log.warning(
            "streams.missing",
            retry_seconds=retry_seconds,
            consequence="Redis was emptied, or failed over to an empty replica, and what it held is"
            " gone; the streams and their groups are made anew",
        )
        return
    tell(error, consequence="jobs wait in Redis; nothing is lost", retry_seconds=retry_seconds)


def backoff_seconds(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row: doubling, half of it by chance (0 to 1)."""
    full = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** (failures - 1))
    return full * (0.5 + chance / 2)
