"""How sure a writing is: by its tokens, value by value."""

import math

import pytest
from tests.support.written_answers import TEXT, pieced, read_writing, task

from smallfirst.catalogue import Kind
from smallfirst.kinds.completions import Completion


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


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, 0.1, 1e6])
def test_a_model_that_has_broken_down_is_sure_of_nothing(nonsense: float) -> None:
    """Not a number, or more than certain: the writing tells nothing of how sure it is."""
    writing = Completion("ab", ("a", "b"), (math.log(0.9), nonsense), is_whole=True)

    assert (writing.mean_probability, writing.probability(0, 2)) == (0.0, 0.0)
    assert writing.probability(0, 1) == pytest.approx(0.9)


def test_certain_is_certain() -> None:
    """What rounding put above 0 is 0, and what cannot be is impossible."""
    for logprob, probability in ((1e-6, 1.0), (-math.inf, 0.0)):
        writing = Completion("a", ("a",), (logprob,), is_whole=True)
        assert (writing.mean_probability, writing.probability(0, 1)) == (probability, probability)
