"""The dashboard over a real Redis: what is recorded, by how many desks, and who sees what of it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.desks import Browser, RunningDesk, folder_for, running_desk
from tests.support.reviews import topic, wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Job, Priority, Tier
from smallfirst.ledger.backlogs import Backlogs
from smallfirst.ledger.books import Cell, read_books
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.history import (
    EVERY_MS,
    MAX_READING_BYTES,
    MAX_READINGS,
    History,
    Reading,
    StepReading,
    end_before,
)
from smallfirst.ledger.keys import POOL_GROUP, Keys, date_of
from smallfirst.ledger.reviewer_counts import count_decision, read_decisions
from smallfirst.ledger.slices import Slice
from smallfirst.local.redis_server import RedisServer
from smallfirst_desk.dashboard.recording import LATEST_MS, Recorder
from smallfirst_desk.desk import Desk, Waits
from smallfirst_desk.users import Role

pytestmark = pytest.mark.timeout(120)
#: No desk that runs beside writes its own readings here.
NAMESPACE = "own"
KEYS = Keys(NAMESPACE)
#: Of the desks that run.
THEIRS = Keys()
#: An end of ten minutes, at noon.
END_MS = 1_796_040_000_000
MAX_PAGE_BYTES = 100_000
USERS = {"ann": ("topic",), "ben": ("pii", "topic")}


def desk_on(redis: Any, folder: Path, num_slices: int = 1) -> Desk:
    """A desk's inside."""
    slices = [Slice(redis, Keys(NAMESPACE, number)) for number in range(num_slices)]
    waits = Waits(lease=timedelta(minutes=1), undo=timedelta(seconds=1))
    return Desk(slices, CatalogueWatch(folder / "catalogue.yaml"), waits, Bounds())


def book(redis: Any, now_ms: int, number: int, keys: Keys = KEYS) -> None:
    """Book so many answers more of the task's one step, as settling does."""
    key = keys.booked_at(now_ms)
    redis.hincrby(key, "topic:0:accepted:jobs", number)
    redis.expire(key, 3600)


def read_of(redis: Any, task: str = "topic") -> dict[int, int]:
    """How many answers each reading of a task tells, by its end."""
    found = History(Slice(redis, KEYS)).read([task], 0)[task]
    return {end: each.steps[0].num_accepted for end, each in found.items()}


def test_however_many_desks_read_it_stands_there_once(redis: Any, folder: Path) -> None:
    """The first to come at an end of ten minutes writes what the books of all slices hold."""
    recorders = [Recorder(desk_on(redis, folder, num_slices=2)) for _ in range(3)]
    for number, recorder in enumerate(recorders):
        book(redis, END_MS, 5, Keys(NAMESPACE, number % 2))
        assert recorder.record(END_MS + 100 * number) == EVERY_MS - 100 * number
    assert read_of(redis) == {END_MS: 5}
    recorders[1].record(END_MS + EVERY_MS)
    assert read_of(redis) == {END_MS: 5, END_MS + EVERY_MS: 15}
    assert not redis.exists(Keys(NAMESPACE, 1).history("topic"))


def test_who_comes_late_leaves_a_gap(redis: Any, folder: Path) -> None:
    """What stands in the books by then is more than stood there at the end."""
    recorder = Recorder(desk_on(redis, folder))
    recorder.record(END_MS + LATEST_MS + 1)
    assert read_of(redis) == {}
    recorder.record(END_MS + LATEST_MS)
    assert read_of(redis) == {END_MS: 0}


def test_a_desk_whose_clock_was_behind_overwrites_nothing(redis: Any, folder: Path) -> None:
    """An older end than the last is refused."""
    recorder = Recorder(desk_on(redis, folder))
    recorder.record(END_MS)
    recorder.record(END_MS - EVERY_MS)
    assert [*read_of(redis)] == [END_MS]


def test_a_history_has_a_bound(redis: Any, folder: Path) -> None:
    """So many readings, each of so many bytes, for so long; one that is larger is not kept."""
    recorder = Recorder(desk_on(redis, folder))
    for number in range(MAX_READINGS + 50):
        recorder.record(END_MS + number * EVERY_MS)
    key = KEYS.history("topic")
    assert redis.xlen(key) == MAX_READINGS
    assert 0 < redis.ttl(key) <= 2 * 86_400
    assert redis.memory_usage(key, samples=0) < 50_000
    step = StepReading(step=0, tier=Tier.SLM, num_accepted=1, num_attempts=1)
    large = Reading(steps=(step,) * 100)
    assert len(large.to_json()) > MAX_READING_BYTES
    later = END_MS + 10_000 * EVERY_MS
    assert History(Slice(redis, KEYS)).record(later, {"topic": large}) == ["topic"]
    assert redis.xlen(key) == MAX_READINGS


def test_what_is_no_reading_is_a_gap(redis: Any, folder: Path) -> None:
    """A field that is missing, JSON that is none, a version that is not known."""
    Recorder(desk_on(redis, folder)).record(END_MS)
    odd = ({"other": "x"}, {"reading": "{"}, {"reading": '{"v": 2}'}, {"reading": b"\xff"})
    for number, fields in enumerate(odd):
        redis.xadd(KEYS.history("topic"), fields, id=f"{END_MS + number + 1}-0")
    assert [*read_of(redis)] == [END_MS]


def test_a_book_in_which_nonsense_stands_is_read_without_it(redis: Any) -> None:
    """Numbers that are none, and names of another form."""
    key = KEYS.booked("2026-11-30")
    rows = {"topic:0:accepted:jobs": 3, "topic:0:accepted:cost": "nan", "x": 1, "topic:1:a:b:c": 2}
    redis.hset(key, mapping={**rows, "topic:0:failed:jobs": "many"})
    redis.expire(key, 60)
    found = read_books([Slice(redis, KEYS)], ["2026-11-30", "2026-11-29"])
    [(cell, spent)] = found["2026-11-30"].items()
    assert (cell, spent.num_attempts, spent.cost) == (Cell("topic", 0, "accepted"), 3, 0.0)
    assert found["2026-11-29"] == {}


def test_an_hour_s_decisions_are_summed_over_slices(redis: Any) -> None:
    """What was taken back is not among them; never fewer than none."""
    slices = [Slice(redis, Keys(NAMESPACE, number)) for number in range(2)]
    for each in slices:
        count_decision(each, "topic", "r-1", END_MS)
    count_decision(slices[0], "topic", "r-1", END_MS, -1)
    count_decision(slices[0], "topic", "r-2", END_MS, -1)
    found = read_decisions(slices, [date_of(END_MS)])
    assert {who.person: number for who, number in found.items()} == {"r-1": 1, "r-2": 0}
    assert {who.hour.hour for who in found} == {END_MS // 3_600_000 % 24}
    assert 0 < redis.ttl(KEYS.reviewers(date_of(END_MS))) <= 3 * 86_400


def test_a_pool_s_backlog_is_counted_without_a_job_s_text(redis: Any) -> None:
    """Unread and in hand, over both priorities; a pool of which nothing is there has none."""
    now_ms = end_before(END_MS)
    for priority in Priority:
        stream = KEYS.backlog("cpu", priority)
        redis.xgroup_create(stream, POOL_GROUP, id="0", mkstream=True)
        for number in range(3):
            redis.xadd(stream, {"job": "secret"}, id=f"{now_ms - 60_000 + number}-0")
        redis.xreadgroup(POOL_GROUP, "cpu/host/1/abc", {stream: ">"}, count=1)
    found = Backlogs([Slice(redis, KEYS)]).look(["cpu", "gpu"], now_ms)
    assert (found["cpu"].load.num_jobs, found["cpu"].load.pending) == (6, 2)
    assert found["cpu"].load.oldest_seconds == pytest.approx(60, abs=0.01)
    assert (found["gpu"].load.num_jobs, found["gpu"].num_workers) == (0, 0)


@pytest.fixture(scope="module")
def shared(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDesk]:
    """A desk of two people with different tasks, who may take back for a minute."""
    folder = folder_for(tmp_path_factory.mktemp("shared"), USERS)
    with running_desk(redis_server.url, folder, desk_undo_seconds=60) as desk:
        yield desk


@pytest.fixture
def both(shared: RunningDesk, redis_url: str) -> Iterator[tuple[Browser, Browser]]:  # noqa: ARG001 - emptied
    """Who may answer one task, and who may answer two."""
    browsers = shared.browser("ann"), shared.browser("ben")
    yield browsers
    for browser in browsers:
        browser.close()


def figures_of(html: str) -> dict[str, str]:
    """Each panel of the page by its name."""
    parts = html.split('<section class="panel" aria-labelledby="')[1:]
    return {part.partition("-title")[0]: part for part in parts}


def shows(browser: Browser, panel: str, words: str) -> bool:
    """Whether a panel of the dashboard, read anew, has some words."""
    browser.get("/dashboard")
    return words in figures_of(browser.html)[panel]


def test_each_sees_the_tasks_that_are_theirs(
    redis: Any, both: tuple[Browser, Browser], wait_until: WaitUntil
) -> None:
    """Neither text nor name nor count of another's; and none such is there to be asked for."""
    ann, ben = both
    wait_for_people(redis, *(topic(f"t{n}", text="of topic") for n in range(2)))
    wait_for_people(redis, *(Job(id=f"p{n}", task="pii", text="of pii") for n in range(7)))
    # What another test looked at is shown for a moment.
    wait_until(lambda: shows(ben, "waiting", "<td>7</td>"), description="both are counted")
    assert "<td>2</td>" in figures_of(ben.html)["waiting"]
    ann.get("/dashboard")
    assert "<td>2</td>" in figures_of(ann.html)["waiting"]
    for browser in (ann, ben):
        assert "of topic" not in browser.html
    main = ann.html.partition("<main")[2].partition("</main>")[0]
    assert "pii" not in main
    assert "<td>7</td>" not in main
    asked = [ann.get(f"/dashboard?task={name}") for name in ("pii", "invoice", "none", "<b>")]
    assert {each.status_code for each in asked} == {404}
    assert len({re.sub(r"\s+", "", each.text) for each in asked}) == 1


def test_a_decision_is_counted_until_it_is_taken_back(
    redis: Any, both: tuple[Browser, Browser], wait_until: WaitUntil
) -> None:
    """The person sees it as one's own; another reviewer of the same task does not."""
    ann, ben = both
    wait_for_people(redis, topic("t1"), topic("t2"))
    ann.begin()
    ann.answer(label="a")
    wait_until(lambda: shows(ann, "reviewers", "<td>1</td>"), description="it is counted")
    assert "You decided on nothing" in figures_of(ben.get("/dashboard").text)["reviewers"]
    ann.get("/tasks/topic?said=answered")
    ann.post("/undo")
    wait_until(
        lambda: shows(ann, "reviewers", "You decided on nothing"), description="it is taken back"
    )


def test_a_page_is_small_and_strict(
    redis: Any, both: tuple[Browser, Browser], wait_until: WaitUntil
) -> None:
    """No style or script in it, nothing from elsewhere; with all that it loads, 100 kB at most."""
    _, ben = both
    now_ms = int(redis.time()[0]) * 1000
    book(redis, now_ms, 1234, THEIRS)
    wait_until(lambda: shows(ben, "days", "1,234"), description="it is told")
    html = ben.html
    assert not re.search(r"<style|style=|<script(?! src=)| on\w+=\"|https?://", html)
    assert html.count("<svg") >= 2
    assert "None" not in html
    assert html.count("<table") == html.count("<svg") + html.count("<details open")
    assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', html))
    weight = len(html.encode()) + sum(len(ben.get(each).content) for each in assets)
    assert weight < MAX_PAGE_BYTES


def test_a_lead_sees_who_decides_on_the_lead_s_tasks(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """By pseudonym; what pools hold is for who may see every task."""
    folder = folder_for(tmp_path, {"eve": ("topic",)}, role=Role.LEAD)
    now_ms = int(redis.time()[0]) * 1000
    for person, task in (("r-aaa", "topic"), ("r-bbb", "pii")):
        count_decision(Slice(redis, THEIRS), task, person, now_ms)
    with running_desk(redis_url, folder) as desk:
        eve = desk.browser("eve")
        wait_until(lambda: shows(eve, "reviewers", "r-aaa"), description="it is counted")
        assert "r-bbb" not in eve.html
        eve.close()


def test_nobody_sees_it_who_has_not_signed_in(shared: RunningDesk) -> None:
    """As any page."""
    nobody = Browser(shared.url)
    assert nobody.get("/dashboard").url.path == "/sign-in"
    nobody.close()
