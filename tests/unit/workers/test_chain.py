"""Laws of deciding about the words of a text together."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smallfirst.catalogue import Kind
from smallfirst.linear.probabilities import Floats, softmax
from smallfirst_workers.encoding.states import WordStates
from smallfirst_workers.encoding.words import find_words
from smallfirst_workers.heads.chain import Chain, Outputs
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.heads.surroundings import own_width, with_surroundings, writing
from smallfirst_workers.heads.tagging import TaggedText, fit_tagger

SCORES = st.floats(-6, 6, width=32)
CHAINS = st.builds(
    Chain, arrays(np.float32, 3, elements=SCORES), arrays(np.float32, (3, 3), elements=SCORES)
)
WORDS = st.integers(1, 5).flatmap(lambda n: arrays(np.float32, (n, 3), elements=SCORES))


def every_path(chain: Chain, alone: Floats) -> tuple[Outputs, Floats]:
    """All paths through a text, and the score of each, one by one."""
    paths = np.array(list(itertools.product(range(3), repeat=len(alone))))
    scores = chain.first[paths[:, 0]] + np.log(np.maximum(alone[0], 1e-9))[paths[:, 0]]
    for word in range(1, len(alone)):
        scores = scores + chain.steps[paths[:, word - 1], paths[:, word]]
        scores = scores + np.log(np.maximum(alone[word], 1e-9))[paths[:, word]]
    return paths, scores


@given(CHAINS, WORDS)
def test_no_path_is_better_than_the_best(chain: Chain, logits: Floats) -> None:
    """The path found has the score of the best of all."""
    alone = softmax(logits)
    paths, scores = every_path(chain, alone)

    found = chain.best_path(alone)

    [place] = np.flatnonzero((paths == found).all(axis=1))
    assert scores[place] == pytest.approx(scores.max(), abs=1e-3)


@given(CHAINS, WORDS)
def test_a_word_is_as_probable_as_the_paths_through_it(chain: Chain, logits: Floats) -> None:
    """Marginals are sums over all paths, and so is the loss of the right one."""
    alone = softmax(logits)
    paths, scores = every_path(chain, alone)
    shares = softmax(scores)

    marginals = chain.marginals(alone)
    losses = chain.log_losses(alone, paths[0], np.array([1], np.float32))

    for output in range(3):
        through = (shares[:, None] * (paths == output)).sum(axis=0)
        assert marginals[:, output] == pytest.approx(through, abs=1e-3)
    assert losses[0] == pytest.approx(np.logaddexp.reduce(scores) - scores[0], abs=1e-2)


def test_a_long_text_neither_underflows_nor_overflows() -> None:
    """Ten thousand words of which none is known stay probabilities."""
    alone = np.full((10_000, 3), 1e-12, np.float32)
    alone[::2, 0] = alone[1::2, 1] = 1.0
    chain = Chain.counted([np.zeros(500, np.int64)], 3)

    marginals = chain.marginals(alone)

    assert np.isfinite(marginals).all()
    assert marginals.sum(axis=1) == pytest.approx(np.ones(10_000), abs=1e-4)


def test_a_chain_that_does_not_count_changes_nothing() -> None:
    """With weight 0 each word is decided by itself, with its own probability."""
    alone = softmax(np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32))
    chain = Chain.counted([np.array([0, 0, 1, 1, 1, 0])], 3).weighted(0)

    assert (chain.best_path(alone) == alone.argmax(axis=1)).all()
    assert chain.marginals(alone) == pytest.approx(alone, abs=1e-5)


def test_a_text_without_words_has_an_empty_path() -> None:
    """Nothing to decide is decided."""
    chain, nothing = Chain.counted([np.array([0, 1])], 2), np.zeros((0, 2), np.float32)

    assert chain.best_path(nothing).shape == (0,)
    assert chain.marginals(nothing).shape == (0, 2)


def test_an_unsure_word_inside_a_span_belongs_to_it() -> None:
    """What the examples never break stays whole: the comma of an address."""
    learned = [np.array([0, 0, 1, 1, 1, 1, 0, 0])] * 20
    alone = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.1, 0.9], [0.9, 0.1]], np.float32)
    chain = Chain.counted(learned, 2)

    assert chain.best_path(alone).tolist() == [0, 1, 1, 1, 0]
    assert chain.marginals(alone)[2, 1] > 0.5


def test_how_a_word_is_written_is_told_of_it_and_its_neighbours() -> None:
    """Capitals and commas are seen of three words; the word's own state stands first."""
    text = "Elm Row, Leeds"
    places = find_words(text)
    words = WordStates(places, np.eye(len(places), 6, dtype=np.float32), np.ones(len(places), int))

    marks, vectors = writing(text, places), with_surroundings(text, words)

    assert marks[:, 0].tolist() == [1, 1, 0, 1]
    assert vectors.shape == (4, 3 * (6 + marks.shape[1]))
    assert own_width(vectors.shape[1]) == 6
    assert (vectors[:, :6] == words.vectors).all()


def test_how_much_the_chain_counts_is_chosen_on_texts_left_out() -> None:
    """Where words alone tell everything it counts little, and where they tell little it does."""
    random = np.random.default_rng(5)
    path = np.repeat([0, 1, 0], 6)

    def texts(noise: float) -> list[TaggedText]:
        sides = np.stack([1.0 - path, path], axis=1)
        return [
            TaggedText(
                (sides + random.normal(0, noise, sides.shape)).astype(np.float32), path, n % 5
            )
            for n in range(40)
        ]

    sure, unsure = (fit_tagger(texts(noise), 2).chosen for noise in (0.01, 1.5))

    assert unsure["chain_weight"] >= 0.5
    assert unsure["chain_weight"] >= sure["chain_weight"]


def test_a_head_is_read_back_as_it_was(tmp_path: Path) -> None:
    """With a chain and surroundings, or as one that judges each word by its own state."""
    weights, bias = np.ones((2, 3), np.float32), np.zeros(2, np.float32)
    plain = LinearHead("k", Kind.TAG, ("name",), weights, bias)
    chain = Chain(np.ones(2, np.float32), np.ones((2, 2), np.float32))
    for name, head in (
        ("plain", plain),
        ("chained", replace(plain, chain=chain, sees_surroundings=True)),
    ):
        folder = tmp_path / name
        folder.mkdir()
        head.save(folder, {})
        found = LinearHead.load(folder)
        assert found.sees_surroundings is head.sees_surroundings
        assert (found.chain is None) is (head.chain is None)
