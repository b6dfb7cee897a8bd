"""How sure a writing is: by its tokens, value by value, or by the vote of several."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.written_answers import JSON, RECORD, TEXT, pieced, task, wrote

from smallfirst.catalogue import Kind
from smallfirst.jobs import (
    Answer,
    Problem,
)
from smallfirst_workers.prompting.completions import Completion, places_of_values
from smallfirst_workers.prompting.parsing import read_writing, read_writings


def test_the_weakest_field_decides() -> None:
    """A record is as sure as the value it is least sure of; names and braces never count."""
    writing = pieced(
        ('{"a": ', 0.01), ("1", 0.9), (', "', 0.01), ('b": "', 0.7), ("x", 0.8), ('"}', 0.5)
    )
    fields = {"a": {"type": "integer"}, "b": {"type": "string"}}

    answer = read_writing(task(Kind.EXTRACT, fields=fields), TEXT, writing)

    assert answer.confidence == pytest.approx(0.7 * 0.8 * 0.5)


def test_a_token_shared_with_punctuation_counts_for_its_value() -> None:
    """Of a token that holds the end of one value and more, the value has all the doubt."""
    writing = pieced(('{"a":', 0.1), (' 1, "b":', 0.6), ("2", 0.9), ("}", 0.1))
    fields = {"a": {"type": "integer"}, "b": {"type": "integer"}}

    answer = read_writing(task(Kind.EXTRACT, fields=fields), TEXT, writing)

    assert answer.confidence == pytest.approx(0.6)


def test_a_character_in_several_tokens() -> None:
    """Tokens without a text of their own count for the value in whose middle they stand."""
    writing = pieced(('{"a": ', 1.0), ('"x', 0.5), ("", 0.5), ("é", 0.5), ('"', 1.0), ("}", 0.1))

    answer = read_writing(task(Kind.EXTRACT, fields={"a": {"type": "string"}}), TEXT, writing)

    assert answer.confidence == pytest.approx(0.125)


def test_the_end_token_is_beyond_the_text() -> None:
    """A piece after the text's last character is no value's."""
    writing = Completion(
        '{"a": 1}', ('{"a": ', "1", "}", "<|end|>"), (0.0, math.log(0.5), 0.0, -9.0), is_whole=True
    )

    answer = read_writing(task(Kind.EXTRACT, fields={"a": {"type": "integer"}}), TEXT, writing)

    assert answer.confidence == 0.5


def test_free_text_is_as_sure_as_its_tokens_on_average() -> None:
    """The geometric mean, so that a long answer is not unsure for its length."""
    answer = read_writing(task(Kind.GENERATE), TEXT, pieced(("a", 0.9), (" b", 0.4)))

    assert answer.confidence == pytest.approx(0.6)
    assert Completion("", (), (), is_whole=True).mean_probability == 0.0


def voted(kind: Kind, *texts: str) -> tuple[Answer | Problem, float]:
    """Let several writings vote; return the answer and how sure it is."""
    answer = read_writings(task(kind), TEXT, [wrote(text) for text in texts])
    return answer, 0.0 if isinstance(answer, Problem) else answer.confidence


def test_a_lone_writing_is_no_vote() -> None:
    """One answer is as sure as its own tokens."""
    assert voted(Kind.GENERATE, "a")[1] == 0.5


def test_votes_count_what_is_said_and_not_how_it_is_written() -> None:
    """The same record in another order and form is the same vote."""
    turned = json.dumps(dict(reversed(RECORD.items())), indent=1)

    assert voted(Kind.EXTRACT, json.dumps(RECORD), turned)[1] == 1.0


def test_many_verdicts_without_a_quote_are_not_sure() -> None:
    """What rests on nothing, and what is unsure, does not get sure by being said often."""
    made_up, unsure = '{"verdict":"yes","quote":"lies"}', '{"verdict":"unsure","quote":""}'

    assert voted(Kind.JUDGE, made_up, made_up, made_up)[1] == 0.0
    assert voted(Kind.JUDGE, unsure, unsure)[1] == 0.0


def test_no_answer_at_all_is_a_problem() -> None:
    """Where every writing fails, the first one's reason is told."""
    problem, _ = voted(Kind.EXTRACT, "[]", "{}")

    assert problem == Problem(code="invalid_answer", message="the model's answer is no JSON object")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{}", {}),
        (" \t\r\n{ \n } ", {}),
        ('{"a":1}', {"a": "1"}),
        (' { "a" \n:\t-1.5e3 \r, "b": true\n}\n', {"a": "-1.5e3", "b": "true"}),
        (r'{"a\"b": "c\\", "\u00e9": "}"}', {'a"b': r'"c\\"', "é": '"}"'}),
        ('{"日本": "😀, \\"x\\": {", "b": null}', {"日本": '"😀, \\"x\\": {"', "b": "null"}),
        ('{"a": {"b": [1, {"c": 2}]}, "d": []}', {"a": '{"b": [1, {"c": 2}]}', "d": "[]"}),
    ],
)
def test_values_are_found_where_they_stand(text: str, values: dict[str, str]) -> None:
    """Each place is that of a value and nothing around it, whatever the form of the object."""
    places = places_of_values(text)

    assert {name: text[start:end] for name, (start, end) in places.items()} == values


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.sampled_from([None, 0, 2]))
def test_every_value_is_found(record: dict[str, Any], indent: int | None) -> None:
    """For any object, each place holds what the reader reads."""
    text = json.dumps(record, indent=indent)

    found = {name: text[start:end] for name, (start, end) in places_of_values(text).items()}

    assert {name: json.dumps(json.loads(value)) for name, value in found.items()} == {
        name: json.dumps(value) for name, value in record.items()
    }
