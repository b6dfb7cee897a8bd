"""Temperature: the order of labels stays, and a known one is found again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst.answers import LabelAnswer, tempered, tempered_answer
from smallfirst.evaluation.temperature import fit_temperature

WEIGHTS = st.lists(st.floats(0.001, 1.0), min_size=2, max_size=8)


@settings(deadline=None)
@given(WEIGHTS, st.floats(0.25, 10.0))
def test_the_order_of_labels_stays(weights: list[float], temperature: float) -> None:
    """Every temperature keeps which label is likelier, and all of them sum to 1."""
    total = sum(weights)
    distribution = {f"l{n}": weight / total for n, weight in enumerate(weights)}

    found = tempered(distribution, temperature)

    # Equals may differ by their last digit, so that all sum to 1.
    order = sorted(distribution, key=lambda label: (distribution[label], found[label]))
    values = [found[label] for label in order]
    assert values == sorted(values)
    assert sum(values) == pytest.approx(1.0, abs=1e-9)


@settings(deadline=None)
@given(WEIGHTS)
def test_a_higher_temperature_is_never_surer(weights: list[float]) -> None:
    """The likeliest label loses as the temperature rises."""
    total = sum(weights)
    distribution = {f"l{n}": weight / total for n, weight in enumerate(weights)}
    highest = [max(tempered(distribution, at).values()) for at in (0.5, 1.0, 2.0, 5.0)]
    assert all(one >= other - 1e-6 for one, other in pairwise(highest))


def test_temperature_1_changes_nothing() -> None:
    """An answer that is honest already stays as it is, digits and all."""
    answer = LabelAnswer(label="a", confidence=0.7, distribution={"a": 0.7, "b": 0.3})
    assert tempered_answer(answer, 1.0) is answer


def test_an_answer_says_its_label_as_sure_as_the_temperature_makes_it() -> None:
    """The label stays; confidence and distribution agree with each other."""
    answer = LabelAnswer(label="a", confidence=0.8, distribution={"a": 0.8, "b": 0.2})
    found = tempered_answer(answer, 2.0)
    assert (found.label, found.confidence) == ("a", found.distribution["a"])
    assert found.confidence == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(truth: float) -> None:
    """Labels drawn from tempered probabilities give that temperature back, within a tenth."""
    random = np.random.default_rng(7)
    logits = random.normal(scale=2.0, size=(20_000, 4))
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    honest = said ** (1 / truth) / (said ** (1 / truth)).sum(axis=1, keepdims=True)
    right = (honest.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(said, right) == pytest.approx(truth, rel=0.1)
