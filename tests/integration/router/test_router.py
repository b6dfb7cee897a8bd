"""The router on a real Redis: triage, dispatch, recovery, reload. No worker runs here."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.notices import listening
from tests.support.routers import (
    BULK,
    KEYS,
    LOST_MS,
    OWN,
    published,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)

from smallfirst.acceptance import Acceptance
from smallfirst.answers import SpansAnswer
from smallfirst.broker.celery_app import make_app
from smallfirst.broker.queues import queue_of
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Job, Priority, Status, Tier
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.lives import DEAD_AFTER
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip, StepRequest
from smallfirst.ledger.slices import slice_of
from smallfirst.settings import Settings


def test_a_rule_answers_in_the_router(redis: Any, redis_url: str, catalogue: Path) -> None:
    """A job that a rule can answer never leaves triage."""
    submit(redis, Job(id="a1", task="ids", text="4111 1111 1111 1111"))
    router_of(redis, redis_url, catalogue).step()
    result = result_of(redis, "a1")
    assert (result.status, result.tier) == (Status.ANSWERED, Tier.RULE)
    assert redis.xlen(OWN.jobs) == redis.xlen(BULK) == 0


def test_every_address_of_a_long_text_is_answered(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A rule answers with all the spans of a text, however many."""
    text = "".join(f"user{number}@example.com\n" for number in range(1_500))
    submit(redis, Job(id="a1", task="ids", text=text))
    router_of(redis, redis_url, of_all_spans(catalogue)).step()
    result = result_of(redis, "a1")
    assert isinstance(result.answer, SpansAnswer)
    assert (result.status, len(result.answer.spans)) == (Status.ANSWERED, 1_500)


def test_a_bound_of_a_rule_is_told_to_the_producer(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A text of more spans than are looked at is not answered, and its trail says which bound."""
    submit(redis, Job(id="a1", task="ids", text="x " * 20_001))
    router_of(redis, redis_url, of_all_spans(catalogue)).step()
    result = result_of(redis, "a1")
    assert (result.status, result.answer) == (Status.ABSTAINED, None)
    assert [attempt.reason for attempt in result.trail] == [
        "pattern 'email' has more than 20000 matches"
    ]


def test_a_pattern_that_never_matches_is_warned_of(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router that takes up a pattern with a border that RE2 does not see says what to write."""
    with capture_logs() as logs:
        router_of(redis, redis_url, of_all_spans(catalogue, "\\\\bÄnderung"))
    [warning] = [log for log in logs if log["event"] == "rule.never_matches"]
    assert warning["where"].startswith("tasks.ids.cascade[0].rule.patterns[0]")
    assert "(?P<span>...)" in warning["remedy"]


def of_all_spans(catalogue: Path, pattern: str = "x") -> Path:
    """Let the rules' task find addresses too, and a pattern, whether there is one or not."""
    rule = f'{{find: [email], patterns: [{{label: email, pattern: "{pattern}"}}]}}'
    task = f"{{kind: tag, labels: {{email: a}}, cascade: [{{rule: {rule}, accept: always}}]}}"
    head, _, rest = catalogue.read_text().partition("tasks:\n")
    others = rest.replace("  ids:", "  others:")
    catalogue.write_text(f"{head}tasks:\n  ids: {task}\n{others}")
    return catalogue


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


def test_a_misspelt_task_is_told_what_was_meant(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Who asks for a task that there is not is told the one with the nearest name."""
    submit(redis, Job(id="bad", task="topik", text="x"))

    router_of(redis, redis_url, catalogue).step()

    problem = result_of(redis, "bad").problem
    assert problem is not None
    assert problem.message == "task: the catalogue has no task 'topik', did you mean 'topic'?"


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
    redis.xadd(OWN.jobs, {"job": topic("a1", deadline=30).model_dump_json()}, id=long_ago)
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


def test_one_batch_at_most_waits_for_a_worker(redis: Any, redis_url: str, catalogue: Path) -> None:
    """A batch is formed when somebody is about to be free, not before."""
    start_worker(redis)
    submit(redis, *(topic(f"a{n}", f"mail {n}") for n in range(20)))
    router = router_of(redis, redis_url, catalogue)
    for _ in range(3):
        router.step()
    assert len(published(redis)) == 1
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


def test_an_interactive_job_passes_the_batches_that_wait(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Beyond the bound one urgent batch for each worker is published, and taken first."""
    start_worker(redis)
    router = router_of(redis, redis_url, catalogue)
    submit(redis, *(topic(f"a{n}", f"mail {n}") for n in range(20)))
    router.step()
    submit(redis, topic("now", priority="interactive"))
    router.step()
    submit(redis, topic("soon", priority="interactive"))
    router.step()
    counts = {priority: redis.llen(queue) for priority, queue in KEYS.queues("cpu").items()}
    assert counts == {Priority.INTERACTIVE: 1, Priority.BULK: 1}
    app = make_app(Settings(redis_url=redis_url), role="worker", pool="cpu")
    with app.connection_for_read() as connection, connection.SimpleQueue(queue_of("cpu")) as queue:
        taken = [list(queue.get(timeout=5).payload[0][0]["entries"]) for _ in range(2)]
    assert taken == [["interactive"], ["bulk"]]


def test_a_job_of_another_slice_is_refused(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Its client would look for the result where it is not; it is told which slice is right."""
    mine = next(f"a{n}" for n in range(99) if slice_of(f"a{n}", 2) == 0)
    other = next(f"a{n}" for n in range(99) if slice_of(f"a{n}", 2) == 1)
    router = router_of(redis, redis_url, catalogue, slices=2)
    submit(redis, topic(mine), topic(other))
    router.step()
    assert [fields[b"id"] for _, fields in redis.xrange(BULK)] == [mine.encode()]
    refused = result_of(redis, other)
    assert refused.problem is not None
    assert (refused.status, refused.problem.code) == (Status.REFUSED, "wrong_slice")
    assert "is in slice 1 of 2, not in slice 0" in refused.problem.message


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
    Ledger(redis, KEYS, "dead").read([OWN.jobs], ROUTER_GROUP, count=1)
    [(entry, _)] = redis.xrange(OWN.jobs)
    redis.xclaim(OWN.jobs, ROUTER_GROUP, "dead", 0, [entry], idle=5000, justid=True)
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
        worker.claim(BULK, [entry.decode()])
        redis.xclaim(BULK, POOL_GROUP, "w1", 0, [entry], idle=60_000, justid=True)
        redis.delete(KEYS.queue("cpu", Priority.BULK))
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
    redis.delete(KEYS.queue("cpu", Priority.BULK))
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
    redis.delete(KEYS.queue("cpu", Priority.BULK))
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
    submit(redis, *(topic(f"a{n}", f"mail {n}") for n in range(20)))
    first.step()
    first.close()
    second.recover()
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    second.step()
    assert len(published(redis)) == 1


def test_cancelling_a_parked_job_ends_it(redis: Any, redis_url: str, catalogue: Path) -> None:
    """The producer reads that it was cancelled, and no worker gets it."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    router.step()
    redis.xadd(OWN.jobs, {"cancel": "a1"})
    router.step()
    assert result_of(redis, "a1").status is Status.CANCELLED
    assert redis.xlen(BULK) == 0


def test_an_entry_with_a_job_and_a_cancellation_is_refused(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The job's producer is told why, nothing is cancelled, and the job can be replayed."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    redis.xadd(OWN.jobs, {"job": topic("a2", reply_to="me").model_dump_json(), "cancel": "a1"})
    with listening(redis) as notices:
        router.step()
        assert notices.of("me") == ["a2"]
    refused = result_of(redis, "a2")
    assert refused.problem is not None
    assert (refused.status, refused.problem.code) == (Status.REFUSED, "invalid")
    assert redis.get(OWN.result("a1")) is None
    [(_, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).id == "a2"
