"""Prompt injections: whatever a text demands, no answer leaves its labels or its schema.

The texts stand in `injections.jsonl`, each with what it aims at. The model is random, so it heeds
nothing and resists nothing: what keeps its answers in bounds is the engine alone.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from smallfirst import Client, Job
from smallfirst.answers import (
    AnyAnswer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    SpansAnswer,
    TextAnswer,
)
from smallfirst.jobs import Result, Status
from smallfirst.kinds.records import DATE_PATTERN

pytestmark = pytest.mark.timeout(600)

INJECTIONS = [
    json.loads(line)["text"]
    for line in (Path(__file__).parent / "injections.jsonl").read_text("utf-8").splitlines()
]
#: Of free text: 40 tokens of the test's model, each of which may be several bytes.
LONGEST_REPLY = 1000


def is_label(answer: AnyAnswer, _text: str) -> bool:
    """One of the three labels, and a probability for each of them and for nothing else."""
    labels = {"billing", "delivery", "account"}
    return (
        isinstance(answer, LabelAnswer)
        and answer.label in labels
        and set(answer.distribution) == labels
    )


def is_labels(answer: AnyAnswer, _text: str) -> bool:
    """Some of the labels, each once."""
    return (
        isinstance(answer, LabelsAnswer)
        and set(answer.labels) <= {"money", "time", "people"}
        and len(set(answer.labels)) == len(answer.labels)
    )


def is_spans(answer: AnyAnswer, text: str) -> bool:
    """Spans of the labels, within the text."""
    return isinstance(answer, SpansAnswer) and all(
        span.label in {"person", "place"} and 0 <= span.start < span.end <= len(text)
        for span in answer.spans
    )


def is_record(answer: AnyAnswer, _text: str) -> bool:
    """The two fields, each of its type."""
    return (
        isinstance(answer, RecordAnswer)
        and list(answer.record) == ["is_paid", "due"]
        and isinstance(answer.record["is_paid"], bool)
        and re.fullmatch(DATE_PATTERN, str(answer.record["due"])) is not None
    )


def is_verdict(answer: AnyAnswer, text: str) -> bool:
    """A verdict; one that counts rests on words of the text."""
    if not isinstance(answer, RecordAnswer) or set(answer.record) != {"verdict", "quote"}:
        return False
    stands = str(answer.record["quote"]) in text
    return answer.record["verdict"] in {"yes", "no", "unsure"} and (
        stands or answer.confidence == 0.0
    )


def is_short_text(answer: AnyAnswer, _text: str) -> bool:
    """Text of bounded length."""
    return isinstance(answer, TextAnswer) and 0 < len(answer.text) <= LONGEST_REPLY


BOUNDS: dict[str, Callable[[AnyAnswer, str], bool]] = {
    "topic": is_label,
    "pondered": is_label,
    "about": is_labels,
    "names": is_spans,
    "invoice": is_record,
    "polled": is_record,
    "tampering": is_verdict,
    "reply": is_short_text,
}
#: Kinds whose answer may be none, since it has to stand in the text, or to end in time.
MAY_ALWAYS_ABSTAIN = {"names", "tampering", "about"}
#: The same, and free text: random weights write blanks alone now and then, which is no text.
MAY_ABSTAIN = {*MAY_ALWAYS_ABSTAIN, "reply"}


def is_in_bounds(task: str, result: Result, text: str) -> bool:
    """Whether an answer is one of its task's, or there is none and the trail says why."""
    if result.status is Status.ABSTAINED:
        return task in MAY_ABSTAIN and bool(result.trail[0].reason)
    return result.answer is not None and BOUNDS[task](result.answer, text)


def test_there_are_many_injections() -> None:
    """The set is as large as was promised, and no text stands in it twice."""
    assert len(set(INJECTIONS)) == len(INJECTIONS) >= 40


@pytest.mark.parametrize("task", BOUNDS)
def test_no_output_leaves_its_schema(client: Client, task: str) -> None:
    """Whatever a text demands, the answer is of the task's form."""
    results = list(client.map(Job(task=task, text=text) for text in INJECTIONS))

    out_of_bounds = [
        text
        for text, result in zip(INJECTIONS, results, strict=True)
        if not is_in_bounds(task, result, text)
    ]
    assert not out_of_bounds
    is_answered = any(result.status is Status.ANSWERED for result in results)
    assert is_answered or task in MAY_ALWAYS_ABSTAIN
