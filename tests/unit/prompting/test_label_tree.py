"""Label probabilities: of the label's own tokens, normalised, the same as by brute force."""

import math
import random
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst_workers.prompting.label_tree import NEGLIGIBLE, LabelTree, Path

END = 4
NEGLIGIBLE_PROBABILITY = math.exp(NEGLIGIBLE)
#: Labels as tokens of a vocabulary of four, besides the end.
TOKENS = st.lists(
    st.lists(st.integers(0, END - 1), min_size=1, max_size=4).map(tuple),
    min_size=2,
    max_size=8,
    unique=True,
)

#: Tells the logprob of every token after a path.
LanguageModel = Callable[[Path], Mapping[int, float]]


def random_model(seed: int, peakedness: float) -> LanguageModel:
    """Make a model whose logits after each path are its own; the same for the same seed."""

    def logprobs(path: Path) -> dict[int, float]:
        chance = random.Random(f"{seed} {path}")
        logits = [chance.gauss(0, peakedness) for _ in range(END + 1)]
        whole = math.log(sum(math.exp(logit) for logit in logits))
        return {token: logit - whole for token, logit in enumerate(logits)}

    return logprobs


def tree_of(tokens: Sequence[Path]) -> LabelTree:
    """Name each label by its place."""
    return LabelTree.of([str(n) for n in range(len(tokens))], tokens, [END])


def walk(tree: LabelTree, model: LanguageModel) -> tuple[dict[Path, float], list[Path]]:
    """Ask the model as the engine does: all beginnings of one length, then the next."""
    logprobs: dict[Path, float] = {(): 0.0}
    asked: list[Path] = []
    while asking := tree.open_paths(logprobs):
        for path in asking:
            nexts = {token: model(path)[token] for token in tree.branches[path]}
            logprobs |= tree.extended(path, nexts, logprob=logprobs[path])
        asked += asking
    return logprobs, asked


def probabilities(tree: LabelTree, model: LanguageModel) -> list[float]:
    """Tell by brute force how likely each label is to be said, and then the end."""
    return [
        math.exp(sum(model(path[:n])[token] for n, token in enumerate(path))) for path in tree.paths
    ]


@settings(deadline=None)
@given(TOKENS, st.integers(), st.floats(0, 8))
def test_the_walk_finds_what_brute_force_finds(
    tokens: list[Path], seed: int, peakedness: float
) -> None:
    """No label is further off than what the paths left out could weigh, and all sum to 1."""
    tree, model = tree_of(tokens), random_model(seed, peakedness)

    logprobs, asked = walk(tree, model)
    found = tree.distribution(logprobs)

    right = probabilities(tree, model)
    left_out = sum(path not in logprobs for path in tree.paths)
    # Each that was left weighs less than the best label by the stated factor.
    bound = 2 * left_out * NEGLIGIBLE_PROBABILITY + 1e-9
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == pytest.approx([p / sum(right) for p in right], abs=bound)
    assert len(set(asked)) == len(asked) <= len(tree.branches)


def test_labels_that_begin_alike() -> None:
    """A label that another one begins with counts only as far as the model would stop there."""
    tree = LabelTree.of(["bill", "billing"], [(1,), (1, 2)], [END])

    logprobs, asked = walk(tree, lambda _: {1: -1.0, 2: math.log(0.3), END: math.log(0.1)})

    assert tree.branches == {(): (1,), (1,): (END, 2), (1, 2): (END,)}
    assert asked == [(), (1,), (1, 2)]
    assert tree.distribution(logprobs) == pytest.approx({"bill": 1 / 1.3, "billing": 0.3 / 1.3})


def test_a_model_may_end_an_answer_in_several_ways() -> None:
    """The probabilities of all ends are added, however little of it the tokenizer's own one has."""
    tree = LabelTree.of(["bill", "billing"], [(1,), (1, 2)], [END, 9])
    model = {1: -1.0, 2: math.log(0.3), END: math.log(0.001), 9: math.log(0.6)}

    logprobs, _ = walk(tree, lambda _: model)

    assert tree.branches == {(): (1,), (1,): (END, 9, 2), (1, 2): (END, 9)}
    right = {"bill": 1 / 1.3, "billing": 0.3 / 1.3}
    assert tree.distribution(logprobs) == pytest.approx(right)
    assert logprobs[1, END] == pytest.approx(-1.0 + math.log(0.601))


def test_ends_that_are_all_impossible() -> None:
    """A label behind which no answer can end is never said; nonsense for an end stays nonsense."""
    tree = LabelTree.of(["a", "b"], [(1,), (2,)], [END, 9])
    never, nonsense = {END: -math.inf, 9: -math.inf}, {END: -0.1, 9: math.nan}

    assert tree.extended((1,), never, logprob=-1.0) == {(1, END): -math.inf}
    assert math.isnan(tree.extended((1,), nonsense, logprob=-1.0)[1, END])


def test_two_labels_that_are_the_same_tokens_are_refused() -> None:
    """What the model cannot tell apart is no choice."""
    with pytest.raises(ValueError, match="the same"):
        LabelTree.of(["a", "b", "c"], [(1,), (2,), (1,)], [END])


def test_only_followed_paths_count() -> None:
    """Words that are no label's take nothing from the labels, however likely they are."""
    tree = tree_of([(0,), (1, 2)])

    found = tree.distribution(
        {(): 0.0, (0,): -9.0, (0, END): -9.0, (1,): -8.0, (1, 2): -9.0, (1, 2, END): -9.0, (3,): 0}
    )

    assert found == pytest.approx({"0": 0.5, "1": 0.5})


def test_a_path_that_was_left_counts_by_its_beginning() -> None:
    """A label that was not followed to its end is as likely as what was followed of it."""
    tree = tree_of([(0,), (1, 2)])

    found = tree.distribution({(): 0.0, (0,): -0.1, (0, END): -0.2, (1,): -20.0})

    assert found["1"] == pytest.approx(math.exp(-20.0 + 0.2), rel=1e-6)


def test_negligible_beginnings_are_not_followed() -> None:
    """Neither what cannot rival the best label is asked about, nor what is known already."""
    tree = tree_of([(0,), (1, 2), (2, 0)])
    begun = {(): 0.0, (0,): -0.1, (1,): NEGLIGIBLE - 0.3, (2,): NEGLIGIBLE}

    assert tree.open_paths({(): 0.0}) == [()]
    assert set(tree.open_paths(begun)) == {(0,), (1,), (2,)}
    assert tree.open_paths({**begun, (0, END): -0.2}) == [(2,)]


def test_labels_that_are_all_unlikely_are_told_apart() -> None:
    """A model that would rather say something else still has an opinion on the labels."""
    tree = tree_of([(1, 2), (1, 3)])

    logprobs, _ = walk(tree, lambda _: {1: -40.0, 2: math.log(0.9), 3: math.log(0.1), END: 0.0})

    assert tree.distribution(logprobs) == pytest.approx({"0": 0.9, "1": 0.1})


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, 0.1, 1e6])
def test_a_model_that_has_broken_down_has_no_distribution(nonsense: float) -> None:
    """Not a number, or more than certain, anywhere: nothing is known of any label."""
    tree = tree_of([(0,), (1, 2)])
    known = {(): 0.0, (0,): -1.0, (0, END): -1.1, (1,): -1.2}
    assert sum(tree.distribution(known).values()) == pytest.approx(1.0)
    assert tree.distribution({**known, (1, 2): known[(1,)] + nonsense}) == {}
    assert tree.distribution({(): 0.0, (0,): -math.inf, (1,): -math.inf}) == {}
