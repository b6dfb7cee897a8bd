"""Laws of what to label next: what covers most of what is unsure, and nothing twice."""

import numpy as np
import pytest

from smallfirst.fitting.telling import most_telling, one_of_each, similarities, unsureness
from smallfirst.linear.probabilities import Floats, normalise


def crowds(sizes: tuple[int, ...], seed: int = 5) -> Floats:
    """Vectors of length 1 in crowds of such sizes, each around a direction of its own."""
    chance = np.random.default_rng(seed)
    middles = np.repeat(np.eye(len(sizes), 8), sizes, axis=0)
    return normalise(np.asarray(middles + 0.1 * chance.random(middles.shape), np.float32))


def chosen(vectors: Floats, count: int, covered: Floats, weights: Floats) -> list[int]:
    """What is chosen of vectors."""
    return most_telling(similarities(vectors, vectors), covered, weights, count)


def test_the_largest_crowd_comes_first_and_none_twice() -> None:
    """One of each crowd is chosen, by how many each stands for, before any second one."""
    vectors, ones = crowds((3, 9, 5)), np.ones(17, np.float32)
    first = chosen(vectors, 3, np.zeros(17, np.float32), ones)
    crowd = np.repeat([0, 1, 2], (3, 9, 5))
    assert [int(crowd[at]) for at in first] == [1, 2, 0]


def test_what_is_labelled_is_not_asked_for_again() -> None:
    """A crowd that has a labelled text comes last, however large it is."""
    vectors, ones = crowds((3, 9, 5)), np.ones(17, np.float32)
    covered = similarities(vectors, vectors[3:4]).max(axis=1)
    crowd = np.repeat([0, 1, 2], (3, 9, 5))
    assert [int(crowd[at]) for at in chosen(vectors, 2, covered, ones)] == [2, 0]


def test_a_small_crowd_that_is_unsure_comes_before_a_large_one_that_is_sure() -> None:
    """What there is to tell counts, not how many texts there are."""
    weights = np.repeat(np.array([1.0, 0.05], np.float32), (3, 9))
    assert chosen(crowds((3, 9)), 1, np.zeros(12, np.float32), weights)[0] < 3


@pytest.mark.parametrize("seed", range(5))
def test_lazy_is_the_same_as_looking_at_all_each_time(seed: int) -> None:
    """Gains only shrink, so that an old gain that is beaten need not be looked at again."""
    chance = np.random.default_rng(seed)
    vectors = normalise(chance.random((40, 6), np.float32))
    likeness, weights = similarities(vectors, vectors), chance.random(40, np.float32)
    covered, plain = np.zeros(40, np.float32), []
    for _ in range(10):
        gains = [float(weights @ np.maximum(row - covered, 0)) for row in likeness]
        gains = [gain if at not in plain else -1.0 for at, gain in enumerate(gains)]
        plain.append(int(np.argmax(gains)))
        covered = np.maximum(covered, likeness[plain[-1]])
    assert most_telling(likeness, np.zeros(40, np.float32), weights, 10) == plain


def test_no_more_are_chosen_than_there_are() -> None:
    """All of them, each once."""
    vectors, ones = crowds((2, 3)), np.ones(5, np.float32)
    assert sorted(chosen(vectors, 99, np.zeros(5, np.float32), ones)) == [0, 1, 2, 3, 4]


def test_unsure_is_who_has_two_answers_alike() -> None:
    """By the margin of the first over the second; of several labels, by the least sure one."""
    one = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [0.4, 0.3, 0.3]], np.float32)
    assert unsureness(one, is_choice=True) == pytest.approx([1.0, 0.2, 0.9], abs=1e-6)
    each = np.array([[0.5, 1.0], [0.9, 0.1]], np.float32)
    assert unsureness(each, is_choice=False) == pytest.approx([1.0, 0.2], abs=1e-6)


def test_one_of_those_that_are_alike_stands_for_all() -> None:
    """With their weight together; and none of those of which one is labelled."""
    taken = np.array([False, False, False, False, True])
    weights = np.array([1, 2, 4, 8, 99], np.float32)
    kept, sums = one_of_each([0, 0, 2, 3, 3], weights, taken)
    assert kept.tolist() == [0, 2]
    assert sums.tolist() == [3, 4]
