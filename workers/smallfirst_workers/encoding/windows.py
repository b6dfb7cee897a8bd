"""Cutting long texts into windows, and windows into forward passes. Pure arithmetic on lengths.

A text that a model cannot take at once is read through windows that overlap. Every token is then
taken from one window only: the one that shows most of what stands around it. So a long text has one
state per token, as a short one has, and whatever follows (pooling, tagging, explaining) does not
know that there were windows.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

#: One eighth of a window is read twice: 32 tokens of 256, so that every token sees at least 16 on
#: either side, for an eighth more work.
OVERLAP_SHARE = 8
#: Rows are padded to a multiple of so many tokens, so that passes have few shapes: a runtime keeps
#: about a megabyte for each shape that it has met, and is slow with a new one.
LENGTH_STEP = 8
#: From so many rows on, padding costs more than a new shape: short rows are padded to as little as
#: 2 tokens, and to an eighth of the longest row at most.
#: Source of all: benchmarks/results/slm_runtimes.md.
MANY_ROWS, LEAST_STEP, STEP_SHARE = 16, 2, 8


@dataclass(frozen=True)
class Window:
    """Tokens `start:end` of a text are read together; `keep_start:keep_end` are taken from here."""

    start: int
    end: int
    keep_start: int
    keep_end: int


def cut(length: int, size: int) -> list[Window]:
    """Cut `length` tokens into windows of at most `size` tokens that overlap.

    The windows are of nearly equal length, and no longer than the overlap makes needful: a last
    window of three tokens would know nothing of its surroundings.
    """
    overlap = size // OVERLAP_SHARE
    count = max(1, -(-(length - overlap) // (size - overlap)))
    reach = -(-(length + (count - 1) * overlap) // count)
    starts = [index * (length - reach) // max(1, count - 1) for index in range(count)]
    seams = [(start + reach + after) // 2 for start, after in itertools.pairwise(starts)]
    return [
        Window(start, start + reach, keep_start, keep_end)
        for start, keep_start, keep_end in zip(starts, [0, *seams], [*seams, length], strict=True)
    ]


def padded_length(longest: int, num_rows: int) -> int:
    """How many tokens each of so many rows has in a pass, by the longest of them."""
    step = LENGTH_STEP
    while num_rows >= MANY_ROWS and step > LEAST_STEP and step * STEP_SHARE > longest:
        step //= 2
    return -(-longest // step) * step


def plan_forwards(
    lengths: Sequence[int], *, max_positions: int, forward_cost: int
) -> list[list[int]]:
    """Group rows into forward passes, shortest rows first.

    Rows of similar length share one pass. A pass is cut where the padding it would hold costs more
    than one more pass does, and where it would need more memory than `max_positions` positions
    (rows times longest row); a single row is never cut.

    Args:
        lengths: Tokens of each row.
        max_positions: The most positions in one pass, padding included.
        forward_cost: What a pass costs whatever it holds, in positions.

    Returns:
        Indices into `lengths`, one list per pass.
    """
    groups: list[list[int]] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[row]
        positions = (len(groups[-1]) + 1) * length if groups else 0
        padding = positions - tokens - length
        if not groups or padding > forward_cost or positions > max_positions:
            groups.append([])
            tokens = 0
        groups[-1].append(row)
        tokens += length
    return groups
