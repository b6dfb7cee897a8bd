"""Which answer stands of several people's, and when another person is asked."""

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.agreement.deciding import Standing, is_check_wrong, standing_of

answers = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)


def test_of_one_reviewer_the_first_answer_stands() -> None:
    """Nobody else is asked."""
    assert standing_of(["a"], 1) == Standing((0,), 1)


def test_two_who_agree_are_enough_and_two_who_differ_are_not() -> None:
    """A third is asked exactly where they differ."""
    assert standing_of(["a"], 2) is None
    assert standing_of(["a", "a"], 2) == Standing((0, 1), 2)
    assert standing_of(["a", "b"], 2) is None


@given(st.sampled_from("ab"), st.sampled_from("abc"))
def test_a_third_always_decides(first: str, third: str) -> None:
    """What two of three give stands; where all differ the third's does, not agreed."""
    keys = [first, "z", third]
    found = standing_of(keys, 2)
    assert found is not None
    assert found.is_agreed == (keys.count(third) > 1)
    assert [keys[place] for place in found.agreeing] == [third] * len(found.agreeing)


@given(answers)
def test_an_answer_stands_that_two_give_whenever_two_do(keys: list[str]) -> None:
    """As far as people are asked at all: it is the last one's, since nobody is asked after it."""
    asked = next((keys[:n] for n in (1, 2, 3) if standing_of(keys[:n], 2)), keys)
    found = standing_of(asked, 2)
    twice = {key for key in asked if asked.count(key) > 1}
    assert not twice or (found is not None and twice == {asked[-1]})


@given(st.lists(st.sampled_from("mabc"), min_size=3, max_size=3))
def test_a_check_is_wrong_only_where_two_people_say_so(said: list[str]) -> None:
    """And right where one of the first two, unshown it, gives the machine's answer."""
    differs = [each != "m" for each in said]
    told = [is_check_wrong(differs[:n], said[:n]) for n in (1, 2, 3)]
    ending = next(each for each in told if each is not None)
    assert ending in {True, False}
    if ending:
        assert sum(differs) >= 2
    if not all(differs[:2]):
        assert ending is False


def test_nobody_looks_again_at_what_the_first_finds_right() -> None:
    """And a third looks only where the first two agree neither with the machine nor each other."""
    assert is_check_wrong([False], ["m"]) is False
    assert is_check_wrong([True], ["a"]) is None
    assert is_check_wrong([True, True], ["a", "a"]) is True
    assert is_check_wrong([True, True], ["a", "b"]) is None
