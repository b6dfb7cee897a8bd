"""How often two people agree, and how far beyond chance."""

from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.agreement.measuring import PairRecord, agreement_of, alpha_of, kappa_of


def pairs(ones: Iterable[str], others: Iterable[str]) -> list[PairRecord]:
    """What two people said of jobs."""
    both = zip(ones, others, strict=True)
    return [PairRecord(people=("p", "q"), said=said, decided_ms=n) for n, said in enumerate(both)]


def test_kappa_is_as_published() -> None:
    """Of 50 applications two readers say yes to 20 and no to 15 both: kappa is 0.4."""
    said = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa_of(said) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("ones", "others", "alpha"),
    [("0100000010", "1110010000", 0.095), ("aabbdcccedda", "babbbccceddd", 0.692)],
)
def test_alpha_is_as_published(ones: str, others: str, alpha: float) -> None:
    """Krippendorff's own examples A and B, nominal."""
    assert alpha_of(pairs(ones, others)) == pytest.approx(alpha, abs=0.0006)


def test_where_nobody_differs_from_anybody_there_is_no_measure_beyond_chance() -> None:
    """The share that agrees is told all the same."""
    found = agreement_of(pairs("aaa", "aaa"))
    assert found is not None
    assert (found.raw, found.alpha, found.pairs[0].kappa) == (1.0, None, None)
    assert agreement_of([]) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_who_answered_first_makes_no_difference(said: list[tuple[str, str]]) -> None:
    """Neither to what two people's kappa is, nor to which two they are."""
    forward = [PairRecord(people=("p", "q"), said=each, decided_ms=0) for each in said]
    mixed = [
        PairRecord(people=("q", "p"), said=(each.said[1], each.said[0]), decided_ms=0)
        if n % 2
        else each
        for n, each in enumerate(forward)
    ]
    assert agreement_of(forward) == agreement_of(mixed)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_alpha_is_of_all_answers_whoever_gave_them(said: list[tuple[str, str]]) -> None:
    """From its definition: what differs within jobs, by what differs among all answers."""
    alpha = alpha_of(pairs(*zip(*said, strict=True)))
    answers = [each for both in said for each in both]
    within = sum(one != other for one, other in said) / len(said)
    among = [one != other for one, other in permutations(answers, 2)]
    expected = None if not any(among) else 1 - within / (sum(among) / len(among))
    assert alpha == (expected if expected is None else pytest.approx(expected))
