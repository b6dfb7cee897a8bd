"""Jobs that wait for people: parked, bounded, and ended as the catalogue says, without a desk."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.reviews import answered, decision, leased, review_of
from tests.support.routers import (
    KEYS,
    published,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)
from tests.support.shapes import attempt_for

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Job, Outcome, Priority, Status, Tier
from smallfirst.ledger.held_jobs import read_parked_job
from smallfirst.ledger.keys import DECIDED_CONSUMER, POOL_GROUP
from smallfirst.ledger.settlements import Move
from smallfirst_router.router import Router

PEOPLE = KEYS.people("topic")[Priority.BULK]
ALONE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{person: {wait: 1h}}]
"""
AFTER_A_MODEL = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.8}, {person: {wait: 1h, otherwise: best}}]
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue whose one task asks people alone."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(ALONE)
    return path


def parked(redis: Any, router: Router, *jobs: Job) -> list[str]:
    """Submit jobs and let the router take them in; the entries that wait for people."""
    submit(redis, *jobs)
    for _ in range(3):
        router.step()
    streams = KEYS.people("topic").values()
    return [entry.decode() for stream in streams for entry, _ in redis.xrange(stream)]


def let_pass(redis: Any, *ids: str) -> None:
    """Let the time be over for which these jobs wait."""
    redis.zadd(KEYS.due, {f"default:{job_id}": 1 for job_id in ids})


def escalated(redis: Any, router: Router, job: Job, confidence: float) -> None:
    """Let a model's worker answer a job, not surely enough."""
    submit(redis, job)
    worker = start_worker(redis)
    router.step()
    router.step()
    backlog = KEYS.backlog("cpu", Priority.BULK)
    [(entry, _)] = redis.xrange(backlog)
    [claimed] = worker.claim(backlog, [entry.decode()])[1]
    held = read_parked_job(claimed)
    said = attempt_for(
        outcome=Outcome.ESCALATED,
        confidence=confidence,
        answer=LabelAnswer(label="b", confidence=confidence),
    )
    move = Move(
        entry=claimed.entry,
        job_id=job.id,
        job=held.raw,
        slip=held.slip.model_copy(update={"trail": (said,)}),
        to=KEYS.escalations,
        spent=(said,),
    )
    worker.settle(backlog, POOL_GROUP, [move])
    router.step()


def test_a_job_for_a_person_waits_and_no_batch_is_formed(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """It is listed by when its wait ends; whoever it is, no worker is sent it."""
    router = router_of(redis, redis_url, catalogue)
    [entry] = parked(redis, router, topic("a1"))
    start_worker(redis)
    router.step()
    router.recover()

    assert published(redis) == []
    assert redis.xlen(PEOPLE) == 1
    [(member, due)] = redis.zrange(KEYS.review("topic"), 0, -1, withscores=True)
    assert member.decode() == f"bulk:{entry}"
    assert redis.zscore(KEYS.due, "default:a1") == due
    held_ms = due - int(entry.partition("-")[0])
    assert 3_590_000 < held_ms <= 3_600_000


def test_who_waited_in_vain_is_abstained_from(redis: Any, redis_url: str, catalogue: Path) -> None:
    """The result says why, the trail that a person was waited for; nothing is left over."""
    router = router_of(redis, redis_url, catalogue)
    parked(redis, router, topic("a1"))
    let_pass(redis, "a1")
    router.end_due()

    result = result_of(redis, "a1")
    assert (result.status, result.problem and result.problem.code) == (
        Status.ABSTAINED,
        "unreviewed",
    )
    [attempt] = result.trail
    assert (attempt.tier, attempt.outcome) == (Tier.HUMAN, Outcome.ABSTAINED)
    assert attempt.reason == "no person answered within 1h"
    assert not redis.xlen(PEOPLE)
    assert not redis.exists(KEYS.review("topic"), KEYS.due)


def test_the_best_machine_answer_stands_in_for_a_person_and_is_marked(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """As `otherwise: best` says."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(AFTER_A_MODEL)
    router = router_of(redis, redis_url, path)
    escalated(redis, router, topic("a1"), 0.6)
    assert redis.xlen(PEOPLE) == 1
    let_pass(redis, "a1")
    router.end_due()

    result = result_of(redis, "a1")
    assert result.is_answered
    assert result.unsure
    assert isinstance(result.answer, LabelAnswer)
    assert (result.answer.label, result.tier) == ("b", Tier.SLM)
    assert [attempt.tier for attempt in result.trail] == [Tier.SLM, Tier.HUMAN]


def test_a_jobs_own_deadline_comes_before_the_end_of_its_wait(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """It expires, as anywhere else; nobody wants the answer any more."""
    router = router_of(redis, redis_url, catalogue)
    job = Job(id="a1", task="topic", text="hello", deadline=0.001)  # type: ignore[arg-type]
    parked(redis, router, topic("b1"), job)
    router.end_due()
    assert result_of(redis, "a1").status is Status.EXPIRED
    assert redis.xlen(PEOPLE) == 1


def test_a_job_in_a_persons_hands_is_left_to_them_until_their_lease_ends(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """And then it ends, though the desk is gone."""
    router = router_of(redis, redis_url, catalogue)
    [entry] = parked(redis, router, topic("a1"))
    redis.xclaim(PEOPLE, POOL_GROUP, "@person/x", 0, [entry], force=True, justid=True)
    let_pass(redis, "a1")
    router.end_due()
    assert redis.xlen(PEOPLE) == 1

    redis.xclaim(PEOPLE, POOL_GROUP, "@person/x", 0, [entry], idle=601_000, justid=True)
    let_pass(redis, "a1")
    router.end_due()
    assert result_of(redis, "a1").status is Status.ABSTAINED


def test_a_cancelled_job_is_taken_out_of_a_persons_hands(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """It is cancelled at once, and is on no list any more."""
    router = router_of(redis, redis_url, catalogue)
    entries = parked(redis, router, topic("a1"), topic("a2"))
    redis.xclaim(PEOPLE, POOL_GROUP, "@person/x", 0, entries[:1], force=True, justid=True)
    for job_id in ("a1", "a2"):
        redis.xadd(KEYS.of_producer("default").jobs, {"cancel": job_id})
    router.step()
    router.step()
    assert {result_of(redis, each).status for each in ("a1", "a2")} == {Status.CANCELLED}
    assert not redis.xlen(PEOPLE)
    assert not redis.exists(KEYS.review("topic"))


def test_a_backlog_for_people_is_bounded_like_any_other(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Beyond it new jobs wait where their producer looks at, and come in when there is room."""
    router = router_of(redis, redis_url, catalogue, max_backlog_jobs=2)
    router.step()
    assert len(parked(redis, router, *(topic(f"a{n}") for n in range(4)))) == 2
    let_pass(redis, "a0", "a1")
    router.end_due()
    for _ in range(3):
        router.step()
    assert redis.xlen(PEOPLE) == 2
    assert result_of(redis, "a0").status is Status.ABSTAINED


def test_jobs_are_planned_anew_when_their_task_asks_no_person_any_more(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """They go back to triage, those in a person's silent hands among them."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(AFTER_A_MODEL)
    router = router_of(redis, redis_url, path)
    escalated(redis, router, topic("a1"), 0.6)
    path.write_text(AFTER_A_MODEL.replace(", {person: {wait: 1h, otherwise: best}}", ""))
    router = router_of(redis, redis_url, path, "r2")
    router.recover()
    router.step()
    router.step()
    result = result_of(redis, "a1")
    assert result.status is Status.ABSTAINED
    assert result.problem is not None
    assert result.problem.code == "unsure"
    assert not redis.xlen(PEOPLE)


TWO = ALONE.replace("wait: 1h", "wait: 1h, reviewers: 2")


@pytest.mark.parametrize(
    ("otherwise", "labels", "label"),
    [
        ("abstain", "a", None),
        ("abstain", "ab", None),
        ("best", "", None),
        ("best", "a", "a"),
        ("best", "ab", "b"),
    ],
)
def test_where_too_few_people_answered_in_time_the_catalogue_says_what_stands(
    redis: Any, redis_url: str, tmp_path: Path, otherwise: str, labels: str, label: str | None
) -> None:
    """Nothing; or the answer that was given last, as unsure. The trail has each answer."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(TWO.replace("reviewers: 2", f"reviewers: 2, otherwise: {otherwise}"))
    router = router_of(redis, redis_url, path)
    parked(redis, router, topic("a1"))
    review = review_of(redis)
    for number, each in enumerate(labels):
        answered(redis, review, f"r{number}", each)
    let_pass(redis, "a1")
    router.end_due()
    result = result_of(redis, "a1")
    told = [(each.revision, each.outcome) for each in result.trail]
    assert told[:-1] == [(f"r{n}", Outcome.ESCALATED) for n in range(len(labels))]
    assert told[-1] == ("", Outcome.ABSTAINED)
    words = ("no person", "no second person", "no third person")[len(labels)]
    assert result.trail[-1].reason == f"{words} answered within 1h"
    assert result.unsure == (label is not None)
    if label is None:
        assert (result.status, result.answer) == (Status.ABSTAINED, None)
    else:
        assert isinstance(result.answer, LabelAnswer)
        assert (result.answer.label, result.tier) == (label, Tier.HUMAN)
    assert not redis.xlen(PEOPLE)
    assert not [*redis.scan_iter("*:earlier:*"), *redis.scan_iter("*:answered:*")]


@pytest.mark.parametrize(("second", "status"), [("a", Status.ANSWERED), ("b", Status.ABSTAINED)])
def test_a_second_answer_decides_though_every_desk_is_gone(
    redis: Any, redis_url: str, tmp_path: Path, second: str, status: Status
) -> None:
    """A router counts it with the first, once the wait is over; their pair is noted."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(TWO)
    router = router_of(redis, redis_url, path)
    [entry] = parked(redis, router, topic("a1"))
    review = review_of(redis)
    answered(redis, review, "r1", "a")
    mine = leased(review, "r2")
    said = decision("r2", mine, LabelAnswer(label=second, confidence=1.0))
    assert isinstance(review.decide(mine.held, mine.place, said), int)
    redis.xclaim(PEOPLE, POOL_GROUP, DECIDED_CONSUMER, 0, [entry], idle=601_000, justid=True)
    let_pass(redis, "a1")
    router.end_due()
    result = result_of(redis, "a1")
    assert result.status is status
    assert [each.revision for each in result.trail][:2] == ["r1", "r2"]
    assert [pair.said for pair in review.pairs("topic")] == [("a", second)]
    assert not [*redis.scan_iter("*:earlier:*"), *redis.scan_iter("*:answered:*")]


def test_what_a_person_answered_stands_though_every_desk_is_gone(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router settles it, once the job's wait is over."""
    router = router_of(redis, redis_url, catalogue)
    [entry] = parked(redis, router, topic("a1"))
    review = review_of(redis)
    mine = leased(review, "r1")
    said = decision("r1", mine, LabelAnswer(label="b", confidence=1.0))
    assert isinstance(review.decide(mine.held, mine.place, said), int)
    let_pass(redis, "a1")
    router.end_due()
    assert redis.xlen(PEOPLE) == 1

    redis.xclaim(PEOPLE, POOL_GROUP, DECIDED_CONSUMER, 0, [entry], idle=601_000, justid=True)
    let_pass(redis, "a1")
    router.end_due()
    result = result_of(redis, "a1")
    assert isinstance(result.answer, LabelAnswer)
    assert (result.answer.label, result.tier) == ("b", Tier.HUMAN)
    assert not redis.exists(KEYS.decisions, KEYS.decided, KEYS.review("topic"))
    assert review.settle_decided() == []
