"""Jobs that two people answer, at the desk: neither sees the other's; leads see how they agree."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.desks import PASSWORD, Browser, RunningDesk, folder_for, running_desk
from tests.support.reviews import KEYS, OWN, topic, wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Result
from smallfirst.local.redis_server import RedisServer
from smallfirst_desk.users import Role, added, read_users, write_users

pytestmark = pytest.mark.timeout(120)
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade: [{person: {wait: 1h, reviewers: 2}}]
  alone:
    kind: classify
    labels: {a: One., b: Two.}
    cascade: [{person: {wait: 1h}}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the desk: three reviewers and a lead."""
    folder = tmp_path_factory.mktemp("two")
    people = dict.fromkeys(("ann", "ben", "cid"), ("topic", "alone"))
    folder_for(folder, people, catalogue=CATALOGUE)
    users = read_users(folder / "users.yaml")
    lead = added(users, "lea", PASSWORD, role=Role.LEAD, tasks=("topic", "alone"))
    write_users(folder / "users.yaml", lead)
    return folder


@pytest.fixture(scope="module")
def desk(redis_server: RedisServer, folder: Path) -> Iterator[RunningDesk]:
    """A desk whose decisions are final at once, and that keeps its answers."""
    answers = folder / "answers"
    with running_desk(redis_server.url, folder, desk_undo_seconds=0, desk_answers=answers) as desk:
        yield desk


@pytest.fixture
def people(desk: RunningDesk, redis_url: str) -> Iterator[dict[str, Browser]]:  # noqa: ARG001 - emptied
    """All who have signed in, by name."""
    browsers = {name: desk.browser(name) for name in ("ann", "ben", "cid", "lea")}
    yield browsers
    for browser in browsers.values():
        browser.close()


def result_of(redis: Any, job_id: str) -> Result:
    """A job's result."""
    return Result.model_validate_json(redis.get(OWN.result(job_id)))


def is_free(redis: Any) -> bool:
    """Whether nothing that was decided waits to be settled."""
    return not redis.exists(KEYS.decided)


def test_two_people_answer_one_job_and_neither_sees_what_the_other_did(
    redis: Any, people: dict[str, Browser], wait_until: WaitUntil, folder: Path
) -> None:
    """It is gone from the first one's pages; the second one's show no trace; the row names both."""
    wait_for_people(redis, topic("asked-of-two"), reviewers=2)
    ann, ben = people["ann"], people["ben"]
    ann.begin()
    path = ann.path
    ann.answer(label="b")
    wait_until(lambda: is_free(redis), description="the first answer is kept")
    ann.get("/tasks/topic")
    assert "asked-of-two" not in ann.html
    assert re.search(r"waiting</dt><dd>0<", ann.html)
    ann.get(path)
    assert "You have answered this; another person is asked now." in ann.html
    assert "/take" not in ann.html
    ben.begin()
    assert ben.path == path
    before = ben.html
    assert "ann" not in before
    assert not re.search(r"\br-[0-9a-f]{8}", re.sub(r'value="[^"]*"', "", before))
    ben.answer(label="b")
    wait_until(lambda: redis.exists(OWN.result("asked-of-two")), description="the result is there")
    result = result_of(redis, "asked-of-two")
    assert isinstance(result.answer, LabelAnswer)
    assert result.answer.label == "b"
    names = [attempt.revision for attempt in result.trail]
    assert len(set(names)) == 2
    lines = (folder / "answers" / "topic.jsonl").read_text("utf-8").splitlines()
    [row] = [each for each in map(json.loads, lines) if each["id"] == "asked-of-two"]
    about = row["human"]
    assert (row["label"], about["asked"], about["agreed"], about["people"]) == ("b", 2, 2, names)


def test_a_third_person_decides_where_two_differ(
    redis: Any, people: dict[str, Browser], wait_until: WaitUntil
) -> None:
    """Who is asked as anybody is."""
    wait_for_people(redis, topic("a2"), reviewers=2)
    for name, label in (("ann", "a"), ("ben", "c"), ("cid", "a")):
        people[name].begin()
        assert "/jobs/" in people[name].path, name
        people[name].answer(label=label)
        wait_until(lambda: is_free(redis), description="it is kept, or settled")
    result = result_of(redis, "a2")
    assert isinstance(result.answer, LabelAnswer)
    assert (result.answer.label, len(result.trail)) == ("a", 3)


def test_leads_see_how_people_agree_and_reviewers_do_not(
    redis: Any,
    redis_url: str,
    people: dict[str, Browser],
    wait_until: WaitUntil,
    folder: Path,
) -> None:
    """On a page, and in the terminal the same; of a task that asks one person there is none."""
    lea = people["lea"]
    lea.get("/tasks/topic/agreement")
    assert "has been answered by two people yet" in lea.html
    jobs = [topic(f"b{n}") for n in range(4)]
    wait_for_people(redis, *jobs, reviewers=2)
    for name, labels in (("ann", "abca"), ("ben", "abcb")):
        for label in labels:
            people[name].begin()
            people[name].answer(label=label)
            wait_until(lambda: is_free(redis), description="it is kept, or settled")
    lea.get("/tasks/topic")
    assert "How reviewers agree" in lea.html
    lea.get("/tasks/topic/agreement")
    assert "75.0 %" in lea.html
    assert "0.64" in lea.html
    people["ann"].get("/tasks/topic")
    assert "How reviewers agree" not in people["ann"].html
    for browser, task in ((people["ann"], "topic"), (lea, "alone"), (lea, "nothing")):
        page = browser.get(f"/tasks/{task}/agreement")
        assert page.status_code == httpx.codes.NOT_FOUND, (task, page.text)
    told = ["--redis-url", redis_url, "desk", "agreement"]
    more = ["--catalogue", str(folder / "catalogue.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "smallfirst", *told, *more, "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = json.loads(done.stdout)["topic"]
    assert (said["num_jobs"], said["raw"], len(said["pairs"])) == (4, 0.75, 1)
    assert said["pairs"][0]["kappa"] == pytest.approx(0.636, abs=0.001)
