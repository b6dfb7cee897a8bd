"""What everybody needs of the desk's pages: to be read and used, on whatever screen."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.browser.conftest import OpenScreen
from tests.support.browsers import Screen
from tests.support.desks import ALL, EXAMPLE, RunningDesk
from tests.support.reviews import KEYS, wait_for_people
from tests.support.shapes import attempt_for

from smallfirst.answers import (
    Evidence,
    Explanation,
    ExplanationMethod,
    LabelAnswer,
    LikeExample,
)
from smallfirst.catalogue.likeness import text_key
from smallfirst.jobs import Job, Outcome, Tier
from smallfirst.ledger.history import EVERY_MS, History, Reading, StepReading, end_before
from smallfirst.ledger.reviewer_counts import count_decision
from smallfirst.ledger.slices import Slice

pytestmark = pytest.mark.timeout(300)

#: What axe finds that keeps somebody from using a page.
GRAVE = {"serious", "critical"}


def waiting_jobs(redis: Any) -> None:
    """A job of every task, with a step that was not sure enough, and words that drove it."""
    text = "Marta Oliveira wrote this long letter. " * 30
    evidence = (Evidence(start=0, end=5, weight=1.0), Evidence(start=6, end=14, weight=-0.4))
    answer = LabelAnswer(
        label="b",
        confidence=0.6,
        distribution={"b": 0.6},
        evidence=evidence,
        explanation=like_rows(),
    )
    before = attempt_for(outcome=Outcome.ESCALATED, confidence=0.6, threshold=0.9, answer=answer)
    for task in ALL:
        jobs = [Job(id=f"{task}-{n}", task=task, text=text) for n in range(2)]
        wait_for_people(redis, *jobs, trail=(before,))


def like_rows() -> Explanation:
    """A word of the text counted, and it is like a row that is here, and one that is not."""
    here = LikeExample(number=7, labels=("b",), key=text_key(EXAMPLE), likeness=0.83)
    gone = LikeExample(number=9, labels=("b" * 99,), key="gone", likeness=0.41)
    return Explanation(method=ExplanationMethod.WEIGHTS, label="b", alike=(here, gone))


def busy_days(redis: Any) -> None:
    """What the dashboard tells: books of a fortnight, readings with a gap, decisions."""
    of = Slice(redis, KEYS)
    now_ms = int(redis.time()[0]) * 1000
    for ago in range(14):
        key = KEYS.booked_at(now_ms - ago * 86_400_000)
        redis.hincrby(key, "topic:0:accepted:jobs", 900 + 40 * ago)
        redis.hincrby(key, "topic:0:abstained:jobs", 12)
        redis.expire(key, 600)
    for number in range(60):
        end_ms = end_before(now_ms) - (60 - number) * EVERY_MS
        if number % 20 > 2:
            step: Any = StepReading(
                step=0, tier=Tier.HUMAN, num_accepted=9 * number, num_attempts=10 * number
            )
            History(of).record(end_ms, {"topic": Reading(steps=(step,))})
    for ago in range(5):
        count_decision(of, "topic", "r-5f0c12ab", now_ms - ago * 3_600_000, 7 + ago)


def pages_of(screen: Screen) -> list[str]:
    """Every page there is, one after the other."""
    seen = []
    for path in ("/", "/help", "/tasks/topic", "/nowhere", "/dashboard"):
        screen.open(path)
        seen.append(path)
        look_at(screen)
    for task in ALL:
        screen.begin(task)
        seen.append(task)
        look_at(screen)
    return seen


def look_at(screen: Screen) -> None:
    """Look at the page that is shown, at what it folds up too."""
    screen.page.evaluate("() => document.querySelectorAll('details').forEach((d) => d.open = true)")
    found = Axe().run(screen.page).response["violations"]
    grave = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in GRAVE]
    assert not grave, (screen.path, grave)
    is_wide = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not screen.page.evaluate(is_wide), f"{screen.path} is wider than the screen"


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_can_be_read_by_everybody(
    redis: Any, screen: OpenScreen, colours: str, width: int
) -> None:
    """No serious finding of axe, and nothing beyond the edge, in either colours, large or small."""
    waiting_jobs(redis)
    busy_days(redis)
    ann = screen("ann", color_scheme=colours)
    ann.page.set_viewport_size({"width": width, "height": 900})
    assert len(pages_of(ann)) == 11
    assert ann.complaints == []


def test_rows_that_a_text_is_like_run_nothing(redis: Any, screen: OpenScreen) -> None:
    """They are shown as they stand, one heading below what was said; keys choose as before."""
    waiting_jobs(redis)
    ann = screen("ann")
    ann.begin("topic")
    page = ann.page
    assert page.get_by_role("heading", name="Answered like these").is_visible()
    here, gone = page.get_by_role("list", name="Answered like these").get_by_role("listitem").all()
    assert EXAMPLE in here.inner_text()
    assert "row 7, 83 % alike" in here.inner_text()
    assert "The text of this row is not here." in gone.inner_text()
    assert page.evaluate("() => window.__ran === undefined")
    ann.press_and_go("2")
    assert ann.complaints == []


def test_the_first_page_can_be_read_by_everybody(
    redis: Any, browser: Any, desk: RunningDesk
) -> None:
    """Before anybody has signed in."""
    assert redis.ping()
    nobody = Screen(browser, desk.url)
    nobody.open("/sign-in")
    look_at(nobody)
    nobody.close()
