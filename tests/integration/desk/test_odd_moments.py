"""Two at once: one form sent twice at a time, two tabs, two desks; and a job of 200 kB."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.desks import Browser, RunningDesk, running_desk
from tests.support.reviews import OWN, STREAM, topic, wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Result


@pytest.fixture
def other_desk(redis_url: str, folder: Path) -> Iterator[RunningDesk]:
    """A second desk of the same fleet, with the same key and users of the same names."""
    with running_desk(redis_url, folder, desk_undo_seconds=0) as desk:
        yield desk


def labels_of(redis: Any, count: int) -> list[str]:
    """The labels of the results of jobs `a0` and so on."""
    found = [redis.get(OWN.result(f"a{n}")) for n in range(count)]
    return [Result.model_validate_json(raw).answer.label for raw in found]  # type: ignore[union-attr]


def test_a_form_sent_ten_times_at_once_counts_once(
    redis: Any, ann: Browser, wait_until: WaitUntil
) -> None:
    """An impatient person presses the key again and again: one job is answered, no other is."""
    wait_for_people(redis, topic("a0"), topic("a1"))
    ann.begin()
    path, fields = f"{ann.path}/answer", {"label": "b"}
    sent = {**fields, "csrf": ann.hidden("csrf"), "view": ann.hidden("view")}
    with ThreadPoolExecutor(10) as pool:
        pages = list(pool.map(lambda _: ann.post_raw(path, sent), range(10)))
    assert {page.status_code for page in pages} <= {200, 409}
    assert sum("Answered." in page.text for page in pages) == 1
    wait_until(lambda: redis.exists(OWN.result("a0")), description="it has its result")
    assert redis.xlen(STREAM) == 1
    assert not redis.exists(OWN.result("a1"))


def test_two_tabs_of_one_person_answer_one_job_once(
    redis: Any, ann: Browser, wait_until: WaitUntil
) -> None:
    """The same job in both; the second one's answer is given back, and a third page is another."""
    wait_for_people(redis, topic("a0"), topic("a1"))
    ann.begin()
    path = ann.path
    tabs = [
        {"csrf": ann.hidden("csrf"), "view": ann.hidden("view"), "label": label} for label in "bc"
    ]
    ann.get(path)
    tabs[1]["view"] = ann.hidden("view")
    first, second = (ann.post_raw(f"{path}/answer", tab) for tab in tabs)
    assert "Answered." in first.text
    assert second.status_code == 409
    assert "c" in second.text
    wait_until(lambda: redis.exists(OWN.result("a0")), description="it has its result")
    assert labels_of(redis, 1) == ["b"]


def test_two_people_at_two_desks_never_have_the_same_job(
    redis: Any, ann: Browser, other_desk: RunningDesk, wait_until: WaitUntil
) -> None:
    """Each takes and answers jobs as fast as possible; every job has one result."""
    wait_for_people(redis, *(topic(f"a{n}") for n in range(30)))
    ben = other_desk.browser("ben")

    def answer_all(browser: Browser, label: str) -> int:
        num_answered = 0
        browser.begin()
        while "/jobs/" in browser.path:
            browser.answer(label=label)
            num_answered += "Answered." in browser.html
        return num_answered

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(answer_all, (ann, ben), "ab"))
    ben.close()
    assert sum(counts) == 30
    wait_until(lambda: not redis.xlen(STREAM), description="all are settled")
    labels = labels_of(redis, 30)
    assert [labels.count("a"), labels.count("b")] == counts


def test_a_job_of_200_kb_is_shown_whole_and_answered(
    redis: Any, ann: Browser, wait_until: WaitUntil
) -> None:
    """To its last word, and its answer is taken like any other's."""
    text = "Ein Wörtchen & <b>ein</b> Satz. " * 6200 + "The end."
    wait_for_people(redis, topic("a0", text))
    ann.begin()
    assert len(text.encode()) > 200_000 > len(text)
    assert "The end." in ann.html
    assert "Wörtchen &amp; &lt;b&gt;ein" in ann.html
    ann.answer(label="c")
    wait_until(lambda: redis.exists(OWN.result("a0")), description="it has its result")
    assert labels_of(redis, 1) == ["c"]
