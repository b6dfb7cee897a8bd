"""Shadowing: copies a share of live jobs for candidates in shadow, and counts what came of them.

It comes after the live jobs are settled, and never stands in their way: what goes wrong here is
logged, and no live job is read, delayed or changed by it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from redis.exceptions import RedisError

from smallfirst.answers import AnyAnswer
from smallfirst.catalogue.likeness import text_key
from smallfirst.jobs import Result
from smallfirst.ledger.fleet_state import FleetState, PoolState
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.shadows import Copy, OpenPair, Shadows
from smallfirst.shadow.copies import (
    COPY_LIFE,
    MAX_COPIES,
    MAX_UNREAD,
    SHADOW,
    ShadowOrder,
    copy_of,
    is_drawn,
)
from smallfirst.shadow.pairing import (
    Ending,
    Judged,
    Judgement,
    Pair,
    ShadowAnswer,
    pair_of,
    standing,
)
from smallfirst_router.cascade import Plan

log = structlog.get_logger()

#: So many milliseconds after the copy was made the two are not waited for any more: one hangs, or
#: is gone.
GIVE_UP_MS: Final = 3_600_000
#: Of jobs that the live cascade left so people say what is right.
_JUDGED: Final = frozenset({Ending.ANSWERED, Ending.PERSON})
#: So many seconds what a candidate said is kept beyond the time that a person has: a decision is
#: not final at once, and desks may be away.
GRACE_SECONDS: Final = 3600


class Shadowing:
    """The shadows of one slice, as one router sees them.

    Args:
        shadows: Of the slice.
        keys: Of the slice.
    """

    def __init__(self, shadows: Shadows, keys: Keys) -> None:
        self._shadows = shadows
        self._keys = keys
        self._plan = Plan()
        #: For how many more copies the fleet has capacity, by task, as it was a moment ago.
        self._room: dict[str, int] = {}
        self._drawn: dict[str, list[HeldJob]] = defaultdict(list)
        self._left_out = Counter[str]()
        self._is_failing = False

    def serve(self, plan: Plan) -> None:
        """Go by this plan from now on."""
        self._plan = plan

    def look(self, state: FleetState) -> None:
        """Note for how many copies the fleet has capacity to spare."""
        self._room = {task: self._spare(order, state) for task, order in self._plan.shadows.items()}

    def _spare(self, order: ShadowOrder, state: FleetState) -> int:
        unread = sum(each.num_unread for each in state.read_by_routers.values())
        backlogs = {self._keys.pool_of(each) for each, jobs in state.waiting.items() if jobs}
        if unread > MAX_UNREAD or not order.pools.isdisjoint(backlogs):
            return 0
        return min((self._free(pool, state.pools) for pool in order.pools), default=MAX_COPIES)

    def _free(self, pool: str, pools: Mapping[str, PoolState]) -> int:
        """What a pool lacks of a batch for each of its workers; 0 where jobs wait unread."""
        found, about = pools.get(pool), self._plan.pools.get(pool)
        if found is None or about is None or found.num_unread:
            return 0
        return max(0, found.num_workers * about.batch_jobs - found.num_pending)

    def draw(self, held: HeldJob) -> None:
        """Draw a live job that was taken in, or not.

        While its cascade is held back, by an alarm or a broken promise, none is drawn: what is
        compared then would not be the cascade that stands in the catalogue.
        """
        slip = held.slip
        order = self._plan.shadows.get(slip.task)
        if order is None or slip.task in self._plan.held_back:
            return
        if not is_drawn(order.share, slip.producer, held.job.id, slip.submitted_ms):
            return
        if self._room.get(slip.task, 0) > 0:
            self._room[slip.task] -= 1
            self._drawn[slip.task].append(held)
        else:
            self._left_out[slip.task] += 1

    def forget_drawn(self) -> None:
        """Forget what was drawn and has not been settled."""
        self._drawn.clear()

    def copy_drawn(self, now_ms: int) -> None:
        """Copy the live jobs that were drawn, once they are settled."""
        drawn, self._drawn = self._drawn, defaultdict(list)
        for task, held in drawn.items():
            if (order := self._plan.shadows.get(task)) is None:
                continue
            copies = [_copy_of(each, order.candidate, now_ms) for each in held]
            with self._harmless():
                self._shadows.copy(order.candidate, order.series, copies, 0)

    def count_pairs(self) -> None:
        """Count the live jobs that have ended as well as their copies."""
        with self._harmless():
            self._count_pairs()

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """Keep what goes wrong from the live jobs; say so once, until it goes well again.

        Where Redis cannot be reached at all, the router finds that by itself.
        """
        try:
            yield
        except RedisError as error:
            if not self._is_failing:
                log.warning(
                    "shadow.failed",
                    error=type(error).__name__,
                    consequence="candidates in shadow see fewer jobs; no live job is touched",
                    remedy="if it lasts, look whether Redis lets routers do what `smallfirst acl`"
                    " says",
                )
            self._is_failing = True
        else:
            self._is_failing = False

    def _count_pairs(self) -> None:
        for task, order in self._plan.shadows.items():
            if num_left_out := self._left_out.pop(task, 0):
                self._shadows.copy(order.candidate, order.series, (), num_left_out)
            pairs = self._shadows.open_pairs(order.candidate, order.series)
            now_ms = self._shadows.now_ms() if pairs else 0
            for pair in pairs:
                self._count(order, pair, now_ms)

    def _count(self, order: ShadowOrder, pair: OpenPair, now_ms: int) -> None:
        """Count one, where both have ended, or where that is not waited for any more."""
        live, copy = pair.live, pair.copy
        if pair.is_repeat:
            self._shadows.count(order.candidate, order.series, pair, {"repeated": 1})
        elif live is not None and copy is not None and (found := pair_of(live, copy)):
            self._count_both(order, pair, found, now_ms)
        elif (live is not None and copy) or now_ms - pair.copied_ms > GIVE_UP_MS:
            self._shadows.count(order.candidate, order.series, pair, {"dropped": 1})

    def _count_both(self, order: ShadowOrder, pair: OpenPair, found: Pair, now_ms: int) -> None:
        """Count a pair, and have what people say of its job counted, now or later."""
        at = (order.candidate, order.series, pair)
        is_judged = is_drawn(order.judged_share, pair.producer, pair.job_id, pair.submitted_ms)
        if not is_judged or found.live not in _JUDGED or pair.copy is None:
            self._shadows.count(*at, found.amounts)
            return
        amounts, said = {f"to_judge:{found.live}": 1.0}, _said(order, pair, pair.copy)
        until_ms = pair.expires_ms or now_ms + order.keep_seconds * 1000
        seconds = max(0, until_ms - now_ms) // 1000 + GRACE_SECONDS
        if not self._shadows.count(*at, found.amounts | amounts, said, seconds):
            return
        if found.live is Ending.PERSON and (answer := _answer_in(pair)) is not None:
            judgement = Judgement(live=Judged.NONE, answer=answer)
            self._shadows.note(pair.producer, pair.job_id, judgement)
        self._shadows.join(pair.producer, pair.job_id)


def _said(order: ShadowOrder, pair: OpenPair, copy: Result) -> ShadowAnswer:
    return ShadowAnswer(
        candidate=order.candidate,
        series=order.series,
        text_key=pair.text_key,
        answer=standing(copy),
    )


def _answer_in(pair: OpenPair) -> AnyAnswer | None:
    """The answer that a live job has ended with; None where it waits."""
    return pair.live.answer if isinstance(pair.live, Result) else None


def _copy_of(held: HeldJob, candidate: str, now_ms: int) -> Copy:
    producer, job_id = held.slip.producer, held.job.id
    job = copy_of(held.job, producer, candidate)
    slip = RoutingSlip(
        producer=SHADOW,
        task=candidate,
        submitted_ms=now_ms,
        expires_ms=now_ms + round(COPY_LIFE.total_seconds() * 1000),
        num_chars=len(job.text),
    )
    return Copy(producer, job_id, held.slip.submitted_ms, text_key(job.text), job, slip)
