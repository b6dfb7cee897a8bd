"""Nothing that a stranger or a colleague writes runs in anybody's browser."""

import re
from typing import Any

import pytest
import yaml
from tests.browser.conftest import OpenScreen
from tests.support.browsers import Screen
from tests.support.desks import CATALOGUE, folder_for, running_desk
from tests.support.payloads import PAYLOADS
from tests.support.reviews import KEYS, OWN, wait_for_people
from tests.support.shapes import attempt_for
from tests.support.waiting import wait_until

from smallfirst.answers import LabelAnswer, TextAnswer
from smallfirst.jobs import Job, Outcome, Result

pytestmark = pytest.mark.timeout(300)

#: What a text may not hold in a job or in the catalogue; a payload is as good without it.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def has_run(screen: Screen) -> bool:
    """Whether anything ran that is not the desk's."""
    ran = screen.page.evaluate("() => window.__ran !== undefined")
    return bool(ran or screen.complaints)


def test_two_hundred_payloads_run_nowhere(redis: Any, screen: OpenScreen) -> None:
    """In texts, metadata, machines' answers and their reasons: they are shown as they stand."""
    assert len(set(PAYLOADS)) == 200
    answer = TextAnswer(text=" ".join(PAYLOADS), confidence=0.5)
    trail = tuple(
        attempt_for(
            outcome=Outcome.ESCALATED, model=each, reason=each, confidence=0.5, answer=answer
        )
        for each in PAYLOADS[:20]
    )
    jobs = [
        Job(
            id=f"a{number}",
            task="reply",
            text="\n".join(PAYLOADS[number::4]),
            metadata={each[:64]: each for each in PAYLOADS[number::16]},
        )
        for number in range(4)
    ]
    wait_for_people(redis, *jobs, trail=trail)
    ann = screen("ann")
    ann.open("/tasks/reply")
    for number in range(4):
        if number == 0:
            ann.press_and_go("Enter")
        else:
            ann.press_and_go("s")
        shown = ann.page.inner_text("#text")
        assert all(each in shown for each in PAYLOADS[int(_number_of(ann)) :: 4][:3])
        assert not has_run(ann)


def _number_of(screen: Screen) -> str:
    return screen.page.inner_text(".read bdi >> nth=0").removeprefix("a")


def test_what_a_person_enters_runs_nowhere(redis: Any, screen: OpenScreen) -> None:
    """Neither where it is shown again, nor where it came too late and is given back."""
    said = "\n".join(PAYLOADS)
    wait_for_people(redis, Job(id="a1", task="tampering", text=said))
    wait_for_people(redis, Job(id="b1", task="reply", text="a letter"))
    ann = screen("ann")
    ann.begin("tampering")
    ann.page.fill("#quote", "no such words: " + said)
    ann.press_and_go("Escape", "1")
    assert ann.says("The quote does not stand in the text")
    assert ann.page.input_value("#quote") == "no such words: " + said
    assert not has_run(ann)

    ann.begin("reply")
    ann.page.fill("#written", said)
    redis.set(OWN.result("b1"), "{}", ex=60)
    ann.press_and_go("Escape", "Enter")
    assert ann.says("This answer does not count")
    assert not has_run(ann)
    ann.page.go_back()
    assert not has_run(ann)


def test_labels_and_ids_run_nowhere(
    redis: Any, redis_url: str, browser: Any, tmp_path: Any
) -> None:
    """Nor do a task's own words, and a label of markup is answered like any other."""
    labels = {_UNPRINTABLE.sub("", each)[:128]: each for each in PAYLOADS[:60]}
    catalogue = yaml.safe_load(CATALOGUE)
    del catalogue["tasks"]["topic"]["examples"]  # of labels that are exchanged
    for name in ("topic", "tags", "pii"):
        catalogue["tasks"][name]["labels"] = labels
        catalogue["tasks"][name]["description"] = PAYLOADS[0]
    folder_for(tmp_path, catalogue=yaml.safe_dump(catalogue))
    chosen = list(labels)[2]
    trail = (
        attempt_for(
            outcome=Outcome.ESCALATED,
            confidence=0.5,
            answer=LabelAnswer(label=chosen, confidence=0.5, distribution={chosen: 0.5}),
        ),
    )
    for task in ("topic", "tags", "pii"):
        wait_for_people(redis, Job(id=f"a.b:{task}-", task=task, text=PAYLOADS[3]), trail=trail)
    with running_desk(redis_url, tmp_path, desk_undo_seconds=0) as desk:
        ann = Screen(browser, desk.url)
        ann.sign_in("ann")
        for task in ("pii", "tags", "topic"):
            ann.begin(task)
            assert not has_run(ann)
            ann.press_and_go("Enter")
            assert not has_run(ann)
        ann.close()

        result = OWN.result("a.b:topic-")
        wait_until(lambda: redis.exists(result), description="the result is there")
    answer = Result.model_validate_json(redis.get(OWN.result("a.b:topic-"))).answer
    assert isinstance(answer, LabelAnswer)
    assert answer.label == chosen
    assert not redis.exists(KEYS.decisions)


def test_every_form_works_without_a_script(
    redis: Any, redis_url: str, browser: Any, tmp_path: Any
) -> None:
    """By its buttons alone."""
    wait_for_people(redis, Job(id="a1", task="topic", text="a letter"))
    folder_for(tmp_path)
    with running_desk(redis_url, tmp_path, desk_undo_seconds=30) as desk:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(desk.url)
        page.fill("[name=name]", "ann")
        page.fill("[name=password]", "correct horse battery")
        page.click("text=Sign in >> nth=-1")
        page.click("text=Begin >> nth=0")
        page.click("button[value=b]")
        page.click("text=Undo")
        page.click("button[value=c]")
        assert page.get_by_text("Answered.").is_visible()
        context.close()
    assert redis.hlen(KEYS.decisions) == 1
