"""What people answer at the desk says of a candidate in shadow, too; each answer once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.audits import KEYS, order_of, settled
from tests.support.desks import Browser, RunningDesk, folder_for, running_desk
from tests.support.reviews import wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Job
from smallfirst.ledger.shadows import Shadows
from smallfirst.local.redis_server import RedisServer
from smallfirst.shadow.copies import copy_id
from smallfirst.shadow.pairing import ShadowAnswer

pytestmark = pytest.mark.timeout(120)
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade: [{rule: {patterns: [{label: a, pattern: text}]}}, {person: {wait: 1h}}]
    audit: {share: 1.0, second_look: false}
  topic-candidate:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade: [{rule: {patterns: [{label: b, pattern: text}]}}]
    shadow: {of: topic}
"""
BLIND, SERIES = "@blind.topic", "f" * 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the desk."""
    users = {"ann": ("topic",)}
    return folder_for(tmp_path_factory.mktemp("candidates"), users, catalogue=CATALOGUE)


@pytest.fixture(scope="module")
def desk(redis_server: RedisServer, folder: Path) -> Iterator[RunningDesk]:
    """A desk whose decisions are final at once."""
    with running_desk(redis_server.url, folder, desk_undo_seconds=0) as desk:
        yield desk


def keep(redis: Any, job_id: str, label: str | None) -> None:
    """Keep what a candidate said of a job, as a router does."""
    answer = None if label is None else LabelAnswer(label=label, confidence=0.9)
    said = ShadowAnswer(
        candidate="topic-candidate", series=SERIES, text_key="0" * 16, answer=answer
    )
    redis.set(KEYS.shadowed(copy_id("default", job_id)), said.to_json(), ex=600)


def counts_of(redis: Any) -> dict[str, float]:
    """What is counted of the candidate."""
    return dict(Shadows(redis, KEYS).counts("topic-candidate", SERIES))


@pytest.mark.parametrize(
    ("live", "candidate", "cell"),
    [
        ("a", "a", "judged:right:right"),
        ("a", "b", "judged:right:wrong"),
        ("b", "a", "judged:wrong:right"),
        ("b", None, "judged:wrong:none"),
    ],
)
def test_a_blind_check_judges_both(
    redis: Any, ann: Browser, wait_until: WaitUntil, live: str, candidate: str, cell: str
) -> None:
    """The person sees neither; what the candidate said is taken, and gone."""
    settled(redis, 1, order_of(), label=live)
    keep(redis, "j0", candidate)
    ann.begin(BLIND)
    assert "candidate" not in ann.html
    ann.answer(label="a")
    wait_until(lambda: counts_of(redis), description="the answer is counted")
    assert counts_of(redis) == {cell: 1.0}
    assert redis.keys(KEYS.shadowed("*")) == []


@pytest.mark.parametrize(
    ("candidate", "cell"),
    [("a", "judged:none:right"), ("c", "judged:none:wrong"), (None, "judged:none:none")],
)
def test_a_job_that_a_person_answers_judges_the_candidate(
    redis: Any, ann: Browser, wait_until: WaitUntil, candidate: str, cell: str
) -> None:
    """No machine's answer stood in the live cascade."""
    wait_for_people(redis, Job(id="p0", task="topic", text="a person's"))
    keep(redis, "p0", candidate)
    ann.begin("topic")
    ann.answer(label="a")
    wait_until(lambda: counts_of(redis), description="the answer is counted")
    assert counts_of(redis) == {cell: 1.0}


def test_what_nobody_shadowed_is_counted_for_nobody(
    redis: Any, ann: Browser, wait_until: WaitUntil
) -> None:
    """And what is kept unreadably stops no desk."""
    settled(redis, 2, order_of(), label="a")
    redis.set(KEYS.shadowed(copy_id("default", "j1")), b"{", ex=600)
    ann.begin(BLIND)
    ann.answer(label="a")
    ann.answer(label="a")
    wait_until(
        lambda: redis.xlen(KEYS.audited("topic")) == 2, description="both checks are recorded"
    )
    assert counts_of(redis) == {}
