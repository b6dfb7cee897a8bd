"""What routers and workers do once jobs have drifted, as the catalogue says, and when that ends."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.drifting import ALERT, KEYS, MORE, OTHERWISE, RAISE, ROWS, calibrated, see
from tests.support.routers import (
    BULK,
    built_router,
    result_of,
    running,
    start_worker,
    submit,
    topic,
)
from tests.support.shapes import slip_for
from tests.support.waiting import WaitUntil

from smallfirst.acceptance import RAISED, Thresholds
from smallfirst.answers import LabelAnswer
from smallfirst.catalogue import Catalogue, Promise
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.promises import promise_digest
from smallfirst.health import Health
from smallfirst.jobs import Outcome, Tier
from smallfirst.ledger.alarms import STANDS_FOR, Alarms, StandingAlarm
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import read_parked_job
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.slices import Slice, keys_of_slices
from smallfirst.settings import RouterSettings
from smallfirst.telemetry.tracing import Tracing
from smallfirst_router.__main__ import build_slices
from smallfirst_router.cascade import LocalModel, PlannedStep, TaskPlan, plan_of
from smallfirst_router.drift_judge import DriftJudge, Judgement
from smallfirst_router.drift_response import DriftResponse
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.router import Router
from smallfirst_workers.batches import BatchRunner, run_message
from smallfirst_workers.drifted_jobs import with_raised
from smallfirst_workers.engines import EngineRequest, EngineResult, ServedModel
from smallfirst_workers.leases import LeaseKeeper

LEASE = timedelta(seconds=60)


class Sure:
    """An engine that answers every text with the same label, so sure."""

    def __init__(self, confidence: float) -> None:
        self.confidence = confidence

    def revision_of(self, task: str, options: object = None) -> str:  # noqa: ARG002 - of every engine
        return "1"

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer all in one pass."""
        answers = [LabelAnswer(label="a", confidence=self.confidence) for _ in asked]
        yield EngineResult([*answers], [1] * len(asked), len(asked), 0.01).at(*range(len(asked)))


def work_off(redis: Any, confidence: float) -> None:
    """Let a worker answer all that waits, in one batch of its own."""
    entries = tuple(
        each.entry for each in Ledger(redis, KEYS, "@router/x").read([BULK], "pool", count=100)
    )
    Ledger(redis, KEYS, "@router/x").queue(BULK, entries)
    worker = Ledger(redis, KEYS, "cpu/h/1/abc")
    runner = BatchRunner(
        worker, KEYS, LeaseKeeper(worker, "cpu", lease=LEASE, beat=LEASE), LEASE, ()
    )
    message = BatchMessage(batch="b", model="minilm", pool="cpu", entries={"bulk": entries})
    run_message(runner, message, ServedModel(Sure(confidence), Tier.SLM, 0.0))


def alarms_of(redis: Any) -> Alarms:
    """Of the only slice."""
    return Alarms(redis, KEYS)


def stand(redis: Any, promise: Promise, since_ms: int = 1000) -> StandingAlarm:
    """Have an alarm stand of the only task."""
    alarm = StandingAlarm(promise=promise_digest(promise), since_ms=since_ms)
    alarms_of(redis).say({"topic": alarm})
    return alarm


def order_of(router: Router) -> Any:
    """How many answers the router has checked now."""
    return router._plan.tasks["topic"].audit


def judged(redis: Any, router: Router, wait_until: WaitUntil, *, stands: bool) -> None:
    """Step a router until a judgement is written down."""
    redis.delete(KEYS.drift_judge)
    router._drift._due = 0.0
    before = router._drift._written

    def is_written() -> bool:
        router.look_at_drift()
        return router._drift._written > before

    wait_until(is_written, description="somebody judged")
    router.look_at_drift()
    assert bool(alarms_of(redis).standing()) is stands


def test_jobs_that_drift_raise_an_alarm_which_ends_when_they_are_as_before(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """A router judges without being asked, and keeps since when it stands; it lapses by itself."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    router = built_router(redis_url, path, DriftJudge(Slice(redis, KEYS)))
    see(redis, promise, ROWS, times=3)
    judged(redis, router, wait_until, stands=False)
    see(redis, promise, OTHERWISE, times=3)
    judged(redis, router, wait_until, stands=True)
    [first] = alarms_of(redis).standing().values()
    assert first.promise == promise_digest(promise)
    assert 0 < redis.ttl(KEYS.drift) <= STANDS_FOR.total_seconds()
    judged(redis, router, wait_until, stands=True)
    assert alarms_of(redis).standing() == {"topic": first}
    redis.delete(*redis.scan_iter(KEYS.seen("*")))
    judged(redis, router, wait_until, stands=False)
    assert not redis.exists(KEYS.drift)
    router.close()


def test_every_slice_is_told_by_the_routers_of_the_process_that_judged(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Each has it in its own place, with the same beginning, so that nobody asks another slice."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    see(redis, promise, OTHERWISE)
    settings = RouterSettings.model_validate(
        {"redis_url": redis_url, "catalogue": path, "slices": 2}
    )
    routers = build_slices(settings, RouterMetrics(), Tracing(), Health(None))
    slices = [Alarms(redis, keys) for keys in keys_of_slices("sf", 2)]
    with running(routers):
        wait_until(lambda: all(each.standing() for each in slices), description="both were told")
    first, second = (each.standing() for each in slices)
    assert first == second
    assert set(first) == {"topic"}


def test_one_router_judges_at_a_time_and_a_dead_one_is_soon_replaced(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """What says that somebody judges ends by itself."""
    assert alarms_of(redis).may_judge()
    assert not alarms_of(redis).may_judge()
    assert 0 < redis.ttl(KEYS.drift_judge) < 60
    path, promise = calibrated(tmp_path, drift=RAISE)
    see(redis, promise, OTHERWISE)
    router = built_router(redis_url, path, DriftJudge(Slice(redis, KEYS)))
    router.look_at_drift()
    assert router._drift.judge is not None
    assert not router._drift.judge.is_busy
    assert not alarms_of(redis).standing()


def test_without_anything_to_do_about_drift_nothing_is_asked_of_redis(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """Where the catalogue tells Prometheus alone, or of no drift at all."""
    path, promise = calibrated(tmp_path, drift=ALERT)
    stand(redis, promise)
    router = built_router(redis_url, path, DriftJudge(Slice(redis, KEYS)))
    redis.config_resetstat()
    router.look_at_drift()
    assert "cmdstat_hgetall" not in redis.info("commandstats")
    assert (router._drift.standing, redis.exists(KEYS.drift_judge)) == ({}, 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_while_an_alarm_stands_a_worker_accepts_by_stricter_thresholds(
    redis: Any, redis_url: str, tmp_path: Path, when: str
) -> None:
    """Whether the job was parked before it or after; the trail says what held the answer back."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    router = built_router(redis_url, path)
    start_worker(redis)
    if when == "before":
        stand(redis, promise)
        router.look_at_drift()
    submit(redis, topic("a1"), topic("a2"))
    router._run_due_tasks()
    router._take()
    router._settle_part()
    assert redis.xlen(BULK) == 2
    stand(redis, promise)
    work_off(redis, 0.85)
    for _ in range(2):
        router._take()
        router._settle_part()
    result = result_of(redis, "a1")
    [attempt] = result.trail
    assert (attempt.outcome, attempt.threshold) == (Outcome.ABSTAINED, 0.9)
    assert attempt.reason == RAISED
    assert result.answer is None


@pytest.mark.parametrize("how", ["lifted", "restart", "lapsed", "another promise", "sure enough"])
def test_what_an_alarm_did_is_over_with_it_at_once(
    redis: Any, redis_url: str, tmp_path: Path, how: str
) -> None:
    """For what is parked as for what comes; and an answer that is sure enough stands all along."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    router = built_router(redis_url, path)
    start_worker(redis)
    stand(redis, promise)
    router.look_at_drift()
    submit(redis, topic("a1"))
    router._take()
    router._settle_part()
    if how == "lifted":
        alarms_of(redis).say({})
    elif how == "restart":
        assert alarms_of(redis).end("topic", now_ms=2000)
    elif how == "lapsed":
        redis.pexpire(KEYS.drift, 1)
    elif how == "another promise":
        stand(redis, promise.model_copy(update={"num_wrong": 1}))
    work_off(redis, 0.95 if how == "sure enough" else 0.85)
    assert result_of(redis, "a1").answer is not None


def test_what_a_restart_has_ended_no_judgement_under_way_brings_back(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """It had read the counts before. Another task's alarm is written, and the next one is heard."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    judge = DriftJudge(Slice(redis, KEYS))
    router = built_router(redis_url, path, judge)
    alarm = stand(redis, promise)
    router.look_at_drift()
    assert alarms_of(redis).end("topic", now_ms=2000)
    assert not alarms_of(redis).end("topic", now_ms=2000)
    assert 0 < redis.ttl(KEYS.drift) <= STANDS_FOR.total_seconds()
    redis.set(KEYS.drift_judge, "1", ex=60)
    for number, began_ms, stands in ((1, 1999, False), (2, 2000, False), (3, 2001, True)):
        judge._said = Judgement(number, {"topic": alarm, "other": alarm}, began_ms)
        router.look_at_drift()
        assert set(alarms_of(redis).standing()) == {"other", *(["topic"] if stands else [])}
        assert bool(router._drift.standing) is stands
    assert redis.hlen(KEYS.drift) == 2


def test_an_end_and_a_judgement_at_once_leave_no_alarm(redis: Any) -> None:
    """Whichever of the two comes first, or in the midst of the other."""
    alarm = StandingAlarm(promise="0" * 16, since_ms=1)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(150):
            said = pool.submit(alarms_of(redis).say, {"topic": alarm}, began_ms=1000)
            alarms_of(redis).end("topic", now_ms=1000)
            said.result()
            assert alarms_of(redis).standing() == {}
            redis.delete(KEYS.drift)


def test_while_an_alarm_stands_more_answers_are_checked(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """So many times as many, each with the share and the alarm it was drawn by; then as before."""
    path, promise = calibrated(tmp_path, drift=MORE)
    router = built_router(redis_url, path)
    router.look_at_drift()
    usual = order_of(router)
    assert (usual.share, usual.alarm_ms) == (0.1, None)
    stand(redis, promise, since_ms=4711)
    router.look_at_drift()
    assert order_of(router) == usual.model_copy(update={"share": 0.4, "alarm_ms": 4711})
    start_worker(redis)
    submit(redis, *(topic(f"a{n}") for n in range(60)))
    router._take()
    router._settle_part()
    work_off(redis, 0.95)
    checks = [fields for _, fields in redis.xrange(KEYS.checks("topic"))]
    assert 5 <= len(checks) <= 45
    assert all(b'"share":0.4' in each[b"check"] for each in checks)
    assert all(b'"alarm_ms":4711' in each[b"check"] for each in checks)
    alarms_of(redis).say({})
    router.look_at_drift()
    assert order_of(router) == usual


def test_no_more_than_all_answers_are_checked(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """However often the share is multiplied."""
    path, promise = calibrated(tmp_path, drift=MORE.replace("0.1", "0.5"))
    router = built_router(redis_url, path)
    stand(redis, promise)
    router.look_at_drift()
    assert order_of(router).share == 1.0


def test_what_is_unreadable_raises_nothing(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """Another version's alarm, or another task's, or nonsense."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    router = built_router(redis_url, path)
    alarm = stand(redis, promise)
    redis.hset(KEYS.drift, mapping={"topic": b"\xff{", "other": alarm.to_json()})
    router.look_at_drift()
    assert router._drift.standing == {}


def test_a_judge_that_fails_ends_no_router(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """What was counted is nonsense, or Redis is away: what was said stands a while."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    alarm = stand(redis, promise)
    judge = DriftJudge(Slice(redis, KEYS))
    router = built_router(redis_url, path, judge)
    see(redis, promise, OTHERWISE)
    [key] = redis.scan_iter(KEYS.seen("*"))
    redis.delete(key)
    redis.set(key, "no hash", ex=60)
    router.look_at_drift()
    wait_until(lambda: not judge.is_busy, description="the judge gave up")
    router.look_at_drift()
    assert (judge.said.number, router._drift.standing) == (0, {"topic": alarm})


@pytest.fixture
def older(redis: Any, redis_url: str) -> Iterator[Any]:
    """A connection whose rights are those of a version that knew of no alarms."""
    rights = {"categories": ["+@all"], "commands": ["-hgetall"], "keys": ["*"]}
    redis.acl_setuser("older", enabled=True, nopass=True, **rights)
    with Redis.from_url(redis_url.replace("//", "//older:any@")) as client:
        yield client
    redis.acl_deluser("older")


def test_rules_of_an_older_version_stop_nobody(
    redis: Any, older: Any, local: tuple[Catalogue, Promise], wait_until: WaitUntil
) -> None:
    """Nothing is done about drift, and that is logged; jobs go on, and so does the judge."""
    catalogue, promise = local
    alarm = stand(redis, promise)
    ledger, judge = Ledger(older, KEYS, "@router/h/1/a"), DriftJudge(Slice(older, KEYS))
    response = DriftResponse(ledger)
    response.judge = judge
    response.watch(catalogue, {"topic": alarm.promise})
    assert (response.look(), response.look(), response.standing) == (False, False, {})
    wait_until(lambda: not judge.is_busy, description="the judge gave up")
    assert judge.said.number == 0
    slip = slip_for()
    asked = slip.asked.model_copy(update={"cautious": Thresholds(threshold=0.9)})
    told = slip.model_copy(update={"request": asked}).to_json()
    fields = {b"job": topic("a1").to_json().encode(), b"slip": told.encode()}
    held = read_parked_job(StreamEntry(BULK, "7-0", fields, starts=1))
    assert with_raised([held], ledger.alarms) == [held]


def test_what_may_no_longer_be_read_stands_no_longer(
    redis: Any, older: Any, local: tuple[Catalogue, Promise]
) -> None:
    """Rules were written back in the midst of an alarm: routers do not go on by what they read."""
    catalogue, promise = local
    alarm = stand(redis, promise)
    redis.acl_setuser("older", enabled=True, nopass=True, commands=["+hgetall"])
    response = DriftResponse(Ledger(older, KEYS, "@router/h/1/a"))
    response.watch(catalogue, {"topic": alarm.promise})
    assert (response.look(), response.standing) == (True, {"topic": alarm})
    redis.acl_setuser("older", enabled=True, nopass=True, commands=["-hgetall"])
    assert [response.look() for _ in range(2)] == [True, False]
    assert response.standing == {}


@pytest.fixture
def local(tmp_path: Path) -> tuple[Catalogue, Promise]:
    """The catalogue and its promise."""
    path, promise = calibrated(tmp_path, drift=RAISE)
    return load_catalogue(path), promise


def test_a_model_of_the_router_s_own_is_held_to_it_in_the_plan(
    local: tuple[Catalogue, Promise],
) -> None:
    """The plan of a task with an alarm; a step elsewhere is left to who answers there."""
    catalogue, promise = local
    plan = plan_of(catalogue)
    [step] = plan.tasks["topic"].steps
    assert step.cautious == Thresholds(threshold=0.9)
    assert step.alarmed == step
    skill: Any = None
    here = replace(step, destination=LocalModel(skill, step.acceptance))
    task = replace(plan.tasks["topic"], steps=(here,))
    alarmed = replace(plan, tasks={"topic": task}).with_alarms(
        {"topic": StandingAlarm(promise=promise_digest(promise), since_ms=1)}
    )
    assert _raised_of(alarmed.tasks["topic"]) == [Thresholds(threshold=0.9)]
    assert replace(plan, tasks={"topic": task}).with_alarms({}).tasks["topic"] is task


def _raised_of(task: TaskPlan) -> list[Thresholds | None]:
    def raised(step: PlannedStep) -> Thresholds | None:
        assert isinstance(step.destination, LocalModel)
        return step.destination.acceptance.raised

    return [raised(step) for step in task.steps]
