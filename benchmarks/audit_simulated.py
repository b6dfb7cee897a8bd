"""Whether an audit tells the error of accepted answers where the truth is known.

Streams of checks and golden rows are drawn as `smallfirst.audit.drawing` draws them, answered by
reviewers who err, and looked at after every answer. Counted is in how many of them the true error
was ever ruled out, how far the estimate is off in the mean, and how many fewer answers are needed
than where every accepted answer has the same chance, for an interval of the same width.

    python benchmarks/audit_simulated.py --write
    python benchmarks/audit_simulated.py --quick
"""

import argparse
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from provenance import provenance, write_numbers, write_result
from scipy import stats

from smallfirst.audit.betting import log_mean, wagers
from smallfirst.audit.drawing import EVEN, RATES
from smallfirst.audit.estimating import CONFIDENCE, MAX_WEIGHT, Checked, corrected, estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The share of accepted answers in each stratum, the surest first, and their usual doubt.
STRATA = np.array([0.35, 0.20, 0.15, 0.12, 0.10, 0.06, 0.02])
DOUBTS = np.array([0.0005, 0.002, 0.006, 0.018, 0.055, 0.17, 0.4])
#: Labels of the task; whoever errs takes each of the wrong ones equally often.
LABELS = 4
GOLDEN_SHARE = 0.1
ERRORS = (0.05, 0.02, 0.002)
#: After so many answers widths are compared.
LOOKS = (250, 500, 1000, 1400, 2000)
COLUMNS = (
    "true error",
    "reviewers err",
    "covers at all looks",
    "95 % interval",
    "mean estimate less truth",
    "as shown, never below 0",
    "mean width",
    "width if drawn evenly",
    "fewer answers",
)
READING = """\
`covers at all looks`: in how many streams the true error was ruled out after none of the answers;
counted against us, since the pair of the true error and the true rate of slips must never be ruled
out, of which the interval takes the better. Its interval is Clopper and Pearson's. `mean estimate
less truth`, in points: of the estimate before it is cut to 0, and as it is shown. `mean width`: of
the interval after the last answer, in points, and of the same kind of interval of as many answers
where every accepted answer has the same chance. `fewer answers`: how many times as many answers
the even drawing takes for the width that this one has; 1.4 was wanted. Where reviewers err,
one answer in ten is to a golden row, in both."""


@dataclass(frozen=True)
class World:
    """A truth.

    Attributes:
        error: The share of accepted answers that are wrong.
        slips: How often reviewers err.
        is_even: Whether every accepted answer has the same chance.
    """

    error: float
    slips: float
    is_even: bool = False

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
    def disagreement(self) -> float:
        """What shows of the error, reviewers' slips in it."""
        same = self.slips / (LABELS - 1)
        return self.error * (1.0 - same) + (1.0 - self.error) * self.slips


@dataclass(frozen=True)
class Drawn:
    """Streams of answers, in order.

    Attributes:
        strata: `(streams, answers)`, of a check; the number of strata for a golden row.
        is_wrong: `(streams, answers)`, whether a reviewer answered otherwise.
    """

    strata: Ints
    is_wrong: NDArray[np.bool_]


def draw(world: World, streams: int, answers: int, random: np.random.Generator) -> Drawn:
    """Draw streams: which stratum is checked, what is wrong, what the reviewer makes of it."""
    shape = (streams, answers)
    chances = STRATA / world.weights
    strata = random.choice(len(STRATA), shape, p=chances / chances.sum())
    if world.slips:
        strata[random.random(shape) < GOLDEN_SHARE] = len(STRATA)
    is_machine_wrong = random.random(shape) < np.append(world.errors, 0.0)[strata]
    has_slipped = random.random(shape) < world.slips
    is_same = random.random(shape) < 1.0 / (LABELS - 1)
    return Drawn(strata, np.where(is_machine_wrong, ~(has_slipped & is_same), has_slipped))


def covered(world: World, drawn: Drawn) -> NDArray[np.bool_]:
    """Whether the truth was never ruled out, `(streams,)`."""
    values = np.append(world.weights, 0.0)
    of_checks = np.array([world.disagreement])
    bets = wagers(of_checks, world.max_weight)[0]
    seen = np.stack([np.zeros(len(values)), values], axis=1)  # (strata, right or wrong)
    gains = np.log1p(bets * (seen[..., None] - of_checks))
    gains[-1] = 0.0
    golden = np.zeros((*seen.shape, len(bets)))
    if world.slips:
        slips = np.array([world.slips])
        bets = wagers(slips, 1.0)[0]
        golden[-1] = np.log1p(bets * (np.array([0.0, 1.0])[:, None] - slips))
    highest = []
    for begin in range(0, len(drawn.strata), 50):
        part = slice(begin, begin + 50)
        at = (drawn.strata[part], drawn.is_wrong[part].astype(int))
        won = log_mean(gains[at].cumsum(axis=1)) + log_mean(golden[at].cumsum(axis=1))
        highest.append(won.max(axis=1))
    return np.concatenate(highest) < -log(1.0 - CONFIDENCE)


def checked(world: World, drawn: Drawn, stream: int, answers: int) -> Checked:
    """What is known of one stream after so many answers."""
    strata, is_wrong = drawn.strata[stream, :answers], drawn.is_wrong[stream, :answers]
    is_golden = strata == len(STRATA)
    return Checked(
        num_checks=int((~is_golden).sum()),
        wrong=world.weights[strata[~is_golden & is_wrong]].tolist(),
        num_golden=int(is_golden.sum()),
        num_golden_wrong=int((is_golden & is_wrong).sum()),
        same=1.0 / (LABELS - 1),
        max_weight=world.max_weight,
    )


def widths(world: World, drawn: Drawn, streams: int) -> Floats:
    """The mean widths at the looks that there are answers for, in points."""
    looks = [look for look in LOOKS if look <= drawn.strata.shape[1]]
    found = np.zeros(len(looks))
    for at, look in enumerate(looks):
        told = [estimate(checked(world, drawn, stream, look)) for stream in range(streams)]
        found[at] = 100 * np.mean([each.upper - each.lower for each in told if each])
    return found


def raw_estimates(world: World, drawn: Drawn) -> Floats:
    """The estimates after the last answer, `(streams,)`."""
    is_golden = drawn.strata == len(STRATA)
    weights = np.append(world.weights, 0.0)[drawn.strata]
    disagreements = (weights * drawn.is_wrong).sum(axis=1) / (~is_golden).sum(axis=1)
    golden = np.maximum(is_golden.sum(axis=1), 1)
    slips = (is_golden & drawn.is_wrong).sum(axis=1) / golden
    pairs = zip(disagreements.tolist(), slips.tolist(), strict=True)
    return np.array([corrected(d, b, 1.0 / (LABELS - 1)) for d, b in pairs])


def measure(world: World, streams: int, answers: int, seed: int) -> dict[str, float]:
    """All figures of one truth."""
    random = np.random.default_rng([seed, round(world.error * 1e4), round(world.slips * 1e4)])
    drawn = draw(world, streams, answers, random)
    even = World(world.error, world.slips, is_even=True)
    drawn_evenly = draw(even, streams, answers, random)
    num_covered, estimates = int(covered(world, drawn).sum()), raw_estimates(world, drawn)
    sure = stats.binomtest(num_covered, streams).proportion_ci(0.95, "exact")
    some = min(streams, 200)
    ours, evens = widths(world, drawn, some), widths(even, drawn_evenly, some)
    return {
        "error": world.error,
        "slips": world.slips,
        "covered": num_covered / streams,
        "covered_low": sure.low,
        "covered_high": sure.high,
        "bias": 100 * float(estimates.mean() - world.error),
        "bias_shown": 100 * float(np.clip(estimates, 0.0, 1.0).mean() - world.error),
        "width": float(ours[-1]),
        "width_even": float(evens[-1]),
        "fewer": _times(ours, evens, answers),
    }


def _times(ours: Floats, evens: Floats, answers: int) -> float:
    """How many times as many answers the even drawing takes, by how widths fall with answers."""
    looks = np.log([look for look in LOOKS if look <= answers])
    slope, offset = np.polyfit(looks, np.log(evens), 1)
    return float(np.exp((np.log(ours[-1]) - offset) / slope - looks[-1]))


def _row(found: dict[str, float]) -> tuple[str, ...]:
    return (
        f"{found['error']:.1%}",
        f"{found['slips']:.0%}",
        f"{found['covered']:.2%}",
        f"{found['covered_low']:.2%} to {found['covered_high']:.2%}",
        f"{found['bias']:+.3f}",
        f"{found['bias_shown']:+.3f}",
        f"{found['width']:.2f}",
        f"{found['width_even']:.2f}",
        f"{found['fewer']:.2f}",
    )


def main() -> None:
    """Draw, count, print, and write where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=2000, help="Streams of each truth.")
    parser.add_argument("--answers", type=int, default=2000, help="Answers of each stream.")
    parser.add_argument("--seed", type=int, default=27, help="The seed of all draws.")
    parser.add_argument("--quick", action="store_true", help="A small run, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.streams, options.answers = 100, 500
    lines, numbers = [_line(COLUMNS), _line(["---"] * len(COLUMNS))], []
    for slips in (0.05, 0.0):
        for error in ERRORS:
            world = World(error, slips)
            numbers.append(measure(world, options.streams, options.answers, options.seed))
            lines.append(_line(_row(numbers[-1])))
            print(lines[-1], flush=True)
    if options.write:
        title = (
            "# Whether an audit tells the error where it is known\n\n"
            f"{options.streams:,} streams of {options.answers:,} answers each,"
            f" at {CONFIDENCE:.0%} confidence; seed {options.seed}."
        )
        text = "\n\n".join([title, "\n".join(lines), READING, provenance("numpy", "scipy")])
        write_result("audit_simulated", f"{text}\n")
        write_numbers("audit_simulated", numbers)


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
