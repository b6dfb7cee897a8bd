"""What everybody needs of the desk's pages: to be read and used, on whatever screen."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.browser.conftest import OpenScreen
from tests.support.browsers import Screen
from tests.support.desks import ALL, RunningDesk
from tests.support.reviews import wait_for_people
from tests.support.shapes import attempt_for

from smallfirst.answers import Evidence, LabelAnswer
from smallfirst.jobs import Job, Outcome

pytestmark = pytest.mark.timeout(300)

#: What axe finds that keeps somebody from using a page.
GRAVE = {"serious", "critical"}


def waiting_jobs(redis: Any) -> None:
    """A job of every task, with a step that was not sure enough, and words that drove it."""
    text = "Marta Oliveira wrote this long letter. " * 30
    evidence = (Evidence(start=0, end=5, weight=1.0), Evidence(start=6, end=14, weight=-0.4))
    answer = LabelAnswer(label="b", confidence=0.6, distribution={"b": 0.6}, evidence=evidence)
    before = attempt_for(outcome=Outcome.ESCALATED, confidence=0.6, threshold=0.9, answer=answer)
    for task in ALL:
        jobs = [Job(id=f"{task}-{n}", task=task, text=text) for n in range(2)]
        wait_for_people(redis, *jobs, trail=(before,))


def pages_of(screen: Screen) -> list[str]:
    """Every page there is, one after the other."""
    seen = []
    for path in ("/", "/help", "/tasks/topic", "/nowhere"):
        screen.open(path)
        seen.append(path)
        look_at(screen)
    for task in ALL:
        screen.begin(task)
        seen.append(task)
        look_at(screen)
    return seen


def look_at(screen: Screen) -> None:
    """Look at the page that is shown."""
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
    ann = screen("ann", color_scheme=colours)
    ann.page.set_viewport_size({"width": width, "height": 900})
    assert len(pages_of(ann)) == 10
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
