"""What a model wrote: where each value of its JSON stands."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.written_answers import JSON

from smallfirst.kinds.completions import places_of_values


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
