"""An answer keeps the probabilities of its likeliest labels, and says what the others come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import (
    LIKELIEST,
    LabelAnswer,
    LabelsAnswer,
    rounded_distribution,
    with_likeliest,
)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any))
def test_the_likeliest_are_kept_and_all_sum_to_1(chances: list[int]) -> None:
    """No label that is left out is likelier than one that is kept, and nothing is lost."""
    total = sum(chances)
    whole = rounded_distribution({f"l{n}": each / total for n, each in enumerate(chances)})
    label = max(whole, key=whole.__getitem__)
    answer = LabelAnswer(label=label, confidence=whole[label], distribution=whole)
    kept = with_likeliest(answer)
    assert isinstance(kept, LabelAnswer)
    assert (kept.label, kept.confidence) == (label, whole[label])
    assert len(kept.distribution) == min(LIKELIEST, len(whole))
    assert kept.distribution.items() <= whole.items()
    assert list(kept.distribution.values()) == sorted(kept.distribution.values(), reverse=True)
    left_out = [p for name, p in whole.items() if name not in kept.distribution]
    assert max(left_out, default=0) <= min(kept.distribution.values())
    assert sum(kept.distribution.values()) + kept.rest == pytest.approx(1.0, abs=1e-9)
    assert LabelAnswer.model_validate_json(kept.to_json()) == kept


def test_every_label_that_is_answered_keeps_its_probability() -> None:
    """Of several labels that hold, those beyond the likeliest are kept too."""
    labels = tuple(f"l{n}" for n in range(LIKELIEST + 2))
    certain = dict.fromkeys((*labels, "other"), 0.9) | {"l0": 0.2, "other": 0.1}
    kept = with_likeliest(LabelsAnswer(labels=labels, confidence=0.8, distribution=certain))
    assert isinstance(kept, LabelsAnswer)
    assert kept.distribution.keys() == set(labels)
