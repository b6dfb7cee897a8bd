"""Shadows as a router sees them: what is copied and counted, and that live jobs see nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.routers import (
    KEYS,
    OWN,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue.drifts import Drift
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.shadow_orders import shadow_order
from smallfirst.jobs import Job, Priority, Status
from smallfirst.ledger.fleet_state import FleetState, PoolState, StreamState
from smallfirst.ledger.shadow_cancelling import cancel_copy
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import Slice
from smallfirst.shadow.copies import MAX_COPIES, SHADOW
from smallfirst.shadow.pairing import Judged, Judgement, ShadowAnswer
from smallfirst_router.router import Router

LIVE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, batch_jobs: 16}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade:
      - {rule: {patterns: [{label: a, pattern: invoice}, {label: b, pattern: parcel}]}}
      - {person: {wait: 1h}}
    audit: {share: 1.0}
"""
SHADOW_BY_RULE = """
  next:
    kind: classify
    labels: {a: uno, b: due}
    cascade: [{rule: {patterns: [{label: a, pattern: invoice}, {label: a, pattern: parcel}]}}]
    shadow: {of: topic, share: 0.5}
"""
SHADOW_BY_MODEL = """
  next:
    kind: classify
    labels: {a: uno, b: due}
    examples: [{text: an invoice, label: a}, {text: a parcel, label: b}]
    cascade: [{model: minilm, accept: 0.8}]
    shadow: {of: topic, share: 0.5}
"""
BULK = KEYS.backlog("cpu", Priority.BULK)


def written(folder: Path, candidate: str) -> Path:
    """Write a catalogue with a candidate in shadow."""
    path = folder / "catalogue.yaml"
    path.write_text(LIVE + candidate)
    return path


def counts_of(redis: Any, path: Path) -> dict[str, float]:
    """What is counted of the candidate."""
    order = shadow_order(load_catalogue(path), "topic")
    assert order is not None
    return dict(Shadows(redis, KEYS).counts(order.candidate, order.series))


def series_of(path: Path) -> str:
    """The hash of both cascades."""
    order = shadow_order(load_catalogue(path), "topic")
    assert order is not None
    return order.series


def take_in(redis: Any, router: Router, *jobs: Job) -> None:
    """Submit jobs, let the router decide on them and on their copies, and count."""
    submit(redis, *jobs)
    for _ in range(6):
        router.step()
    router._triage.shadowing.count_pairs()


def many(text: str, number: int = 40) -> list[Job]:
    """Jobs with the same text."""
    return [topic(f"{text.rsplit(maxsplit=1)[-1][:3]}{n}", text) for n in range(number)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue whose candidate is a rule."""
    return written(tmp_path, SHADOW_BY_RULE)


@pytest.fixture
def router(redis: Any, redis_url: str, path: Path) -> Router:
    """A router that the test steps."""
    return router_of(redis, redis_url, path)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    """A catalogue whose candidate is a model."""
    return written(tmp_path, SHADOW_BY_MODEL)


@pytest.fixture
def model_router(redis: Any, redis_url: str, model_path: Path) -> Router:
    """A router that the test steps, beside a worker for the candidate's model."""
    router = router_of(redis, redis_url, model_path)
    start_worker(redis)
    router.step()
    return router


def test_a_share_is_copied_and_compared(redis: Any, router: Router, path: Path) -> None:
    """About half are drawn; the two agree on invoices and not on parcels; nothing of it is left."""
    take_in(redis, router, *many("an invoice"), *many("parcel"))
    counts = counts_of(redis, path)
    assert 20 <= counts["copied"] <= 60
    assert counts["answered:answered"] == counts["copied"] == counts["alike"] + counts["unlike"]
    assert min(counts["alike"], counts["unlike"]) > 5
    assert redis.keys("*:result:@shadow:*") == []
    assert redis.keys(KEYS.shadowing("*", "*")) == []
    assert redis.xlen(KEYS.escalations) == 0


def test_an_id_may_look_like_a_part_of_a_key(redis: Any, router: Router, path: Path) -> None:
    """Of such jobs, too, each pair is counted, and what is kept of a copy is found."""
    jobs = [topic(f"12:34:shadow:result:{n}", "parcel") for n in range(40)]
    take_in(redis, router, *jobs)
    counts = counts_of(redis, path)
    assert (
        counts["answered:answered"] == counts["copied"] == len(redis.keys(KEYS.shadowed("*"))) > 5
    )
    assert sum(Shadows(redis, KEYS).forget("default", each.id) for each in jobs) == counts["copied"]
    assert redis.keys(KEYS.shadowed("*")) == []


def test_live_results_are_as_without_it(redis: Any, router: Router) -> None:
    """Each job has its one result, of its own task, and the copies are nowhere in it."""
    take_in(redis, router, *many("parcel"))
    results = [result_of(redis, f"par{n}") for n in range(40)]
    assert {each.status for each in results} == {Status.ANSWERED}
    assert {(each.task, each.answer.label) for each in results} == {("topic", "b")}  # type: ignore[union-attr]
    assert len(redis.keys("*:result:*")) == 40
    assert redis.xlen(KEYS.dead) == 0


def test_what_waits_for_a_person_is_paired_before_that_person_answers(
    redis: Any, router: Router, path: Path
) -> None:
    """The candidate did not answer either; the live cascade's cost is known from its slip."""
    take_in(redis, router, *many("hello"))
    counts = counts_of(redis, path)
    assert counts["person:abstained"] == counts["copied"] > 5
    assert counts["live_cost"] >= 0


def test_a_repeat_is_counted_once(redis: Any, router: Router, path: Path) -> None:
    """Who submits the same job for ever is one job in the counts; a copy more counts as that."""
    take_in(redis, router, *many("parcel"))
    before = counts_of(redis, path)
    take_in(redis, router, *many("parcel"))
    after = counts_of(redis, path)
    assert after.pop("copied") - before.pop("copied") == after.pop("repeated") > 0
    assert after == before


def test_a_candidate_cannot_be_named_by_a_job(redis: Any, router: Router) -> None:
    """The refusal names the task to submit to."""
    take_in(redis, router, Job(id="x", task="next", text="an invoice"))
    result = result_of(redis, "x")
    assert result.status is Status.REFUSED
    assert result.problem is not None
    assert result.problem.message == "task: 'next' runs in shadow; submit to 'topic' in its place"


def test_what_people_may_check_is_kept(redis: Any, router: Router, path: Path) -> None:
    """Of jobs that are checked evenly, what the candidate said; for as long as a check waits."""
    take_in(redis, router, *many("parcel"))
    kept = redis.keys(KEYS.shadowed("*"))
    assert len(kept) == counts_of(redis, path)["copied"]
    assert all(0 < redis.ttl(each) <= 7 * 86_400 + 3600 for each in kept)
    said = [ShadowAnswer.model_validate_json(redis.get(each)) for each in kept]
    assert {each.answer.label for each in said if each.answer} == {"a"}  # type: ignore[union-attr]
    assert {each.text_key for each in said} == {text_key("Parcel!")}


def test_who_has_answered_before_the_copy_ended_is_counted(
    redis: Any, router: Router, path: Path
) -> None:
    """Once: what a slow candidate has wrong is not lost for that it was slow."""
    shadows = Shadows(redis, KEYS)
    person = Judgement(live=Judged.RIGHT, answer=LabelAnswer(label="b", confidence=1.0))
    for number in range(40):
        shadows.note("default", f"par{number}", person)
    take_in(redis, router, *many("parcel"))
    counts = counts_of(redis, path)
    assert counts["judged:right:wrong"] == counts["to_judge:answered"] == counts["copied"] > 5
    assert shadows.texts("next", series_of(path)) == {text_key("parcel"): "right:wrong"}
    assert redis.keys(KEYS.shadowed("*")) == []
    assert not any(shadows.join("default", f"par{number}") for number in range(40))


def test_an_id_with_two_texts_has_one_copy(redis: Any, router: Router, path: Path) -> None:
    """Both came before the first copy was taken up; no text of theirs becomes a dead letter."""
    jobs = [topic(f"par{n}", text) for n in range(20) for text in ("parcel", "a parcel")]
    submit(redis, *jobs)
    router._triage.shadowing._room = {"topic": 40}
    router._take()
    router._settle_part()
    assert redis.xlen(KEYS.escalations) == counts_of(redis, path)["copied"] <= 20
    take_in(redis, router)
    letters = [fields[b"letter"] for _, fields in redis.xrange(KEYS.dead)]
    assert letters
    assert not [each for each in letters if SHADOW.encode() in each]


@pytest.mark.parametrize("held_back", ["stopped", "alarmed"])
def test_nothing_is_compared_while_the_live_cascade_is_held_back(
    redis: Any, router: Router, path: Path, held_back: str
) -> None:
    """What it answers then is not what the catalogue has it answer."""
    plan = router._plan
    task = plan.tasks["topic"]
    alarmed = replace(task, drift=Drift(alarm="raise_threshold")).alarmed(1)
    changed = task.stopped if held_back == "stopped" else alarmed
    router._triage.serve(replace(plan, tasks={**plan.tasks, "topic": changed}))
    take_in(redis, router, *many("parcel"))
    assert counts_of(redis, path) == {}


def test_without_workers_nothing_is_copied(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """A pool that nobody works for has nothing to spare; what was drawn is counted as left out."""
    path = written(tmp_path, SHADOW_BY_MODEL)
    router = router_of(redis, redis_url, path)
    take_in(redis, router, *many("parcel"))
    counts = counts_of(redis, path)
    assert counts.keys() == {"left_out"}
    assert redis.xlen(BULK) == 0


def test_a_copy_asks_for_no_more_than_its_text(redis: Any, model_router: Router) -> None:
    """It is bulk, expires in ten minutes, and has no metadata, trace or reply channel."""
    private = {"metadata": {"person": "ann"}, "reply_to": "me", "priority": "interactive"}
    more = {"deadline": 3600.0, "traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "explain": True}
    take_in(redis, model_router, *(topic(f"a{n}", "parcel", **private, **more) for n in range(20)))
    entries = redis.xrange(BULK)
    assert 3 <= len(entries) <= 17
    for _, fields in entries:
        job = Job.model_validate_json(fields[b"job"])
        assert job == Job(id=job.id, task="next", text="parcel")
        assert (fields[b"producer"], b"ann" in fields[b"slip"]) == (SHADOW.encode(), False)


def test_copies_have_a_bound(redis: Any, model_router: Router, model_path: Path) -> None:
    """Of a candidate that never answers there are only so many; the live jobs are answered all."""
    for part in range(0, 400, 50):
        submit(redis, *many("parcel", 400)[part : part + 50])
        model_router._take()
        model_router._triage.shadowing._room = {"topic": 50}
        model_router._settle_part()
    counts = counts_of(redis, model_path)
    assert counts["copied"] == MAX_COPIES
    assert counts["left_out"] > 50
    assert len(redis.keys(OWN.result("*"))) == 400


@pytest.mark.parametrize(
    ("pool", "waiting", "room"),
    [
        (PoolState({BULK: StreamState(3, 3)}, num_workers=1), {}, 13),
        (PoolState({BULK: StreamState(4, 3)}, num_workers=1), {}, 0),
        (PoolState({BULK: StreamState(17, 17)}, num_workers=1), {}, 0),
        (PoolState({BULK: StreamState(17, 17)}, num_workers=3), {}, 31),
        (PoolState({BULK: StreamState()}, num_workers=0), {}, 0),
        (PoolState({BULK: StreamState()}, num_workers=1), {BULK: {"x": 1}}, 0),
    ],
)
def test_only_what_nobody_waits_for_is_spare(
    redis: Any, redis_url: str, tmp_path: Path, pool: PoolState, waiting: Any, room: int
) -> None:
    """Nothing unread, no more than a batch a worker in hand, nobody waiting for room."""
    router = router_of(redis, redis_url, written(tmp_path, SHADOW_BY_MODEL))
    shadowing = router._triage.shadowing
    shadowing.look(FleetState({}, {"cpu": pool}, waiting))
    assert shadowing._room == {"topic": room}


def test_a_broken_candidate_harms_nobody(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """Its model is not there: the router serves the live tasks, at its start as well."""
    missing = SHADOW_BY_MODEL.replace("minilm", "gone")
    path = written(tmp_path, missing)
    path.write_text(
        path.read_text().replace("models:\n", "models:\n  gone: {source: ./gone, tier: linear}\n")
    )
    router = router_of(redis, redis_url, path)
    take_in(redis, router, *many("parcel"))
    assert len(redis.keys(OWN.result("*"))) == 40
    assert counts_of(redis, path) == {}


def test_a_copy_whose_candidate_has_left_says_nothing_of_it(
    redis: Any, model_router: Router, model_path: Path
) -> None:
    """It ends without a letter; once the candidate is back, it has failed in nothing."""
    submit(redis, *many("parcel"))
    model_router._take()
    model_router._settle_part()
    assert redis.xlen(KEYS.escalations) > 0
    model_path.write_text(LIVE)
    model_router.reload()
    for _ in range(3):
        model_router.step()
    assert redis.xlen(KEYS.escalations) == redis.xlen(KEYS.dead) == 0
    model_path.write_text(LIVE + SHADOW_BY_MODEL)
    model_router.reload()
    model_router._triage.shadowing.count_pairs()
    counts = counts_of(redis, model_path)
    # How many are drawn is chance, and so is whether the pool had room for all of them.
    counts.pop("left_out", 0)
    assert counts.keys() == {"copied", "dropped"}
    assert counts["dropped"] == counts["copied"] > 5


def test_a_copy_is_cancelled_wherever_it_waits(redis: Any, model_router: Router) -> None:
    """Its text is gone at once, and of it nothing is left but the others."""
    take_in(redis, model_router, *many("wombat parcel"))
    num_copies = redis.xlen(BULK)
    jobs = [f"par{n}" for n in range(40)]
    shadows = Shadows(redis, KEYS)
    for job_id in jobs:
        if shadows.is_under_way("default", job_id):
            cancel_copy(Slice(redis, KEYS), "default", job_id)
        shadows.forget("default", job_id)
    assert (num_copies > 3, redis.xlen(BULK)) == (True, 0)
    assert redis.keys("*@shadow*") == []
    assert redis.keys(KEYS.shadowing("*", "*")) == []


def test_what_another_cascade_was_asked_counts_for_none(
    redis: Any, model_router: Router, model_path: Path
) -> None:
    """The candidate changes while it has copies: of these nothing is counted for the new one."""
    take_in(redis, model_router, *many("parcel"))
    assert redis.zcard(redis.keys(KEYS.shadowing("*", "*"))[0]) > 0
    model_path.write_text(LIVE + SHADOW_BY_RULE)
    model_router.reload()
    take_in(redis, model_router, *many("an invoice"))
    counts = counts_of(redis, model_path)
    assert counts["copied"] == counts["answered:answered"] == counts["alike"]


def test_where_redis_refuses_copies_live_jobs_are_served(
    redis: Any, router: Router, path: Path
) -> None:
    """A key of theirs is of another type, say, or Redis's rules are those of the version before."""
    order = shadow_order(load_catalogue(path), "topic")
    assert order is not None
    redis.set(KEYS.shadowing(order.candidate, order.series), "no list", ex=60)
    take_in(redis, router, *many("parcel"))
    assert len(redis.keys(OWN.result("*"))) == 40
    assert counts_of(redis, path) == {}


def test_of_two_routers_that_see_a_pair_one_counts_it(
    redis: Any, model_router: Router, model_path: Path
) -> None:
    """Whatever each has read of it before."""
    take_in(redis, model_router, *many("parcel"))
    order = shadow_order(load_catalogue(model_path), "topic")
    assert order is not None
    shadows, at = Shadows(redis, KEYS), (order.candidate, order.series)
    pair = shadows.open_pairs(*at)[0]
    assert [shadows.count(*at, pair, {"alike": 1}) for _ in range(2)] == [True, False]
    assert shadows.counts(*at)["alike"] == 1
