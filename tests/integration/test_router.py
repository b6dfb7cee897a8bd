"""The router on a real Redis: triage, dispatch, recovery, reload. No worker runs here."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.notices import listening
from tests.support.routers import (
    BULK,
    CATALOGUE,
    KEYS,
    LOST_MS,
    published,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Job, Priority, Status, Tier
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP
from smallfirst.ledger.ledger import DEAD_AFTER, Ledger
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip, StepRequest
from smallfirst_router.router import Router

ONLY_RULE = 'cascade: [{rule: {patterns: [{label: a, pattern: "never"}]}}]'


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue with a task for rules and a task for a model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


def test_a_rule_answers_in_the_router(redis: Any, redis_url: str, catalogue: Path) -> None:
    """A job that a rule can answer never leaves triage."""
    submit(redis, Job(id="a1", task="ids", text="4111 1111 1111 1111"))
    router_of(redis, redis_url, catalogue).step()
    result = result_of(redis, "a1")
    assert (result.status, result.tier) == (Status.ANSWERED, Tier.RULE)
    assert redis.xlen(KEYS.jobs) == redis.xlen(BULK) == 0


def test_a_models_job_waits_on_its_pools_backlog(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """It says which step is next and all that its worker needs, and the text goes with it."""
    submit(redis, topic("a1"))
    router_of(redis, redis_url, catalogue).step()
    [(_, fields)] = redis.xrange(BULK)
    slip = RoutingSlip.model_validate_json(fields[b"slip"])
    assert slip.request == StepRequest(
        step=0,
        model="minilm",
        pool="cpu",
        acceptance=Acceptance(threshold=0.8),
        catalogue=CatalogueWatch(catalogue).revision,
    )
    assert Job.model_validate_json(fields[b"job"]) == topic("a1")


BAD = {
    "not_json": '{"id": "bad", "task": "topic", "text": "x',
    "invalid": '{"id": "bad", "task": "topic", "text": 5}',
    "unknown_task": '{"id": "bad", "task": "nope", "text": "x"}',
    "too_long": json.dumps({"id": "bad", "task": "topic", "text": "x" * 101}),
    "too_large": json.dumps({"id": "bad", "task": "topic", "text": "x" * 5000}),
}


@pytest.mark.parametrize("code", BAD)
def test_a_refusal_reaches_the_producer_and_the_dead_letters(
    redis: Any, redis_url: str, catalogue: Path, code: str
) -> None:
    """Bad input has its result and its letter, and the next job is answered."""
    submit(redis, BAD[code], Job(id="good", task="ids", text="nothing"))

    router_of(redis, redis_url, catalogue, max_job_bytes=2000).step()

    refused = result_of(redis, "bad")
    assert refused.status is Status.REFUSED
    assert refused.problem is not None
    assert refused.problem.code == code
    [(entry, fields)] = redis.xrange(KEYS.dead)
    letter = DeadLetter.model_validate_json(fields[b"letter"])
    assert (letter.reason, letter.size, letter.id) == (code, len(BAD[code]), "bad")
    raw = redis.get(KEYS.dead_raw(entry.decode()))
    assert raw == BAD[code][:2000].encode()
    assert result_of(redis, "good").status is Status.ANSWERED


def test_a_deadline_that_passed_before_triage_expires_the_job(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A job that waited too long in the stream is answered as expired, and parked nowhere."""
    long_ago = f"{Ledger(redis, KEYS, 'x').now_ms() - 60_000}-0"
    redis.xadd(KEYS.jobs, {"job": topic("a1", deadline=30).model_dump_json()}, id=long_ago)
    router_of(redis, redis_url, catalogue).step()
    assert result_of(redis, "a1").status is Status.EXPIRED
    assert redis.xlen(BULK) == 0


def test_nothing_is_published_while_no_worker_lives(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """An outage of a pool leaves its jobs on the backlog and burns no start."""
    submit(redis, topic("a1"))
    router = router_of(redis, redis_url, catalogue)
    router.step()
    assert published(redis) == []
    start_worker(redis)
    router.step()
    assert len(published(redis)) == 1


def test_a_message_tells_ids_and_size_and_no_text(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """What Celery and Flower see is how many jobs of which task, and how large."""
    start_worker(redis)
    submit(redis, topic("a1", "canary " * 10), topic("a2", "canary"))
    router_of(redis, redis_url, catalogue).step()
    [message] = published(redis)
    headers = message["headers"]
    assert isinstance(headers, dict)
    assert headers["task"] == "slm.minilm"
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("2 jobs, 76 B", "topic 2")
    assert "canary" not in json.dumps(message)


def test_two_batches_at_most_wait_for_a_worker(redis: Any, redis_url: str, catalogue: Path) -> None:
    """A batch is formed when somebody is about to be free, not before."""
    start_worker(redis)
    submit(redis, *(topic(f"a{n}") for n in range(20)))
    router = router_of(redis, redis_url, catalogue)
    for _ in range(3):
        router.step()
    assert len(published(redis)) == 2
    held = redis.xpending(BULK, POOL_GROUP)
    assert held["pending"] == 20


def test_an_interactive_job_is_in_the_next_batch(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """It overtakes a backlog of bulk jobs that were read before it."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, *(topic(f"a{n}") for n in range(20)))
    router.step()
    submit(redis, topic("now", priority="interactive"))
    router.step()
    start_worker(redis)
    router.step()
    first = published(redis)[0]["headers"]
    assert isinstance(first, dict)
    [entry] = redis.xrange(KEYS.backlog("cpu", Priority.INTERACTIVE))
    pending = redis.xpending_range(
        KEYS.backlog("cpu", Priority.INTERACTIVE), POOL_GROUP, entry[0], entry[0], 1
    )
    assert pending[0]["consumer"] == QUEUE_CONSUMER.encode()


def test_replicas_share_the_stream(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Each submission is triaged by one of them."""
    routers = [router_of(redis, redis_url, catalogue, f"r{n}", read_count=3) for n in range(3)]
    submit(redis, *(topic(f"a{n}") for n in range(9)))
    for router in routers:
        router.step()
    assert sorted(fields[b"id"] for _, fields in redis.xrange(BULK)) == [
        f"a{n}".encode() for n in range(9)
    ]


def test_what_a_dead_router_had_read_is_triaged_by_another(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """An entry that was read and not settled is taken over when its lease is out."""
    router = router_of(redis, redis_url, catalogue, lease_seconds=1)
    submit(redis, topic("a1"))
    Ledger(redis, KEYS, "dead").read([KEYS.jobs], ROUTER_GROUP, count=1)
    [(entry, _)] = redis.xrange(KEYS.jobs)
    redis.xclaim(KEYS.jobs, ROUTER_GROUP, "dead", 0, [entry], idle=5000, justid=True)
    router.step()
    assert redis.xlen(BULK) == 1


def test_a_job_that_keeps_ending_its_workers_is_a_dead_letter(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """After its last start it ends as failed, with the reason, and can be looked at."""
    router = router_of(redis, redis_url, catalogue, max_starts=2)
    worker = start_worker(redis)
    submit(redis, topic("a1"))
    for _ in range(2):
        router.step()
        [(entry, _)] = redis.xrange(BULK)
        worker.claim(BULK, [entry.decode()], timedelta(0))
        redis.xclaim(BULK, POOL_GROUP, "w1", 0, [entry], idle=60_000, justid=True)
        redis.delete(KEYS.queue("cpu"))
        router.recover()
    result = result_of(redis, "a1")
    assert result.status is Status.FAILED
    assert result.problem is not None
    assert result.problem.code == "poison"
    [(_, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).reason == "poison"
    assert redis.xlen(BULK) == 0


def test_a_lost_message_is_published_again(redis: Any, redis_url: str, catalogue: Path) -> None:
    """The queue is empty and the entries are unclaimed: the message is gone, the job is not."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, _)] = redis.xrange(BULK)
    redis.delete(KEYS.queue("cpu"))
    # Between the lease and the longer patience, far from both: idle time is told by Redis's clock,
    # which a machine may set back by a second between two commands.
    redis.xclaim(BULK, POOL_GROUP, QUEUE_CONSUMER, 0, [entry], idle=LOST_MS, justid=True)
    router.recover()
    start_worker(redis)
    router.step()
    assert len(published(redis)) == 1


def test_a_message_that_died_with_its_worker_is_published_again(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The dead worker's Celery held it unstarted, beside one that a living worker holds."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, _)] = redis.xrange(BULK)
    redis.delete(KEYS.queue("cpu"))
    redis.hset(KEYS.unacked("cpu"), mapping={"tag-1": "{}", "tag-2": "{}"})
    redis.xclaim(BULK, POOL_GROUP, QUEUE_CONSUMER, 0, [entry], idle=LOST_MS, justid=True)
    router.recover()
    router.step()
    assert published(redis) == []

    silent_ms = round(DEAD_AFTER.total_seconds() * 1000) + 1000
    redis.zadd(KEYS.workers("cpu"), {"w1": Ledger(redis, KEYS, "x").now_ms() - silent_ms})
    start_worker(redis, "w2")
    router.recover()
    router.step()
    assert len(published(redis)) == 1
    assert redis.zrange(KEYS.workers("cpu"), 0, -1) == [b"w2"]


def test_a_message_that_waits_its_turn_is_not_repeated(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A slow pool is not sent the same batch twice."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, _)] = redis.xrange(BULK)
    redis.xclaim(BULK, POOL_GROUP, QUEUE_CONSUMER, 0, [entry], idle=LOST_MS, justid=True)
    router.recover()
    router.step()
    assert len(published(redis)) == 1


def test_a_router_that_stops_hands_back_what_it_held(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Its peers have the jobs at once, without waiting for a lease."""
    first = router_of(redis, redis_url, catalogue, "r1")
    second = router_of(redis, redis_url, catalogue, "r2")
    start_worker(redis)
    submit(redis, *(topic(f"a{n}") for n in range(20)))
    first.step()
    first.close()
    second.recover()
    redis.delete(KEYS.queue("cpu"))
    second.step()
    assert len(published(redis)) == 2


def test_a_changed_catalogue_is_taken_up(redis: Any, redis_url: str, catalogue: Path) -> None:
    """A task that was added is served without a restart."""
    router = router_of(redis, redis_url, catalogue)
    added = "  more:\n    kind: tag\n    labels: {ssn: n}\n    cascade: [{rule: {find: [ssn]}}]\n"
    catalogue.write_text(CATALOGUE + added)
    router.reload()
    submit(redis, Job(id="a1", task="more", text="my ssn is 536-22-8741"))
    router.step()
    assert result_of(redis, "a1").status is Status.ANSWERED


@pytest.mark.parametrize(
    "wrong", ["tasks: [", CATALOGUE.replace("50M", "1M"), CATALOGUE.replace("[card]", "[crad]")]
)
def test_a_wrong_catalogue_is_not_taken_up(
    redis: Any, redis_url: str, catalogue: Path, wrong: str
) -> None:
    """The old one stays in force, whether the file, a model's place or a rule is wrong."""
    router = router_of(redis, redis_url, catalogue)
    catalogue.write_text(wrong)
    router.reload()
    submit(redis, Job(id="a1", task="ids", text="4111 1111 1111 1111"))
    router.step()
    assert result_of(redis, "a1").status is Status.ANSWERED


def test_cancelling_a_parked_job_ends_it(redis: Any, redis_url: str, catalogue: Path) -> None:
    """The producer reads that it was cancelled, and no worker gets it."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    router.step()
    redis.xadd(KEYS.jobs, {"cancel": "a1"})
    router.step()
    assert result_of(redis, "a1").status is Status.CANCELLED
    assert redis.xlen(BULK) == 0


def test_an_entry_with_a_job_and_a_cancellation_is_refused(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The job's producer is told why, nothing is cancelled, and the job can be replayed."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    redis.xadd(KEYS.jobs, {"job": topic("a2", reply_to="me").model_dump_json(), "cancel": "a1"})
    with listening(redis) as notices:
        router.step()
        assert notices.of("me") == ["a2"]
    refused = result_of(redis, "a2")
    assert refused.problem is not None
    assert (refused.status, refused.problem.code) == (Status.REFUSED, "invalid")
    assert redis.get(KEYS.result("a1")) is None
    [(_, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).id == "a2"


def test_a_job_whose_task_has_left_the_catalogue_fails_and_can_be_replayed(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Parked under a name that is gone: no model failed, and nobody is left to ask."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    router.step()
    catalogue.write_text(CATALOGUE.replace("  topic:", "  renamed:"))
    router.reload()
    start_worker(redis)
    router.step()  # dispatch finds it misplaced
    router.step()  # triage finds no task
    result = result_of(redis, "a1")
    assert result.problem is not None
    assert (result.status, result.problem.code) == (Status.FAILED, "unknown_task")
    assert "'topic'" in result.problem.message
    [(entry, fields)] = redis.xrange(KEYS.dead)
    letter = DeadLetter.model_validate_json(fields[b"letter"])
    assert (letter.id, letter.reason, letter.is_refusal) == ("a1", "unknown_task", False)
    assert redis.get(KEYS.dead_raw(entry.decode())) == topic("a1").model_dump_json().encode()


def in_vain(redis: Any, router: Router, worker: Ledger, lease: timedelta) -> bool:
    """Have one round, in which a worker starts what it gets and gives it back; whether it did."""
    router.step()
    [(entry, _)] = redis.xrange(BULK) or [(b"", {})]
    claimed = worker.claim(BULK, [entry.decode()], lease)[1] if entry else []
    starts = {each.entry: each.starts for each in claimed}
    worker.give_back(BULK, starts, lease, is_undone=False)
    redis.delete(KEYS.queue("cpu"))
    router.recover()
    return bool(claimed)


def test_what_no_worker_can_read_ends_after_so_many_starts(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """While the router can, a newer worker may come; the letter says what was the matter."""
    router = router_of(redis, redis_url, catalogue)
    worker = start_worker(redis, str(Holder("cpu", "host", 7, "f00")))
    worker.note_end("host/7", "could not read it")
    submit(redis, topic("a1"))
    router.step()
    num_starts = sum(in_vain(redis, router, worker, timedelta(seconds=6)) for _ in range(8))
    assert num_starts == 5
    [(_, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).detail.endswith("could not read it")
    assert result_of(redis, "a1").status is Status.FAILED


def test_what_nobody_can_read_ends_when_it_comes_back(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router reads the slip alone, until a worker has given the job back."""
    router = router_of(redis, redis_url, catalogue)
    worker = start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, fields)] = redis.xrange(BULK)
    redis.xdel(BULK, entry)
    redis.xack(BULK, POOL_GROUP, entry)
    redis.xadd(BULK, {**fields, b"job": b'{"id": "a1", "unheard_of": 1}'})
    assert [in_vain(redis, router, worker, timedelta(seconds=6)) for _ in range(3)] == [
        True,
        False,
        False,
    ]
    problem = result_of(redis, "a1").problem
    assert problem is not None
    assert problem.code == "unreadable"
    assert (redis.xlen(KEYS.dead), redis.xlen(BULK)) == (1, 0)


def test_jobs_follow_a_model_to_another_pool(redis: Any, redis_url: str, catalogue: Path) -> None:
    """What waits for a pool that is gone is asked again, of wherever the model runs now."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"), topic("a2"))
    router.step()
    catalogue.write_text(CATALOGUE.replace("  cpu: {tier", "  other: {tier"))
    router.reload()
    for _ in range(2):
        router.recover()
        router.step()
    moved = redis.xrange(KEYS.backlog("other", Priority.BULK))
    assert sorted(fields[b"id"] for _, fields in moved) == [b"a1", b"a2"]
    assert {RoutingSlip.model_validate_json(fields[b"slip"]).asked.pool for _, fields in moved} == {
        "other"
    }
    assert redis.xlen(BULK) == 0


def test_jobs_of_a_model_that_is_gone_go_on_to_what_is_left(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router that starts after the change finds them too; with no step left they abstain."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    router.step()
    router.close()
    without = CATALOGUE.replace("cascade: [{model: minilm, accept: 0.8}]", ONLY_RULE)
    catalogue.write_text(without.replace("  cpu: {tier", "  other: {tier"))
    successor = router_of(redis, redis_url, catalogue, "r2")
    successor.recover()
    successor.step()
    assert result_of(redis, "a1").status is Status.ABSTAINED


def test_jobs_of_a_task_that_asks_another_model_are_planned_again(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """No worker knows a task of a catalogue before: what waits goes by the one in force."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    router.step()
    models = '{other: {source: "bundled:minilm"}, minilm: {source: "bundled:minilm"}}'
    old = 'models:\n  minilm: {source: "bundled:minilm"}'
    text = CATALOGUE.replace(old, f"models: {models}").replace("{model: minilm", "{model: other")
    catalogue.write_text(text)
    router.reload()
    start_worker(redis)
    router.step()  # dispatch finds it misplaced
    router.step()  # triage plans it again
    [(_, fields)] = redis.xrange(BULK)
    slip = RoutingSlip.model_validate_json(fields[b"slip"])
    assert (slip.asked.model, slip.asked.step, slip.trail) == ("other", 0, ())


def test_what_the_fleet_cannot_read_stops_nobody(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Entries of its own streams that are none end as dead letters; the job beside them goes on."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    redis.xadd(KEYS.escalations, {"id": "a1", "job": "{", "slip": "{}"})
    redis.xadd(BULK, {"id": "a2", "slip": "no"})
    redis.xadd(BULK, {"id": "no id at all", "job": "{}"})
    redis.xadd(BULK, {"rubbish": "x"})
    submit(redis, topic("a3"))
    for _ in range(3):
        router.step()

    for job_id in ("a1", "a2"):
        result = result_of(redis, job_id)
        assert result.problem is not None
        assert (result.status, result.problem.code) == (Status.FAILED, "unreadable")
    letters = [DeadLetter.model_validate_json(f[b"letter"]) for _, f in redis.xrange(KEYS.dead)]
    assert [letter.reason for letter in letters] == ["unreadable"] * 4
    assert len(published(redis)) == 1
    assert redis.xlen(KEYS.escalations) == 0
    assert redis.xlen(BULK) == 1


def test_a_note_of_a_newer_version_is_read(redis: Any, redis_url: str, catalogue: Path) -> None:
    """While a new version is rolled out, what it adds is no reason to fail a job."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, fields)] = redis.xrange(BULK)
    redis.xack(BULK, POOL_GROUP, entry)
    redis.xdel(BULK, entry)
    redis.delete(KEYS.queue("cpu"))
    newer = {**json.loads(fields[b"slip"]), "mood": "merry"}
    redis.xadd(BULK, {**fields, b"slip": json.dumps(newer)})
    router.step()
    assert len(published(redis)) == 1
    assert redis.xlen(KEYS.dead) == 0
