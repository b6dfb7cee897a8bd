"""A catalogue that changes while jobs are under way. No worker runs here."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.routers import (
    BULK,
    CATALOGUE,
    KEYS,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)

from smallfirst.jobs import Job, Priority, Status
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip

#: A candidate for the place of `topic` that is sound, and one for that of `ids` that is not.
SHADOWS = """
  sound:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{rule: {patterns: [{label: a, pattern: one}]}}]
    shadow: {of: topic, share: 0.5}
  broken:
    kind: tag
    labels: {card: a card}
    cascade: [{rule: {find: [card], patterns: [{label: card, pattern: "(?=a)"}]}, accept: always}]
    shadow: {of: ids, share: 0.5}
"""
ONLY_RULE = 'cascade: [{rule: {patterns: [{label: a, pattern: "never"}]}}]'


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


def test_a_broken_candidate_leaves_live_tasks_and_other_candidates_served(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Its rule does not compile; which one it is, is said in the log, by its name."""
    catalogue.write_text(CATALOGUE + SHADOWS)
    with capture_logs() as said:
        router = router_of(redis, redis_url, catalogue)
    assert set(router._plan.tasks) == {"ids", "topic", "sound"}
    assert set(router._plan.shadows) == {"topic"}
    [warning] = [each for each in said if each["event"] == "shadow.left_out"]
    assert (warning["candidate"], warning["task"]) == ("broken", "ids")
    assert "tasks.broken: card: " in warning["error"]
