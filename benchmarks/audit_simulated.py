"""Whether an audit tells the error of accepted answers where the truth is known.

Streams of checks and golden rows are drawn as `smallfirst.audit.drawing` draws them, answered by
reviewers who err, and looked at after every text. Counted is in how many of them the true error was
ever ruled out, how far the estimate is off in the mean, and how many fewer labels are needed than
where every accepted answer has the same chance, for an interval of the same width. A label is one
person's answer, so those who look second and third count.

    python benchmarks/audit_simulated.py --write
    python benchmarks/audit_simulated.py --quick
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import log

import numpy as np
from numpy.typing import NDArray
from provenance import provenance, write_numbers, write_result
from scipy import stats

from smallfirst.audit.betting import log_mean, wagers
from smallfirst.audit.drawing import EVEN, RATES
from smallfirst.audit.estimating import (
    FIRST_PART,
    MAX_WEIGHT,
    Checked,
    corrected,
    estimate,
)
from smallfirst.audit.spending import CONFIDENCE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The share of accepted answers in each stratum, the surest first, and their usual doubt.
STRATA = np.array([0.35, 0.20, 0.15, 0.12, 0.10, 0.06, 0.02])
DOUBTS = np.array([0.0005, 0.002, 0.006, 0.018, 0.055, 0.17, 0.4])
#: Labels of the task; whoever errs takes each of the wrong ones equally often.
LABELS = 4
GOLDEN_SHARE = 0.1
ERRORS = (0.05, 0.02, 0.002)
#: After so many checks and golden rows widths are compared.
LOOKS = (250, 500, 1000, 1400, 2000)
#: Of so many streams widths are worked out.
WIDTHS = 100
#: People who look at one text at most.
PEOPLE = 3
COLUMNS = (
    "true error",
    "reviewers err",
    "looks",
    "covers at all looks",
    "95 % interval",
    "mean estimate less truth",
    "as shown, never below 0",
    "labels",
    "mean width",
    "width if drawn evenly",
    "fewer labels",
    "fewer than evenly, one look",
)
READING = """\
`looks`: at most how many people look before a check counts as wrong. With 3, a second person looks
where the first one's answer differs from the machine's, and a third where both differ from it and
from each other; golden rows go the same way. `covers at all looks`: in how many streams the truth
was ruled out after none of the texts; counted against us, since the true error and the true rates
of slips must never be ruled out together, of which the interval takes the best. Its interval is
Clopper and Pearson's. `mean estimate less truth`, in points: of the estimate before it is cut to 0,
and as it is shown. `labels`: all answers of people to a stream, the second and third ones too.
`mean width`: of the interval after the last text, in points, and of the same kind of interval of as
many texts where every accepted answer has the same chance, and as many people look. `fewer labels`:
how many times as many labels the even drawing takes, with as many looks, for the width that this
one has; 1.4 was wanted. The last column: the same of the even drawing where one person's word
counts; at least so many, as if widths fell with the root of the labels, which they do no faster.
Where reviewers err, one text in ten is a golden row, in all of these. Reviewers err apart from each
other, and take each of the wrong labels equally often; the interval assumes neither."""


@dataclass(frozen=True)
class World:
    """A truth.

    Attributes:
        error: The share of accepted answers that are wrong.
        slips: How often a reviewer errs.
        is_even: Whether every accepted answer has the same chance.
        looks: 1 where one person's word counts, else `PEOPLE`.
    """

    error: float
    slips: float
    is_even: bool = False
    looks: int = 1

    @property
    def weights(self) -> Floats:
        """Of a check of each stratum, `(strata,)`."""
        rates = np.array(RATES)
        graded = 1.0 / (EVEN + (1.0 - EVEN) * rates / (STRATA @ rates))
        return np.ones(len(STRATA)) if self.is_even else graded

    @property
    def errors(self) -> Floats:
        """Of each stratum, in proportion to its doubt, `(strata,)`."""
        return DOUBTS * self.error / (STRATA @ DOUBTS)

    @property
    def max_weight(self) -> float:
        """The highest that the interval reckons with."""
        return 1.0 if self.is_even else MAX_WEIGHT

    @property
    def kept_slips(self) -> float:
        """How often a right answer ends as wrong."""
        return self._endings(truth=0)[0]

    @property
    def means(self) -> tuple[float, float]:
        """How many of all accepted answers end as wrong, and how many the first person finds so."""
        of_right, of_wrong = self._endings(truth=0), self._endings(truth=1)
        wrong, found = (
            self.error * one + (1.0 - self.error) * other
            for one, other in zip(of_wrong, of_right, strict=True)
        )
        return wrong, found

    def _endings(self, truth: int) -> tuple[float, float]:
        """How often an answer ends as wrong, or is found so by the first; the machine said 0."""
        chances = np.full(LABELS, self.slips / (LABELS - 1))
        chances[truth] = 1.0 - self.slips
        said = np.array(list(product(range(LABELS), repeat=PEOPLE))).T  # (people, cases)
        of_case = chances[said].prod(axis=0)
        ends_wrong = is_wrong(said, self.looks)
        return float(of_case[ends_wrong].sum()), float(of_case[said[0] != 0].sum())


@dataclass(frozen=True)
class Drawn:
    """Streams of texts that people looked at, in order.

    Attributes:
        strata: `(streams, texts)`, of a check; the number of strata for a golden row.
        is_first_wrong: `(streams, texts)`, whether the first reviewer answered otherwise.
        is_wrong: `(streams, texts)`, how it ended.
        labels: `(streams, texts)`, how many people looked.
    """

    strata: Ints
    is_first_wrong: NDArray[np.bool_]
    is_wrong: NDArray[np.bool_]
    labels: Ints

    @property
    def is_golden(self) -> NDArray[np.bool_]:
        """Which texts are golden rows, `(streams, texts)`."""
        return self.strata == len(STRATA)


def is_wrong(said: Ints, looks: int) -> NDArray[np.bool_]:
    """How checks end whose machine said 0; as `agreement.deciding` has it, of many at once.

    Args:
        said: `(people, ...)`, all that three people say, whether or not they are asked.
        looks: Of the world.
    """
    first, second, third = said
    if looks == 1:
        return np.asarray(first != 0)
    return np.asarray((first != 0) & (second != 0) & ((first == second) | (third != 0)))


def draw(world: World, streams: int, texts: int, random: np.random.Generator) -> Drawn:
    """Draw streams: which stratum is checked, what is wrong, what reviewers make of it."""
    shape = (streams, texts)
    chances = STRATA / world.weights
    strata = random.choice(len(STRATA), shape, p=chances / chances.sum())
    if world.slips:
        strata[random.random(shape) < GOLDEN_SHARE] = len(STRATA)
    truth = (random.random(shape) < np.append(world.errors, 0.0)[strata]).astype(int)
    has_slipped = random.random((PEOPLE, *shape)) < world.slips
    other = (truth + random.integers(1, LABELS, (PEOPLE, *shape))) % LABELS
    said = np.where(has_slipped, other, truth)
    first, second, _ = said
    has_second = (first != 0) & (world.looks > 1)
    has_third = has_second & (second != 0) & (first != second)
    labels = 1 + has_second.astype(int) + has_third
    return Drawn(strata, first != 0, is_wrong(said, world.looks), labels)


def covered(world: World, drawn: Drawn) -> NDArray[np.bool_]:
    """Whether the truth was never ruled out, `(streams,)`."""
    values = np.append(world.weights, 0.0)
    highest = []
    for begin in range(0, len(drawn.strata), 50):
        part = slice(begin, begin + 50)
        weights = values[drawn.strata[part]]
        is_wrong, is_first_wrong = drawn.is_wrong[part], drawn.is_first_wrong[part]
        wrong, found = world.means
        is_check = ~drawn.is_golden[part]
        won = _won(wrong, is_check, weights * is_wrong, world.max_weight)
        if world.looks > 1:
            others = _won(found, is_check, weights * is_first_wrong, world.max_weight)
            won = np.logaddexp(won + log(1.0 - FIRST_PART), others + log(FIRST_PART))
        for mean, of, is_slip in _slips_of(world, drawn, part):
            won += _won(mean, of, is_slip.astype(float), 1.0)
        highest.append(won.max(axis=1))
    return np.concatenate(highest) < -log(1.0 - CONFIDENCE)


def _won(mean: float, of: NDArray[np.bool_], values: Floats, bound: float) -> Floats:
    """What was won against a mean after each text, `(streams, texts)`, by bets on some of them."""
    if mean <= 0.0:
        return np.zeros(values.shape)
    bets = wagers(np.array([mean]), bound)[0]
    # Few values are different: their gains are worked out once.
    different, at = np.unique(values, return_inverse=True)
    gains = np.log1p(bets * (different[:, None] - mean))[at.reshape(values.shape)]
    return log_mean(np.where(of[..., None], gains, 0.0).cumsum(axis=1))


def _slips_of(
    world: World, drawn: Drawn, part: slice
) -> Iterator[tuple[float, NDArray[np.bool_], NDArray[np.bool_]]]:
    """What is bet on besides: the true mean, of which texts, and in which of them it happened."""
    if not world.slips:
        return
    golden, first = drawn.is_golden[part], drawn.is_first_wrong[part]
    yield world.slips, golden, first
    if world.looks > 1:
        yield world.kept_slips / world.slips, golden & first, drawn.is_wrong[part]


def checked(world: World, drawn: Drawn, stream: int, texts: int) -> Checked:
    """What is known of one stream after so many texts."""
    at = (stream, slice(texts))
    strata, is_wrong, is_golden = drawn.strata[at], drawn.is_wrong[at], drawn.is_golden[at]
    is_first_wrong = drawn.is_first_wrong[at]
    is_mended = ~is_golden & is_first_wrong & ~is_wrong
    num_first_wrong = int((is_golden & is_first_wrong).sum())
    return Checked(
        num_checks=int((~is_golden).sum()),
        wrong=world.weights[strata[~is_golden & is_wrong]].tolist(),
        num_golden=int(is_golden.sum()),
        num_golden_wrong=int((is_golden & is_wrong).sum()),
        same=1.0 / (LABELS - 1),
        max_weight=world.max_weight,
        num_first_wrong=num_first_wrong if world.looks > 1 else None,
        mended=world.weights[strata[is_mended]].tolist(),
    )


def widths(world: World, drawn: Drawn, streams: int) -> tuple[Floats, Floats]:
    """The mean labels and the mean widths, in points, at the looks that there are texts for."""
    looks = [look for look in LOOKS if look <= drawn.strata.shape[1]]
    labels = np.array([drawn.labels[:, :look].sum(axis=1).mean() for look in looks])
    found = np.zeros(len(looks))
    for at, look in enumerate(looks):
        told = [estimate(checked(world, drawn, stream, look)) for stream in range(streams)]
        found[at] = 100 * np.mean([each.upper - each.lower for each in told if each])
    return labels, found


def raw_estimates(world: World, drawn: Drawn) -> Floats:
    """The estimates after the last text, `(streams,)`."""
    is_golden = drawn.is_golden
    weights = np.append(world.weights, 0.0)[drawn.strata]
    disagreements = (weights * drawn.is_wrong).sum(axis=1) / (~is_golden).sum(axis=1)
    golden = np.maximum(is_golden.sum(axis=1), 1)
    slips = (is_golden & drawn.is_wrong).sum(axis=1) / golden
    one = (is_golden & drawn.is_first_wrong).sum(axis=1) / golden / (LABELS - 1)
    missed = one if world.looks == 1 else 1.0 - (1.0 - one) ** 2
    told = zip(disagreements.tolist(), slips.tolist(), missed.tolist(), strict=True)
    return np.array([corrected(*each) for each in told])


def measure(world: World, streams: int, texts: int, seed: int) -> dict[str, float]:
    """All figures of one truth."""
    random = np.random.default_rng([seed, round(world.error * 1e4), round(world.slips * 1e4)])
    drawn, some = draw(world, streams, texts, random), min(streams, WIDTHS)
    even = replace(world, is_even=True)
    single = replace(even, looks=1)
    drawn_evenly = draw(even, some, texts, random)
    drawn_singly = draw(single, some, texts, random)
    num_covered, estimates = int(covered(world, drawn).sum()), raw_estimates(world, drawn)
    sure = stats.binomtest(num_covered, streams).proportion_ci(0.95, "exact")
    labels, ours = widths(world, drawn, some)
    of_even, evens = widths(even, drawn_evenly, some)
    of_single, singles = widths(single, drawn_singly, some)
    return {
        "error": world.error,
        "slips": world.slips,
        "looks": world.looks,
        "covered": num_covered / streams,
        "covered_low": sure.low,
        "covered_high": sure.high,
        "bias": 100 * float(estimates.mean() - world.error),
        "bias_shown": 100 * float(np.clip(estimates, 0.0, 1.0).mean() - world.error),
        "labels": float(labels[-1]),
        "width": float(ours[-1]),
        "width_even": float(evens[-1]),
        "fewer": _times(float(ours[-1]), evens, of_even) / float(labels[-1]),
        # Beyond what was drawn: widths fall no faster than with the root of the labels.
        "fewer_single": float((singles[-1] / ours[-1]) ** 2 * of_single[-1] / labels[-1]),
    }


def _times(width: float, others: Floats, labels: Floats) -> float:
    """How many labels another drawing takes for a width, by how its own fall with labels."""
    slope, offset = np.polyfit(np.log(labels), np.log(others), 1)
    return float(np.exp((np.log(width) - offset) / slope))


def _row(found: dict[str, float]) -> tuple[str, ...]:
    return (
        f"{found['error']:.1%}",
        f"{found['slips']:.0%}",
        f"{found['looks']:.0f}",
        f"{found['covered']:.2%}",
        f"{found['covered_low']:.2%} to {found['covered_high']:.2%}",
        f"{found['bias']:+.3f}",
        f"{found['bias_shown']:+.3f}",
        f"{found['labels']:,.0f}",
        f"{found['width']:.2f}",
        f"{found['width_even']:.2f}",
        f"{found['fewer']:.2f}",
        f"{found['fewer_single']:.2f}",
    )


def main() -> None:
    """Draw, count, print, and write where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=2000, help="Streams of each truth.")
    parser.add_argument("--texts", type=int, default=2000, help="Texts of each stream.")
    parser.add_argument("--seed", type=int, default=27, help="The seed of all draws.")
    parser.add_argument("--quick", action="store_true", help="A small run, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.streams, options.texts = 100, 500
    lines, numbers = [_line(COLUMNS), _line(["---"] * len(COLUMNS))], []
    truths = [(0.05, PEOPLE), (0.05, 1), (0.0, PEOPLE)]
    for (slips, looks), error in product(truths, ERRORS):
        world = World(error, slips, looks=looks)
        numbers.append(measure(world, options.streams, options.texts, options.seed))
        lines.append(_line(_row(numbers[-1])))
        print(lines[-1], flush=True)
    if options.write:
        title = (
            "# Whether an audit tells the error where it is known\n\n"
            f"{options.streams:,} streams of {options.texts:,} texts each,"
            f" at {CONFIDENCE:.0%} confidence; seed {options.seed}."
        )
        text = "\n\n".join([title, "\n".join(lines), READING, provenance("numpy", "scipy")])
        write_result("audit_simulated", f"{text}\n")
        write_numbers("audit_simulated", numbers)


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
