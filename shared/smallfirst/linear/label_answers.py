"""Probabilities of labels into answers of the contract, with a confidence for a threshold.

The confidence of an answer is that of its least sure decision: of the one label; of the yes or no
on any label.
"""

import numpy as np

from smallfirst.answers import DIGITS, Evidence, LabelAnswer, LabelsAnswer, rounded_distribution
from smallfirst.linear.probabilities import Floats


def label_answer(
    labels: tuple[str, ...], probabilities: Floats, words: tuple[Evidence, ...]
) -> LabelAnswer:
    """The likeliest label."""
    exact = dict(zip(labels, probabilities.astype(np.float64).tolist(), strict=True))
    distribution = rounded_distribution(exact)
    label = max(distribution, key=distribution.__getitem__)
    return LabelAnswer(
        label=label, confidence=distribution[label], distribution=distribution, evidence=words
    )


def labels_answer(
    labels: tuple[str, ...], probabilities: Floats, words: tuple[Evidence, ...]
) -> LabelsAnswer:
    """The labels that are likelier than not."""
    rounded = digits(probabilities)
    distribution = dict(zip(labels, rounded, strict=True))
    confidence = min(max(probability, 1 - probability) for probability in rounded)
    return LabelsAnswer(
        labels=tuple(label for label, probability in distribution.items() if probability >= 0.5),
        confidence=round(confidence, DIGITS),
        distribution=distribution,
        evidence=words,
    )


def digits(numbers: Floats) -> list[float]:
    """Round all numbers; they are Python's own, since JSON knows no other."""
    rounded: list[float] = np.round(numbers.astype(np.float64), DIGITS).tolist()
    return rounded
