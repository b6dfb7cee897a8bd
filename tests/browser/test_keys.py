"""The desk by its keys, in Chromium: no mouse, at most two presses a job, and never two jobs."""

import re
from typing import Any

import pytest
from tests.browser.conftest import OpenScreen
from tests.support.reviews import KEYS, OWN, run_out, topic, wait_for_people
from tests.support.shapes import attempt_for
from tests.support.waiting import WaitUntil

from smallfirst import Client
from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, RecordAnswer, Span, SpansAnswer
from smallfirst.jobs import Attempt, Job, Outcome, Priority, Result

pytestmark = pytest.mark.timeout(300)

LETTER = "Marta Oliveira wrote.\nHer card: 4111 1111. \U0001f600 Marta again."


def said(answer: Answer) -> Attempt:
    """A step that was not sure enough."""
    return attempt_for(outcome=Outcome.ESCALATED, confidence=answer.confidence, answer=answer)


def answer_of(redis: Any, job_id: str = "a1") -> Any:
    """The answer of a job's result; None before there is one."""
    raw = redis.get(OWN.result(job_id))
    return None if raw is None else Result.model_validate_json(raw).answer


def test_a_hundred_jobs_are_answered_with_a_key_each(
    redis: Any, redis_url: str, screen: OpenScreen
) -> None:
    """Signed in, begun and answered without one mouse event; each producer gets its answer."""
    ids = [f"a{number}" for number in range(100)]
    wait_for_people(redis, *map(topic, ids))
    ann = screen("ann")
    ann.page.evaluate("() => sessionStorage.clear()")
    ann.page.add_init_script(
        "for (const kind of ['mousedown', 'click'])"
        " addEventListener(kind, (event) => { if (event.detail) sessionStorage.mouse = 1; }, true);"
    )
    ann.begin("topic")
    given: dict[str, str] = {}
    for number in range(100):
        assert number == 0 or ann.says("Answered.")
        key = "123"[number % 3]
        given[ann.page.inner_text(".read bdi")] = "abc"[number % 3]
        ann.press_and_go(key)
    assert ann.page.evaluate("() => sessionStorage.mouse") is None
    with Client(redis_url) as client:
        found = {each.id: each.answer for each in client.as_completed(ids, 60)}
    assert {job_id: str(getattr(each, "label", "")) for job_id, each in found.items()} == given
    assert ann.complaints == []


def test_enter_takes_what_is_suggested(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """The surest answer of the steps before."""
    wait_for_people(redis, topic("a1"), trail=(said(LabelAnswer(label="c", confidence=0.6)),))
    ann = screen("ann")
    ann.begin("topic")
    ann.press_and_go("Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).label == "c"


def test_digits_turn_labels_on_and_off_and_enter_answers(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """From what the machine suggested."""
    given = LabelsAnswer(labels=("refund",), confidence=0.5)
    wait_for_people(redis, Job(id="a1", task="tags", text=LETTER), trail=(said(given),))
    ann = screen("ann")
    ann.begin("tags")
    ann.press("1", "2", "3")
    ann.press_and_go("Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).labels == ("exchange", "answer")


def test_spans_are_marked_and_removed_by_keys(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """Arrows choose words, Shift several, a digit labels them, Delete removes."""
    wrong = Span(start=LETTER.index("wrote"), end=LETTER.index("wrote") + 5, label="email")
    given = SpansAnswer(spans=(wrong,), confidence=0.5)
    wait_for_people(redis, Job(id="a1", task="pii", text=LETTER), trail=(said(given),))
    ann = screen("ann")
    ann.begin("pii")
    ann.press("ArrowRight", "Shift+ArrowRight", "1", "ArrowRight", "Delete")
    ann.press(*["ArrowRight"] * 9, "1")
    field = ann.page.input_value("#spans")
    assert field.split("\n") == [
        "name: Marta Oliveira @0",
        f"name: Marta @{LETTER.rindex('Marta')}",
    ]
    ann.press_and_go("Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    spans = [(each.label, LETTER[each.start : each.end]) for each in answer_of(redis).spans]
    assert spans == [("name", "Marta Oliveira"), ("name", "Marta")]


def test_places_are_those_of_the_text_and_not_of_the_page(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """A mail's lines end in two characters, and an emoji is one: the browser's are others."""
    text = "Dear all,\r\n\r\n\U0001f600 see <b>\r\nMarta &amp; Marta\r\n"
    wait_for_people(redis, Job(id="a1", task="pii", text=text))
    ann = screen("ann")
    ann.begin("pii")
    assert ann.page.evaluate("() => document.querySelector('#text').textContent") == text
    places = [match.start() for match in re.finditer(r"\w+|[^\w\s]", text)]
    last = places.index(text.rindex("Marta"))
    ann.press(*["ArrowRight"] * (last + 1), "1")
    ann.press_and_go("Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    [span] = answer_of(redis).spans
    assert (span.start, text[span.start : span.end]) == (text.rindex("Marta"), "Marta")
    assert (span.start_utf16, span.end_utf16) == (span.start + 1, span.end + 1)


def test_spans_are_marked_by_selecting_text(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """With the mouse, and a press of the label's button; blanks at the ends do not count."""
    wait_for_people(redis, Job(id="a1", task="pii", text=LETTER))
    ann = screen("ann")
    ann.begin("pii")
    ann.page.evaluate(
        """() => {
          const words = document.querySelector("#text").firstChild.firstChild;
          const range = document.createRange();
          const start = words.data.indexOf(" 4111");
          range.setStart(words, start); range.setEnd(words, start + 10);
          getSelection().removeAllRanges(); getSelection().addRange(range);
        }"""
    )
    ann.page.get_by_role("button", name="card").click()
    ann.press_and_go("Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    [span] = answer_of(redis).spans
    assert (span.label, LETTER[span.start : span.end]) == ("card", "4111 1111")


def test_a_verdict_is_a_key_with_the_quote_before_it(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """`q` leads to the quote, Escape out of it."""
    given = RecordAnswer(record={"verdict": "yes", "quote": "Marta again"}, confidence=0.5)
    wait_for_people(redis, Job(id="a1", task="tampering", text=LETTER), trail=(said(given),))
    ann = screen("ann")
    ann.begin("tampering")
    ann.press("q", "Control+a")
    ann.page.keyboard.type("Marta Oliveira wrote")
    ann.press_and_go("Escape", "2")
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).record == {"verdict": "no", "quote": "Marta Oliveira wrote"}


def test_in_a_field_keys_write_and_escape_leaves_it(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """So that `s` and `u` can be written; then Enter answers."""
    wait_for_people(redis, Job(id="a1", task="reply", text=LETTER), topic("b1"))
    ann = screen("ann")
    ann.begin("reply")
    ann.page.focus("#written")
    ann.page.keyboard.type("us 1?")
    ann.press_and_go("Escape", "Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).text == "us 1?"


def test_keys_with_modifiers_and_keys_held_down_decide_nothing(
    redis: Any, screen: OpenScreen
) -> None:
    """They are the browser's; and a second press at once is not for a page that nobody has read."""
    wait_for_people(redis, topic("a1"), topic("a2"), topic("a3"))
    ann = screen("ann")
    ann.begin("topic")
    path = ann.path
    ann.press("Control+1", "Alt+2", "Meta+3", "Shift+s")
    ann.page.evaluate(
        "() => dispatchEvent(new KeyboardEvent('keydown', {key: '1', repeat: true, bubbles: true}))"
    )
    assert ann.path == path
    assert not redis.exists(KEYS.decisions)
    with ann.page.expect_navigation():
        ann.page.keyboard.down("1")
    ann.page.keyboard.down("1")
    ann.page.keyboard.down("1")
    ann.is_ready()
    ann.page.keyboard.down("1")
    ann.page.keyboard.up("1")
    assert ann.path != path
    assert redis.hlen(KEYS.decisions) == 1


def test_an_answer_is_undone_by_a_key_and_given_anew(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """And the button for it goes when it is too late."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    ann = screen("ann")
    ann.begin("topic")
    path = ann.path
    ann.press_and_go("1")
    ann.press_and_go("u")
    assert (ann.path, ann.says("Taken back")) == (path, True)
    ann.press_and_go("2")
    wait_until(
        lambda: not ann.page.is_visible("form.undo"), description="it cannot be taken back any more"
    )
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).label == "b"


def test_a_page_says_when_its_lease_is_lost(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """As soon as it is looked at again; what was entered is given back, and does not count."""
    wait_for_people(redis, Job(id="a1", task="reply", text=LETTER))
    ann, ben = screen("ann"), screen("ben")
    ann.begin("reply")
    stream = KEYS.people("reply")[Priority.BULK]
    [(entry, _)] = redis.xrange(stream)
    run_out(redis, entry.decode(), stream=stream)
    ben.begin("reply")
    ann.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    wait_until(lambda: ann.page.is_visible("#lease"), description="the page says so")
    ann.page.fill("#written", "a long answer")
    ann.press_and_go("Escape", "Enter")
    assert ann.says("This answer does not count")
    assert ann.says("a long answer")
    ben.page.fill("#written", "a short answer")
    ben.press_and_go("Escape", "Enter")
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).text == "a short answer"


def test_a_lapsed_lease_that_nobody_took_is_taken_up_again(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """A laptop that was closed over lunch loses nothing by it."""
    wait_for_people(redis, topic("a1"))
    ann, ben = screen("ann"), screen("ben")
    ann.begin("topic")
    stream = KEYS.people("topic")[Priority.BULK]
    [(entry, _)] = redis.xrange(stream)
    run_out(redis, entry.decode(), stream=stream)
    ann.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")

    def is_hers() -> bool:
        [pending] = redis.xpending_range(stream, "pool", "-", "+", 1)
        return bool(pending["time_since_delivered"] < 600_000)

    wait_until(is_hers, description="the lease is renewed")
    ben.open("/tasks/topic")
    assert ben.says("taken")
    ann.press_and_go("1")
    wait_until(lambda: answer_of(redis), description="the result is there")


def test_two_tabs_of_one_person_make_one_answer(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """The one that was sent first; the other is told so."""
    wait_for_people(redis, topic("a1"))
    ann = screen("ann")
    ann.begin("topic")
    other = ann.another_tab()
    other.goto(ann.page.url)
    other.wait_for_selector("body[data-ready]")
    ann.press_and_go("1")
    with other.expect_navigation():
        other.keyboard.press("2")
    assert other.get_by_text("This job has its answer already.").is_visible()
    wait_until(lambda: answer_of(redis), description="the result is there")
    assert answer_of(redis).label == "a"


def test_what_is_skipped_is_offered_to_the_other_person(redis: Any, screen: OpenScreen) -> None:
    """And not again to the one who skipped it, while there is another."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    ann, ben = screen("ann"), screen("ben")
    ann.begin("topic")
    path = ann.path
    ann.press_and_go("s")
    assert ann.path != path
    ben.begin("topic")
    assert ben.path == path


def test_the_keys_are_shown_by_a_key(redis: Any, screen: OpenScreen) -> None:
    """While they are, keys decide nothing."""
    wait_for_people(redis, topic("a1"))
    ann = screen("ann")
    ann.begin("topic")
    ann.press("?", "1")
    assert ann.page.is_visible("#keys")
    assert not redis.exists(KEYS.decisions)
    ann.press("Escape")
    assert not ann.page.is_visible("#keys")
