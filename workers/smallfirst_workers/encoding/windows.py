"""Cutting long texts into windows, and windows into forward passes. Pure arithmetic on lengths.

A text that a model cannot take at once is read through windows that overlap. Every token is then
taken from one window only: the one that shows most of what stands around it. So a long text has one
state per token, as a short one has, and whatever follows (pooling, tagging, explaining) does not
know that there were windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

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
    seams = [(start + reach + after) // 2 for start, after in pairwise(starts)]
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


@dataclass(frozen=True)
class PassCost:
    """What it costs to compute rows together, in positions.

    Attributes:
        max_positions: The most in one pass, padding included; a single row is never cut.
        forward_cost: What a pass costs whatever it holds.
        padded: To how many tokens rows are padded, by the longest and their number.
    """

    max_positions: int
    forward_cost: int
    padded: Callable[[int, int], int] = padded_length

    def num_passes(self, longest: int, num_rows: int) -> int:
        """In how many passes so many rows are computed."""
        at_once = max(1, self.max_positions // self.padded(longest, num_rows))
        return -(-num_rows // at_once)

    def of(self, longest: int, num_rows: int) -> int:
        """The cost of so many rows, padded to the longest of them."""
        positions = num_rows * self.padded(longest, num_rows)
        return positions + self.forward_cost * self.num_passes(longest, num_rows)


def plan_forwards(lengths: Sequence[int], cost: PassCost) -> list[list[int]]:
    """Group rows into forward passes, shortest rows first, so that all of them cost the least.

    Rows of one length are not parted but for the bound on a pass.

    Args:
        lengths: Tokens of each row.
        cost: What passes cost.

    Returns:
        Indices into `lengths`, one list per pass.
    """
    rows = sorted(range(len(lengths)), key=lengths.__getitem__)
    runs = [(length, list(same)) for length, same in groupby(rows, key=lengths.__getitem__)]
    groups: list[list[int]] = []
    for first, end in _cheapest_cuts([(length, len(same)) for length, same in runs], cost):
        together = [row for _, same in runs[first:end] for row in same]
        share = -(-len(together) // cost.num_passes(runs[end - 1][0], len(together)))
        groups += [together[n : n + share] for n in range(0, len(together), share)]
    return groups


def _cheapest_cuts(runs: Sequence[tuple[int, int]], cost: PassCost) -> list[tuple[int, int]]:
    """Which runs of rows, by length and number, are computed together: first and end of each part.

    By dynamic programming: the cheapest plan for the shorter rows is part of the cheapest for all.
    """
    ends = [0, *accumulate(num_rows for _, num_rows in runs)]
    cheapest, begins = [0], [0]
    for end, (longest, _) in enumerate(runs, 1):
        costs = [cheapest[n] + cost.of(longest, ends[end] - ends[n]) for n in range(end)]
        begins.append(min(range(end), key=costs.__getitem__))
        cheapest.append(costs[begins[-1]])
    cuts, end = [], len(runs)
    while end:
        cuts.append((begins[end], end))
        end = begins[end]
    return cuts[::-1]
