"""Distributions of many texts at once, rounded and tempered as `smallfirst.answers` does one.

Rows are texts, columns labels: `(texts, labels)`, of float64.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import DIGITS

Rows = NDArray[np.float64]
_UNITS: Final = 10**DIGITS


def rounded_rows(rows: Rows) -> Rows:
    """Round each row as `rounded_distribution` does: it still sums to 1, and the order stays."""
    likeliest = np.argsort(-rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, likeliest, axis=1) * _UNITS
    units = np.floor(ranked)
    losses = np.argsort(units - ranked, axis=1, kind="stable")
    missing = np.maximum(0, _UNITS - units.sum(axis=1, keepdims=True))
    added = np.zeros_like(units)
    np.put_along_axis(added, losses, np.arange(units.shape[1]) < missing, axis=1)
    found = np.empty_like(rows)
    np.put_along_axis(found, likeliest, (units + added) / _UNITS, axis=1)
    return found


def tempered_rows(rows: Rows, temperature: float) -> Rows:
    """Soften or sharpen each rounded row as `tempered` does; the order of the labels stays."""
    if temperature == 1.0:
        return rows
    likeliest = np.argsort(-rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, likeliest, axis=1)
    powers = (ranked / ranked[:, :1]) ** (1.0 / temperature)
    found = np.empty_like(rows)
    sums = powers.sum(axis=1, keepdims=True)
    np.put_along_axis(found, likeliest, rounded_rows(powers / sums), axis=1)
    return found
