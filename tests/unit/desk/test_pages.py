"""What a job's page shows: the whole text, and what machines said of it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.shapes import attempt_for, slip_for

from smallfirst.answers import (
    Answer,
    Evidence,
    Explanation,
    ExplanationMethod,
    LabelAnswer,
    LikeExample,
    Span,
    SpansAnswer,
    TextAnswer,
)
from smallfirst.catalogue import Example, Kind, Task
from smallfirst.catalogue.likeness import text_key
from smallfirst.jobs import Job, Outcome, Tier
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst_desk.pages import (
    choices_of,
    do_differ,
    page_of,
    span_in_words,
    steps_said,
    stretches_of,
    suggested,
    took_in_words,
)
from smallfirst_desk.row_texts import RowTexts

LABELS = {"a": "one", "b": "two"}
TASK = Task.model_validate(
    {"kind": "classify", "labels": LABELS, "cascade": [{"person": {"wait": "1h"}}]}
)
TAGGED = TASK.model_copy(update={"kind": Kind.TAG})


def held(*answers: Answer, text: str = "a letter of Marta", kept: tuple[Span, ...] = ()) -> HeldJob:
    """A job with what steps said of it."""
    trail = tuple(
        attempt_for(
            step=number,
            tier=Tier.RULE if isinstance(answer, SpansAnswer) and number == 0 else Tier.SLM,
            outcome=Outcome.ESCALATED,
            confidence=answer.confidence,
            answer=answer,
        )
        for number, answer in enumerate(answers)
    )
    slip = slip_for(trail=trail, kept_spans=kept)
    return HeldJob(StreamEntry("s", "1-0", {}), Job(id="a1", task="topic", text=text), slip)


@given(st.text(min_size=1, max_size=50), st.data())
def test_the_stretches_of_a_text_are_the_text(text: str, data: st.DataObject) -> None:
    """Whatever is marked in it, and though evidence overlaps: nothing is left out or doubled."""
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    pairs = [(min(p), max(p)) for p in data.draw(st.lists(places, max_size=8)) if p[0] != p[1]]
    evidence = [Evidence(start=s, end=e, weight=1.0) for s, e in pairs]
    spans: list[Span] = []
    for start, end in sorted(pairs):
        if not spans or spans[-1].end <= start:
            spans.append(Span(start=start, end=end, label="a"))
    found = stretches_of(text, spans, evidence, list(LABELS))
    assert "".join(each.text for each in found) == text
    marked = {n for span in spans for n in range(span.start, span.end)}
    shown = {n for e in found if e.label for n in range(e.start, e.start + len(e.text))}
    assert shown == marked


def test_a_long_text_of_many_marks_is_cut_at_once() -> None:
    """A page of 200,000 characters is not waited for."""
    text = "word " * 40_000
    spans = [Span(start=n, end=n + 4, label="a") for n in range(0, len(text), 50)]
    evidence = [Evidence(start=n, end=n + 9, weight=1.0) for n in range(0, len(text) - 9, 40)]
    began = time.process_time()
    found = stretches_of(text, spans, evidence, ["a"])
    assert "".join(each.text for each in found) == text
    assert time.process_time() - began < 2


def test_the_surest_model_is_suggested_with_what_rules_were_sure_of() -> None:
    """A rule is certain of what it found, and knows nothing of the rest."""
    card = Span(start=0, end=1, label="a")
    name = Span(start=12, end=17, label="b", confidence=0.6)
    job = held(
        SpansAnswer(spans=(card,), confidence=1.0),
        SpansAnswer(spans=(name,), confidence=0.6),
        kept=(card,),
    )
    answer = suggested(job, TAGGED)
    assert isinstance(answer, SpansAnswer)
    assert answer.spans == (card, name)


def test_steps_that_gave_different_answers_are_told_of() -> None:
    """However sure each was."""
    a, b = (LabelAnswer(label=label, confidence=0.5) for label in "ab")
    assert do_differ(held(a, b).slip.trail, TASK)
    assert not do_differ(held(a, a).slip.trail, TASK)
    assert not do_differ(held().slip.trail, TASK)


def test_keys_follow_the_catalogue_and_not_the_machine() -> None:
    """Who answers by key relies on it; nine have one."""
    answer = LabelAnswer(label="b", confidence=0.6, distribution={"b": 0.6})
    found = choices_of(TASK, answer)
    assert [(each.label, each.key, each.is_suggested, each.share) for each in found] == [
        ("a", "1", False, None),
        ("b", "2", True, 60),
    ]
    labels = {f"l{n}": "one" for n in range(12)}
    many = choices_of(TASK.model_copy(update={"labels": labels}), None)
    assert [each.key for each in many] == [*"123456789", "", "", ""]


def test_rows_are_shown_with_the_texts_that_are_here() -> None:
    """Long ones cut, and nothing in place of one that is not here."""
    texts = {"k1": "Where is it?", "k2": "x" * 301}
    alike = tuple(
        LikeExample(number=number, labels=labels, key=key, likeness=0.254)
        for number, key, labels in ((1, "k1", ("a",)), (2**40, "k2", ()), (3, None, ("a", "b")))
    )
    explanation = Explanation(method=ExplanationMethod.STATES, label="a", alike=alike)
    answer = LabelAnswer(label="a", confidence=0.5, explanation=explanation)
    page = page_of(held(answer), TASK, row_text=lambda key: texts.get(key or "", ""))
    assert [(row.labels, row.likeness, row.is_cut, row.text) for row in page["alike"]] == [
        ("a", 25, False, "Where is it?"),
        ("none of the labels", 25, True, "x" * 300),
        ("a, b", 25, False, ""),
    ]
    assert page_of(held(TextAnswer(text="well", confidence=0.9)), TASK)["alike"] == []
    assert page_of(held(), TASK)["alike"] == []


def test_a_row_is_found_by_its_words_wherever_it_stands() -> None:
    """And no more once the catalogue has it no more."""
    rows = RowTexts()
    examples = tuple(Example(text=text, label="a") for text in ("Who?", "Where is it?"))
    before = TASK.model_copy(update={"examples": examples})
    after = TASK.model_copy(update={"examples": examples[:1]})
    key = text_key("where IS it")
    assert rows.of("topic", before)[key] == "Where is it?"
    assert rows.of("topic", before) is rows.of("topic", before)
    assert key not in rows.of("topic", after)
    assert rows.of("other", TASK) == {}


def test_an_answer_of_another_kind_is_shown_and_not_suggested() -> None:
    """As where the task's kind was changed while its jobs were on their way."""
    job = held(TextAnswer(text="well", confidence=0.9))
    page = page_of(job, TASK)
    assert [step.said for step in page["steps"]] == ["well"]
    assert not page["has_suggestion"]


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, ""),
        (-5, "0 s"),
        (59_000, "59 s"),
        (61_000, "1 min"),
        (7_800_000, "2 h 10 min"),
        (7_200_000, "2 h"),
        (200 * 3_600_000, "8 d"),
    ],
)
def test_a_span_of_time_is_said_as_people_say_it(ms: int | None, words: str) -> None:
    """Never less than nothing."""
    assert span_in_words(ms) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(6e-6, "under 1 ms"), (0.0234, "23 ms"), (1.44, "1.4 s")]
)
def test_what_a_step_took_is_said_as_people_say_it(seconds: float, words: str) -> None:
    """No power of ten meets a reviewer."""
    assert took_in_words(seconds) == words


def test_a_rule_that_matched_nowhere_found_nothing() -> None:
    """Only who answered was not sure enough; who was passed over for a reason tells that."""
    silent = attempt_for(outcome=Outcome.ESCALATED, tier=Tier.RULE)
    told = attempt_for(outcome=Outcome.ESCALATED, reason="the text is too long")
    answer = LabelAnswer(label="a", confidence=0.4)
    unsure = attempt_for(outcome=Outcome.ESCALATED, answer=answer, confidence=0.4)

    assert [step.outcome for step in steps_said((silent, told, unsure), "a letter")] == [
        "found nothing",
        "not sure enough",
        "not sure enough",
    ]
