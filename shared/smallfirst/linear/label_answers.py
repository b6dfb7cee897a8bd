"""Probabilities of labels into answers of the contract, with a confidence for a threshold.

The confidence of an answer is that of its least sure decision: of the one label; of the yes or no
on any label.
"""

from collections.abc import Iterable

import numpy as np

from smallfirst.answers import (
    DIGITS,
    LIKELIEST,
    LabelAnswer,
    LabelsAnswer,
    rounded,
)
from smallfirst.linear.distributions import Rows
from smallfirst.linear.probabilities import Floats


def whole_answers(labels: tuple[str, ...], rows: Rows) -> list[LabelAnswer]:
    """The likeliest label of each row, with all of its distribution.

    Args:
        labels: In the order of the columns.
        rows: `(texts, labels)`, rounded.
    """
    likeliest = rows.argmax(axis=1).tolist()
    return [
        LabelAnswer(
            label=labels[column],
            confidence=row[column],
            distribution=dict(zip(labels, row, strict=True)),
        )
        for column, row in zip(likeliest, rows.tolist(), strict=True)
    ]


def label_answers(labels: tuple[str, ...], rows: Rows, wholes: Iterable[int]) -> list[LabelAnswer]:
    """The likeliest label of each row, with what an answer keeps of its distribution.

    Args:
        labels: In the order of the columns.
        rows: `(texts, labels)`, rounded.
        wholes: The numbers of those that keep all of their row.
    """
    likeliest = np.argsort(-rows, axis=1, kind="stable")[:, :LIKELIEST]
    chances = np.take_along_axis(rows, likeliest, axis=1)
    tops = zip(likeliest.tolist(), chances.tolist(), strict=True)
    answers = [_of_top(labels, *top) for top in tops]
    for number in wholes:
        whole = dict(zip(labels, rows[number].tolist(), strict=True))
        update = {"distribution": whole, "rest": 0.0}
        answers[number] = answers[number].model_copy(update=update)
    return answers


def _of_top(labels: tuple[str, ...], columns: list[int], chances: list[float]) -> LabelAnswer:
    return LabelAnswer(
        label=labels[columns[0]],
        confidence=chances[0],
        distribution={labels[n]: chance for n, chance in zip(columns, chances, strict=True)},
        rest=rounded(1 - sum(chances)),
    )


def labels_answer(labels: tuple[str, ...], probabilities: Floats) -> LabelsAnswer:
    """The labels that are likelier than not."""
    rounded = digits(probabilities)
    distribution = dict(zip(labels, rounded, strict=True))
    confidence = min(max(probability, 1 - probability) for probability in rounded)
    return LabelsAnswer(
        labels=tuple(label for label, probability in distribution.items() if probability >= 0.5),
        confidence=round(confidence, DIGITS),
        distribution=distribution,
    )


def digits(numbers: Floats) -> list[float]:
    """Round all numbers; they are Python's own, since JSON knows no other."""
    rounded: list[float] = np.round(numbers.astype(np.float64), DIGITS).tolist()
    return rounded
