"""Which keys of a request an endpoint takes."""

import pytest

from smallfirst_workers.llm.endpoint.dialect import CONSEQUENCES, OWN_KEYS, Dialect

REQUEST = {
    "model": "m",
    "messages": [],
    "max_completion_tokens": 9,
    "temperature": 0.0,
    "n": 1,
    "logprobs": True,
    "top_logprobs": 20,
    "response_format": {},
}


def test_nothing_is_left_out_unasked() -> None:
    """An endpoint that refuses nothing is sent everything."""
    assert Dialect().put(REQUEST) == REQUEST


@pytest.mark.parametrize("key", ["temperature", "n", "response_format", "top_logprobs"])
def test_a_key_that_was_refused_is_left_out(key: str) -> None:
    """And nothing beside it."""
    put = Dialect().without(key).put(REQUEST)
    assert set(REQUEST) - set(put) == {key}


def test_probabilities_of_others_go_with_those_of_the_answer() -> None:
    """Without the one, the other is refused."""
    put = Dialect().without("logprobs").put(REQUEST)
    assert set(REQUEST) - set(put) == {"logprobs", "top_logprobs"}


def test_the_bound_has_an_older_name() -> None:
    """A server that knows only that one is sent the same bound under it."""
    put = Dialect().without("max_completion_tokens").put(REQUEST)
    assert (put["max_tokens"], "max_completion_tokens" in put) == (9, False)


def test_a_key_is_done_without_once() -> None:
    """Of those that nobody can do without, and those refused again, nothing is learnt."""
    assert all(Dialect().can_do_without(key) for key in CONSEQUENCES)
    assert not any(Dialect(frozenset({key})).can_do_without(key) for key in CONSEQUENCES)
    assert not any(Dialect().can_do_without(key) for key in OWN_KEYS - set(CONSEQUENCES))
    assert not Dialect().can_do_without("messages")
