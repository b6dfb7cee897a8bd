"""What an endpoint is sent, and how what it wrote is read."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from smallfirst.answers import (
    Answer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    SpansAnswer,
    TextAnswer,
)
from smallfirst.catalogue import Example, Kind, ModelStep, Task
from smallfirst.jobs import Problem
from smallfirst_workers.llm.endpoint.completions import read_completion
from smallfirst_workers.llm.endpoint.replies import Choice, read_reply
from smallfirst_workers.llm.endpoint.requests import EXAMPLES_CHARS, request_of, template_of

STEP = ModelStep(model="far")
TOPIC = Task(kind=Kind.CLASSIFY, labels={"a": "", "b": ""}, cascade=(STEP,))
TAGS = Task(kind=Kind.MULTILABEL, labels={"a": "", "b": ""}, cascade=(STEP,))
SPANS = Task(kind=Kind.TAG, labels={"name": ""}, cascade=(STEP,))
REPLY = Task(kind=Kind.GENERATE, cascade=(STEP,))
RECORD = Task.model_validate(
    {"kind": "extract", "fields": {"n": {"type": "integer"}}, "cascade": [{"model": "far"}]}
)


def told(content: str, chance: float) -> dict[str, Any]:
    """Each character as a token, all equally likely."""
    characters = [
        {"token": "?", "bytes": [byte], "logprob": math.log(chance), "top_logprobs": []}
        for byte in content.encode()
    ]
    return {"content": characters, "refusal": None}


def completion(
    *contents: str, chance: float | None = None, end: str = "stop", hidden: int = 0
) -> Sequence[Choice | None]:
    """What an endpoint wrote, as it is read, but for so many characters that it does not show."""
    choices = [
        {
            "index": index,
            "finish_reason": end,
            "message": {"role": "assistant", "content": content[hidden:]},
            "logprobs": None if chance is None else told(content, chance),
        }
        for index, content in enumerate(contents)
    ]
    reply = read_reply(json.dumps({"choices": choices}).encode())
    assert reply is not None
    return reply.choices


def read(task: Task, text: str, choices: Sequence[Choice | None]) -> Answer | Problem:
    """Read an answer of which nothing is missing."""
    return read_completion(template_of(task), text, choices, num_asked=len(choices))


@pytest.mark.parametrize("task", [TOPIC, TAGS, SPANS, RECORD])
def test_every_schema_is_of_an_object_that_is_closed(task: Task) -> None:
    """The strict form that hosted models take: all keys required, no others."""
    sent = request_of(template_of(task), "x", model="m")["response_format"]["json_schema"]
    assert sent["strict"] is True
    schema = sent["schema"]
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["required"] == list(schema["properties"])


def test_examples_are_written_as_the_answer_is_to_be() -> None:
    """A label in an example stands under the key, escaped, as in the schema."""
    task = TOPIC.model_copy(update={"labels": {'a"b': "", "c": ""}})
    task = task.model_copy(update={"examples": (Example(text="x", label='a"b'),)})
    said = [m["content"] for m in template_of(task).shared if m["role"] == "assistant"]
    assert [json.loads(each) for each in said] == [{"label": 'a"b'}]


def test_examples_are_bounded_by_characters() -> None:
    """Each is paid for with every job: those that are too long make room for shorter ones."""
    long = Example(text="x" * EXAMPLES_CHARS, label="a")
    short = Example(text="y" * 100, label="b")
    task = TOPIC.model_copy(update={"examples": (long, short, short)})
    assert [m["role"] for m in template_of(task).shared] == ["system", *["user", "assistant"] * 2]


def test_votes_are_drawn_at_once() -> None:
    """Several answers are one request, and must be free to differ."""
    request = request_of(template_of(TOPIC), "x", model="m", num=4, varied=True)
    assert (request["n"], request["temperature"]) == (4, 0.7)
    assert request_of(template_of(TOPIC), "x", model="m")["temperature"] == 0.0


def test_a_label_without_probabilities_is_not_sure_at_all() -> None:
    """So no threshold above 0 accepts it."""
    answer = read(TOPIC, "x", completion('{"label": "a"}'))
    assert answer == LabelAnswer(label="a", confidence=0.0)


@pytest.mark.parametrize(
    ("task", "content"),
    [
        (TAGS, '{"labels": ["a"]}'),
        (SPANS, '{"spans": []}'),
        (RECORD, '{"n": 1}'),
    ],
)
def test_no_answer_without_probabilities_is_sure_at_all(task: Task, content: str) -> None:
    """The same for every kind."""
    answer = read(task, "x", completion(content))
    assert not isinstance(answer, Problem)
    assert answer.confidence == 0.0


def test_what_is_under_the_key_has_its_own_tokens_probability() -> None:
    """The object around a list does not count."""
    answer = read(TAGS, "x", completion('{"labels": ["a"]}', chance=0.5))
    assert answer == LabelsAnswer(labels=("a",), confidence=0.5)


def test_a_record_is_read_as_it_stands() -> None:
    """Its value is one token here, and that is how sure it is."""
    answer = read(RECORD, "x", completion('{"n": 7}', chance=0.5))
    assert answer == RecordAnswer(record={"n": 7}, confidence=0.5)


def test_characters_of_several_tokens_are_put_together() -> None:
    """Bytes of one character come one by one, and places in the text stay right."""
    content = '{"spans": [{"text": "Zoë", "label": "name"}]}'
    answer = read(SPANS, "Dr. Zoë Ott", completion(content, chance=0.9))
    assert isinstance(answer, SpansAnswer)
    assert [(span.start, span.end) for span in answer.spans] == [(4, 7)]
    assert answer.confidence == pytest.approx(0.9)


def test_tokens_that_are_not_the_answers_tell_nothing() -> None:
    """Thoughts that a server counts and does not show must not be taken for the answer's tokens."""
    thought = "I think "
    found = completion(thought + '{"label": "a"}', chance=0.9, hidden=len(thought))
    answer = read(TOPIC, "x", found)
    assert answer == LabelAnswer(label="a", confidence=0.0)


def test_votes_for_labels_are_counted() -> None:
    """What was no label is a vote for nothing."""
    said = ['{"label": "a"}', '{"label": "a"}', '{"label": "b"}', '{"label": "zzz"}']
    answer = read(TOPIC, "x", completion(*said))
    assert isinstance(answer, LabelAnswer)
    assert (answer.label, answer.confidence) == ("a", 0.5)
    assert answer.distribution == pytest.approx({"a": 2 / 3, "b": 1 / 3}, abs=1e-6)


@pytest.mark.parametrize(
    "content", ["", "a", '"a"', "[]", '{"label": ["a"]}', '{"label": "c"}', "[" * 100_000, "{"]
)
def test_what_is_no_label_is_a_problem_without_a_word_of_it(content: str) -> None:
    """Whatever a server sends, it ends in an answer of the contract."""
    answer = read(TOPIC, "x", completion(content))
    assert isinstance(answer, Problem)
    assert answer.code == "invalid_answer"


@pytest.mark.parametrize("content", ["", "[", '{"labels": [', '{"labels": 3}', '["a"]', "{" * 9999])
def test_what_is_no_list_is_a_problem(content: str) -> None:
    """The same for what stands under a key, but for a list that stands alone: it is one."""
    answer = read(TAGS, "x", completion(content, chance=0.5))
    if content == '["a"]':
        assert answer == LabelsAnswer(labels=("a",), confidence=0.5)
    else:
        assert isinstance(answer, Problem)


def test_an_answer_that_was_cut_off_is_a_problem() -> None:
    """Half a list must not be taken for a whole one."""
    cut = completion('{"labels": ["a"]}', chance=0.5, end="length")
    assert isinstance(read(TAGS, "x", cut), Problem)


@pytest.mark.parametrize("end", ["stop", "eos_token", "stop_sequence", "tool_calls", "end_turn"])
def test_an_answer_that_is_whole_is_one_whatever_its_ending_is_called(end: str) -> None:
    """Servers have many words for an ending that is the model's own."""
    found = completion('{"labels": ["a"]}', chance=0.5, end=end)
    assert read(TAGS, "x", found) == LabelsAnswer(labels=("a",), confidence=0.5)


@pytest.mark.parametrize("task", [TOPIC, TAGS, SPANS, RECORD, REPLY])
def test_what_a_filter_kept_back_is_named_as_that(task: Task) -> None:
    """Whatever is left of it is no answer, and it is not said to be too long."""
    answer = read(task, "x", completion("", end="content_filter"))
    assert isinstance(answer, Problem)
    assert "content filter" in answer.message


def test_a_reply_that_was_cut_says_so() -> None:
    """It is an answer all the same, and may break off in mid-sentence."""
    cut, whole = (completion("Dear Ann, we", end=end) for end in ("length", "stop"))
    assert read(REPLY, "x", cut) == TextAnswer(text="Dear Ann, we", confidence=0.0, cut=True)
    assert read(REPLY, "x", whole) == TextAnswer(text="Dear Ann, we", confidence=0.0)


def test_what_is_missing_is_a_vote_for_nothing() -> None:
    """One answer of five that were asked for is a fifth of them, however sure its tokens were."""
    found = completion('{"label": "a"}', chance=0.99)
    answer = read_completion(template_of(TOPIC), "x", found, num_asked=5)
    assert isinstance(answer, LabelAnswer)
    assert answer.confidence == 0.2


@pytest.mark.parametrize(
    ("task", "content"),
    [
        (TOPIC, '<think>\na or b\n</think>\n\n{"label": "a"}'),
        (TOPIC, '```json\n{"label": "a"}\n```'),
        (RECORD, '<think>x</think>```\n{"n": 7}\n```'),
        (REPLY, "so it is\n</think>\n\nHello."),
    ],
)
def test_a_thought_and_a_fence_are_no_part_of_an_answer(task: Task, content: str) -> None:
    """A model without a parser of thoughts, held by no schema, answers, as sure as its tokens."""
    answer = read(task, "x", completion(content, chance=0.9))

    assert not isinstance(answer, Problem)
    assert answer.confidence >= 0.9
    if isinstance(answer, TextAnswer):
        assert answer.text == "Hello."
