"""Blind checks by keys alone: the same keys as for any job, and none that takes a suggestion."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser.conftest import OpenScreen
from tests.support.audits import KEYS, settled
from tests.support.browsers import Screen
from tests.support.desks import RunningDesk, folder_for, running_desk
from tests.support.waiting import WaitUntil

from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.local.redis_server import RedisServer
from smallfirst.people import checks_of

pytestmark = pytest.mark.timeout(300)
BLIND = checks_of("topic")
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade: [{rule: {patterns: [{label: a, pattern: text}]}}]
    audit: 1.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the desk."""
    folder = tmp_path_factory.mktemp("blind")
    return folder_for(folder, {"ann": ("topic",)}, catalogue=CATALOGUE)


@pytest.fixture(scope="module")
def desk(redis_server: RedisServer, folder: Path) -> Iterator[RunningDesk]:
    """A desk whose decisions may be taken back for two seconds."""
    with running_desk(redis_server.url, folder, desk_undo_seconds=2) as desk:
        yield desk


@pytest.fixture
def ann(redis: Any, folder: Path, screen: OpenScreen) -> Screen:
    """Somebody who is about to check three answers."""
    catalogue = load_catalogue(folder / "catalogue.yaml")
    settled(redis, 3, audit_order(catalogue.tasks["topic"], catalogue.models))
    return screen("ann")


def text_of(ann: Screen) -> str:
    """The text that is shown."""
    return ann.page.inner_text("#text")


def num_answered(redis: Any) -> int:
    """How many checks have ended with an answer."""
    return int(redis.xlen(KEYS.audited("topic")))


def test_every_check_is_answered_with_a_key_each(
    redis: Any, ann: Screen, wait_until: WaitUntil
) -> None:
    """Enter begins; a digit answers, and shows the next."""
    ann.begin(BLIND)
    seen = [text_of(ann)]
    for key in "12":
        ann.press_and_go(key)
        seen.append(text_of(ann))
    ann.press_and_go("3")
    assert ann.path == f"/tasks/{BLIND}"
    assert sorted(seen) == ["text 0", "text 1", "text 2"]
    wait_until(lambda: num_answered(redis) == len(seen), description="all are recorded")
    assert ann.complaints == []


def test_enter_answers_nothing_where_nothing_is_suggested(redis: Any, ann: Screen) -> None:
    """Nor does a digit that no label shows."""
    ann.begin(BLIND)
    before, path = text_of(ann), ann.path
    ann.press("Enter", "9", "4")
    # A key that is heard comes after those: what they did would be done by then.
    ann.press("?")
    ann.page.wait_for_selector("dialog[open]")
    assert (text_of(ann), ann.path) == (before, path)
    assert redis.hlen(KEYS.decisions) == 0


def test_a_check_is_skipped_and_an_answer_taken_back(
    redis: Any, ann: Screen, wait_until: WaitUntil
) -> None:
    """By s, and by u; the page of what was taken back is as blind as before."""
    ann.begin(BLIND)
    skipped = text_of(ann)
    ann.press_and_go("s")
    answered = text_of(ann)
    assert answered != skipped
    ann.press_and_go("2")
    assert ann.says("Answered.")
    ann.press_and_go("u")
    assert text_of(ann) == answered
    assert redis.hlen(KEYS.decisions) == 0
    assert not ann.page.query_selector_all(".suggested, .share, .steps")
    ann.press_and_go("1")
    wait_until(lambda: num_answered(redis) == 1, description="it is recorded")
