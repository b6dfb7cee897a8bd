"""Producers, routers, workers and operators take turns in any order, on a real Redis.

Whatever the order, each confirmed submission ends once, no end changes, and nothing is left over.
The order is drawn here; what must hold is `tests.support.job_histories`.
"""

import json
from collections import ChainMap, Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.support.invariants import lasting_keys, remains
from tests.support.job_histories import Histories
from tests.support.stepped_fleet import SteppedFleet, SteppedRouter, SteppedWorker
from tests.support.stepped_models import CATALOGUES, EXHAUSTS, KILLS, POOLS, RAISES, UNSURE

from smallfirst.jobs import Priority
from smallfirst.ledger.keys import Keys
from smallfirst_router import router

# A failure is shrunk for some minutes; the long form takes its time.
pytestmark = pytest.mark.timeout(7200)
KEYS = Keys()
OWN = KEYS.of_producer("default")
#: Few, so that they meet; two look like a word or a key of the scripts'.
IDS = ("refused", "dead:0-1", *(f"a{number}" for number in range(8)))
REPLIES = ("me", "you")
#: What the scripts decide by, as producers may have it in fields of their own.
WIRE_WORDS = ("refused", "status", "fingerprint", "origin", "\n", '","status":"refused","x":"')
SOON = timedelta(seconds=0.05)
#: Longer than a lease, and than the queue's patience.
LONG = timedelta(seconds=61)
#: Rounds within which everything must have ended, when nothing more comes.
MAX_ROUNDS = 60


def any_of(*weighed: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Draw by one of some strategies, each as often as its weight says."""
    each = [strategy for weight, strategy in weighed for _ in range(weight)]
    return st.sampled_from(each).flatmap(lambda strategy: strategy)


ids = st.sampled_from(IDS)
moods = st.sampled_from(["sure", UNSURE, "sure", UNSURE, "sure", RAISES, EXHAUSTS, KILLS])
metadata = st.dictionaries(st.sampled_from(WIRE_WORDS), st.sampled_from(WIRE_WORDS), max_size=2)
jobs = st.builds(
    lambda *parts: json.dumps(dict(ChainMap(*parts))),
    st.fixed_dictionaries(
        {
            "id": ids,
            "task": st.sampled_from(["topic", "fields", "topic", "ids", "topic", "unknown"]),
            "text": st.builds("{} {}".format, moods, st.integers(0, 1)),
            "priority": st.sampled_from([*map(str, Priority)]),
        }
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": metadata,
            "reply_to": st.sampled_from(REPLIES),
            "deadline": st.sampled_from([3600, 3600, SOON.total_seconds()]),
            "last_tier": st.sampled_from(["llm", "llm", "slm"]),
        },
    ),
)
broken = st.one_of(
    st.builds('{{"id": "{}", "text": 5, "reply_to": "{}"}}'.format, ids, st.sampled_from(REPLIES)),
    st.builds('{{"id": "{}", "text": "x'.format, ids),
    st.just("null"),
)
#: Which of some, of however many there are.
picks = st.integers(0, 1000)


@dataclass
class World:
    """A fleet, and what its producers know of it."""

    fleet: SteppedFleet
    histories: Histories

    def submit(self, raw: str) -> None:
        """Write a submission."""
        self.fleet.redis.xadd(OWN.jobs, {"job": raw})
        self.histories.note_submission(raw.encode())


@dataclass(frozen=True)
class Submit:
    """Producers submit jobs, under ids that may be taken, and what is no job."""

    raws: list[str]

    def __call__(self, world: World) -> None:
        for raw in self.raws:
            world.submit(raw)


@dataclass(frozen=True)
class Repeat:
    """A producer submits what was submitted before, by it or by another."""

    pick: int
    metadata: dict[str, str]
    reply_to: str

    def __call__(self, world: World) -> None:
        if jobs := world.histories.jobs:
            job = json.loads(jobs[self.pick % len(jobs)].to_json())
            world.submit(json.dumps(job | {"metadata": self.metadata, "reply_to": self.reply_to}))


@dataclass(frozen=True)
class Cancel:
    """A producer wants a job no more: most often one on its way, else one that ended, or none."""

    pick: int

    def __call__(self, world: World) -> None:
        ids = [*3 * world.histories.open_ids, *world.histories.known_ids, IDS[-1]]
        job_id = ids[self.pick % len(ids)]
        world.fleet.redis.xadd(OWN.jobs, {"cancel": job_id})
        world.histories.note_cancel(job_id)


@dataclass(frozen=True)
class RouterActs:
    """A router does a round, or a part of one and lets others go first with the rest."""

    place: int
    act: Callable[[SteppedRouter], object]

    def __call__(self, world: World) -> None:
        self.act(world.fleet.routers[self.place])


@dataclass(frozen=True)
class WorkerActs:
    """A worker, one that has work before others, begins it, goes on with it, or does otherwise."""

    pick: int
    act: Callable[[SteppedWorker], object]

    def __call__(self, world: World) -> None:
        workers = [each for each in world.fleet.workers if each.has_work] or world.fleet.workers
        self.act(workers[self.pick % len(workers)])
        world.fleet.replace_dead_workers()


@dataclass(frozen=True)
class Mishap:
    """A router ends, a message goes astray, or Redis forgets its scripts."""

    place: int
    act: Callable[[SteppedFleet, int], object]

    def __call__(self, world: World) -> None:
        self.act(world.fleet, self.place)


@dataclass(frozen=True)
class NewCatalogue:
    """An operator writes another one."""

    name: str

    def __call__(self, world: World) -> None:
        world.fleet.write_catalogue(self.name)


@dataclass(frozen=True)
class TimePasses:
    """Leases run out, or even the queue's patience; every deadline that is soon is over."""

    seconds: int

    def __call__(self, world: World) -> None:
        world.fleet.stand_still(timedelta(seconds=self.seconds))
        if world.histories.has_deadline_within(SOON):
            world.fleet.wait_by_redis(SOON)


#: A router does whole rounds most often, and a worker begins batches and answers texts.
ROUTER_ACTS: tuple[Callable[[SteppedRouter], object], ...] = (
    *3 * (SteppedRouter.work,),
    SteppedRouter.read,
    SteppedRouter.settle,
    SteppedRouter.recover,
    SteppedRouter.end_due,
    SteppedRouter.renew,
    SteppedRouter.reload,
)
WORKER_ACTS: tuple[Callable[[SteppedWorker], object], ...] = (
    *3 * (SteppedWorker.begin,),
    *3 * (SteppedWorker.answer,),
    SteppedWorker.work,
    SteppedWorker.lose_endpoint,
    SteppedWorker.beat,
    SteppedWorker.reload,
    SteppedWorker.die,
)
MISHAPS: tuple[Callable[[SteppedFleet, int], object], ...] = (
    SteppedFleet.lose_message,
    SteppedFleet.double_message,
    SteppedFleet.replace_router,
    SteppedFleet.tell_router_to_go,
    SteppedFleet.forget_scripts,
)
raws = st.lists(any_of((5, jobs), (1, broken)), min_size=1, max_size=4)
places = st.integers(0, 1)
acts = any_of(
    (3, st.builds(Submit, raws)),
    (2, st.builds(Repeat, picks, metadata, st.sampled_from(REPLIES))),
    (2, st.builds(Cancel, picks)),
    (7, st.builds(RouterActs, places, st.sampled_from(ROUTER_ACTS))),
    (7, st.builds(WorkerActs, picks, st.sampled_from(WORKER_ACTS))),
    (2, st.builds(Mishap, places, st.sampled_from(MISHAPS))),
    (1, st.builds(NewCatalogue, st.sampled_from([*CATALOGUES]))),
    (1, st.builds(TimePasses, st.sampled_from([7, 61]))),
)


#: How jobs ended in all runs.
ENDS: Counter[str] = Counter()


class Machine(RuleBasedStateMachine):
    """A fleet whose every step is drawn.

    By one rule: of several, Hypothesis leaves some out of most runs, and then nothing goes on.
    """

    def __init__(self, fleet: SteppedFleet) -> None:
        super().__init__()
        fleet.open()
        max_starts = fleet.settings.max_starts
        self.world = World(fleet, Histories(fleet.vain_starts, max_starts=max_starts))

    @rule(act=acts)
    def step(self, act: Callable[[World], None]) -> None:
        """Somebody does something."""
        act(self.world)

    @invariant()
    def no_end_changes(self) -> None:
        """What a producer can have seen stands."""
        self.world.histories.check_results(self.world.fleet.redis)

    def teardown(self) -> None:
        """Let everything come to its end, and see that it did."""
        fleet, histories = self.world.fleet, self.world.histories
        try:
            self._drain()
            histories.check_all_ended(fleet.redis, fleet.notices)
            assert not lasting_keys(fleet.redis)
            assert not fleet.jobs_in_flight()
        finally:
            fleet.let_go()
        ENDS.update(histories.ends)

    def _drain(self) -> None:
        fleet = self.world.fleet
        for _ in range(MAX_ROUNDS):
            fleet.step()
            self.no_end_changes()
            if not remains(fleet.redis, POOLS):
                return
        pytest.fail(f"does not come to rest: {remains(fleet.redis, POOLS)}")


@pytest.fixture
def fleet(
    redis: Any, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SteppedFleet]:
    """A fleet that moves only when told: no router waits for jobs."""
    for name in ("FIRST_BUSY_WAIT", "LAST_BUSY_WAIT", "IDLE_BLOCK"):
        monkeypatch.setattr(router, name, timedelta(0))
    fleet = SteppedFleet(redis, redis_url, tmp_path)
    yield fleet
    fleet.close()


def test_every_order_of_steps_keeps_the_promise(fleet: SteppedFleet) -> None:
    """Each submission has one end, which never changes; nothing is pending, in flight or left."""

    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(fleet)

    run_state_machine_as_test(Here, settings=settings(settings.default))
    print(ENDS)  # noqa: T201 - what was reached
    assert {"topic answered slm", "ids answered rule", "None cancelled cancelled"} <= set(ENDS)


def test_copies_of_a_message_end_no_innocent_job(fleet: SteppedFleet) -> None:
    """However often and late the message comes that brought it in one batch with a deadly job."""
    fleet.open()
    world = World(fleet, Histories(fleet.vain_starts, max_starts=fleet.settings.max_starts))
    for job_id, text in (("deadly", KILLS), ("innocent", "sure")):
        world.submit(json.dumps({"id": job_id, "task": "topic", "text": text}))
    fleet.routers[0].work()
    for _ in range(fleet.settings.max_starts):
        fleet.double_message(POOLS.index("cpu"))
    for _ in range(fleet.settings.max_starts):
        fleet.workers[POOLS.index("cpu")].work()
        fleet.replace_dead_workers()
        fleet.stand_still(LONG)
    while world.histories.open_ids:
        fleet.step()
        world.histories.check_results(fleet.redis)
    assert sorted(world.histories.ends) == ["topic answered slm", "topic failed poison"]
