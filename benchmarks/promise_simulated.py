"""Whether a promise holds where the truth is known: rows drawn many times, calibrated each time.

Each stream can be drawn from without end, so the risk at any threshold is known. Rows are drawn,
thresholds are chosen as `smallfirst calibrate` chooses them, and counted is how often the true risk
among accepted answers is above the target. A promise of 95 % may be broken in 5 % of draws.

    python benchmarks/promise_simulated.py --splits 10000 --write
"""

import argparse
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from provenance import provenance, write_result
from rich.progress import track
from scipy import stats

from smallfirst.evaluation.settings_table import SettingsTable, tally
from smallfirst.evaluation.temperature import fit_temperature
from smallfirst.evaluation.thresholds import Aim, Chosen, choose, num_to_fit

CONFIDENCE = 0.95
#: Rows that stand for the whole stream.
TRUTH_ROWS = 400_000
#: As many of them judge cascades of several steps.
SOME_ROWS = 100_000
COLUMNS = ("stream", "rows", "target", "promised", "broken", "95 % interval", "answered")
READING = """\
`promised`: in how many draws the rows bore a promise; in the others nothing is accepted, and
nothing is broken. `broken`: in how many of all draws the true risk among accepted answers is above
the target (of any label, where labels are promised apart); its interval is Clopper and Pearson's.
`answered`: the true share of texts that is answered, nothing where nothing is promised. The truth
is taken from 400,000 further rows of the stream; for several steps or a temperature, 100,000."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True)
class Sample:
    """Rows of a stream, in an order of chance.

    Attributes:
        table: What the steps said of them.
        probabilities: `(rows, labels)` of the only step, where it has a temperature; else None.
        right: `(rows,)`, columns of the right labels there.
    """

    table: SettingsTable
    probabilities: Floats | None = None
    right: Ints | None = None

    def tempered(self, temperature: float) -> SettingsTable:
        """The same rows, as sure as a temperature makes them."""
        if self.probabilities is None:
            return self.table
        powers = self.probabilities ** (1.0 / temperature)
        sure = powers.max(axis=1) / powers.sum(axis=1)
        return replace(self.table, confidences=np.round(sure, 6)[:, None])

    def temperature(self, num_rows: int) -> float:
        """Fit it on the first so many rows; 1 where there is none."""
        if self.probabilities is None or self.right is None:
            return 1.0
        return fit_temperature(self.probabilities[:num_rows], self.right[:num_rows])


@dataclass(frozen=True)
class Stream:
    """A stream of texts, and what is to be promised of it.

    Attributes:
        title: What it is like.
        num_rows: How many rows calibrate.
        target: What is promised.
        draw: Draws so many rows of it.
        fixed: The threshold of each step that is not to be chosen; else nan.
        is_per_label: Whether each label is promised for itself.
    """

    title: str
    num_rows: int
    target: float
    draw: Callable[[Random, int], Sample]
    fixed: tuple[float, ...] = (np.nan,)
    is_per_label: bool = False


def one_step(sure: Floats, is_wrong: Bools, is_distinct: Bools | None = None) -> Sample:
    """Rows of a single step."""
    groups = np.zeros((len(sure), 1), np.int64)
    confidences = np.round(sure, 6)[:, None]
    costs = np.ones((len(sure), 1))
    table = SettingsTable(confidences, is_wrong[:, None], costs, groups, is_distinct=is_distinct)
    return Sample(table)


def mostly_sure(random: Random, rows: int) -> Floats:
    """Confidences of a good model: most answers sure, a tail of unsure ones."""
    return 1.0 - random.beta(0.6, 5.0, rows) * 0.9


def smooth(random: Random, rows: int) -> Sample:
    """Wrong the more seldom, the surer."""
    sure = mostly_sure(random, rows)
    return one_step(sure, random.random(rows) < 0.75 * (1.0 - sure))


def flat(risk: float, random: Random, rows: int) -> Sample:
    """Wrong equally often, whatever it says of itself."""
    return one_step(random.uniform(0.05, 0.95, rows), random.random(rows) < risk)


def waves(random: Random, rows: int) -> Sample:
    """Often and seldom wrong by turns, so that the risk crosses 5 % again and again."""
    sure = random.uniform(0.05, 0.95, rows)
    risk = np.where(np.floor(sure * 40) % 2 == 0, 0.095, 0.006)
    return one_step(sure, random.random(rows) < risk)


def surest_worst(random: Random, rows: int) -> Sample:
    """The surer, the more often wrong: 5.5 % of all."""
    sure = random.uniform(0.05, 0.95, rows)
    return one_step(sure, random.random(rows) < 0.11 * sure)


def tied(risks: tuple[float, float, float], random: Random, rows: int) -> Sample:
    """Three scores alone, with a risk each, the surest first."""
    place = random.integers(0, 3, rows)
    is_wrong = random.random(rows) < np.array(risks)[place]
    return one_step(np.array([0.9, 0.7, 0.5])[place], is_wrong)


def too_sure(random: Random, rows: int) -> Sample:
    """Four labels; the model says the square of what it should, and gets a temperature."""
    true = random.dirichlet((4.0, 0.25, 0.15, 0.1), rows)
    right = (true.cumsum(axis=1) > random.random(rows)[:, None]).argmax(axis=1)
    said = true**2 / (true**2).sum(axis=1, keepdims=True)
    sample = one_step(said.max(axis=1), said.argmax(axis=1) != right)
    return Sample(sample.table, said, right)


def one_text(share: float, random: Random, rows: int) -> Sample:
    """One text is surely and always wrong, wherever it comes; the rest is wrong in 1 %."""
    is_it = random.random(rows) < share
    sure = np.where(is_it, 0.999, random.uniform(0.05, 0.95, rows))
    return one_step(sure, is_it | (random.random(rows) < 0.01))


def many_texts(random: Random, rows: int) -> Sample:
    """A fifth is of twenty texts that come again and again, six of them surely wrong."""
    text = np.where(random.random(rows) < 0.2, random.integers(0, 20, rows), -1)
    sure = np.where(text >= 0, 0.97 - 0.001 * text, random.uniform(0.05, 0.95, rows))
    is_wrong = np.where(text >= 0, text < 6, random.random(rows) < 0.02)
    return one_step(sure, is_wrong)


def templates(mean_size: int, *, is_even: bool, random: Random, rows: int) -> Sample:
    """Rows that differ by a word from others of their template, right or wrong together."""
    number = -(-rows // mean_size)
    sizes = np.full(number, mean_size) if is_even else random.geometric(1 / mean_size, 2 * number)
    template = random.permutation(np.repeat(np.arange(len(sizes)), sizes)[:rows])
    sure = mostly_sure(random, len(sizes))
    is_wrong = random.random(len(sizes)) < 0.75 * (1.0 - sure)
    is_distinct = np.zeros(rows, np.bool_)
    is_distinct[np.unique(template, return_index=True)[1]] = True
    near = np.clip(sure[template] + random.normal(0.0, 1e-4, rows), 1e-6, 1.0)
    return one_step(near, is_wrong[template], is_distinct)


def by_label(num_rare: int, share: float, risk: float, random: Random, rows: int) -> Sample:
    """Four labels that are wrong in 0.5 %, and rare ones that are wrong far more often."""
    shares = np.array([(1 - num_rare * share) / 4] * 4 + [share] * num_rare)
    label = random.choice(len(shares), rows, p=shares)
    is_wrong = random.random(rows) < np.array([0.005] * 4 + [risk] * num_rare)[label]
    table = one_step(random.uniform(0.5, 1.0, rows), is_wrong).table
    return Sample(replace(table, groups=label[:, None], num_groups=len(shares)))


def cascade(risks: tuple[float, ...], slope: float, random: Random, rows: int) -> Sample:
    """Steps that know nothing of each other, each twenty times as dear as the one before."""
    sure = np.round(random.uniform(0.01, 1.0, (rows, len(risks))), 6)
    is_wrong = random.random(sure.shape) < np.array(risks) * (1 + slope * (0.5 - sure))
    costs = np.tile(20.0 ** np.arange(len(risks)), (rows, 1))
    return Sample(SettingsTable(sure, is_wrong, costs, np.zeros(sure.shape, np.int64)))


def rule_first(random: Random, rows: int) -> Sample:
    """A rule answers a fifth of the texts, 6.5 % of them wrongly; a model the others."""
    model = smooth(random, rows).table
    by_rule = (random.random(rows) < 0.2).astype(float)
    return Sample(
        SettingsTable(
            np.column_stack([by_rule, model.confidences]),
            np.column_stack([random.random(rows) < 0.065, model.is_wrong]),
            np.ones((rows, 2)),
            np.zeros((rows, 2), np.int64),
        )
    )


def _streams() -> Iterator[Stream]:
    for rows, target in ((300, 0.05), (1000, 0.05), (1000, 0.02), (3000, 0.02)):
        yield Stream("one step, surer and less wrong", rows, target, smooth)
    yield Stream("one step, flat at 1.15 times the target", 1000, 0.05, partial(flat, 0.0575))
    yield Stream("one step, flat at 1.15 times the target", 300, 0.1, partial(flat, 0.115))
    yield Stream("one step, flat at 1.02 times the target", 1000, 0.05, partial(flat, 0.051))
    yield Stream("one step, risk in waves round the target", 1000, 0.05, waves)
    yield Stream("one step, the surest most often wrong", 1000, 0.05, surest_worst)
    just_over = partial(tied, (0.055, 0.055, 0.055))
    yield Stream("one step, three scores, all just over the target", 1000, 0.05, just_over)
    yield Stream("one step, three scores, all just over the target", 300, 0.05, just_over)
    across = partial(tied, (0.02, 0.05, 0.1))
    yield Stream("one step, three scores, the last of them too often wrong", 1000, 0.05, across)
    yield Stream("one step, four labels, with its temperature", 300, 0.05, too_sure)
    yield Stream("one step, four labels, with its temperature", 1000, 0.05, too_sure)
    yield Stream("one text in ten is the same, and wrong", 2000, 0.05, partial(one_text, 0.1))
    yield Stream("one text in twenty is the same, and wrong", 1000, 0.05, partial(one_text, 0.05))
    yield Stream("twenty texts come again and again", 1000, 0.05, many_texts)
    for size in (3, 10):
        for rows in (1000, 3000):
            even = partial(templates, size, is_even=True)
            yield Stream(f"templates of {size} rows", rows, 0.05, _drawn(even))
    uneven = partial(templates, 5, is_even=False)
    yield Stream("templates of one to many rows, five in the mean", 1000, 0.05, _drawn(uneven))
    for number, times, risk in ((1, 1.2, 0.5), (1, 1.2, 0.25), (3, 0.9, 0.3), (10, 0.25, 0.3)):
        title = f"by label, {number} rare of {times:g} rows each, wrong in {risk:.0%}"
        draw = partial(by_label, number, times / 3000, risk)
        yield Stream(title, 3000, 0.05, draw, is_per_label=True)
    draw = partial(by_label, 1, 0.2, 0.06)
    yield Stream("by label, one just over the target", 3000, 0.05, draw, is_per_label=True)
    yield Stream("a rule, then a step", 1000, 0.05, rule_first, (1.0, np.nan))
    two = (np.nan, np.nan)
    yield Stream("two steps", 1000, 0.05, partial(cascade, (0.2, 0.05), 1.9), two)
    yield Stream(
        "two steps, flat just over the target", 1000, 0.05, partial(cascade, (0.055,) * 2, 0.0), two
    )
    yield Stream(
        "three steps", 1000, 0.05, partial(cascade, (0.3, 0.15, 0.05), 1.9), (*two, np.nan)
    )


def _drawn(draw: Callable[..., Sample]) -> Callable[[Random, int], Sample]:
    return partial(_by_position, draw)


def _by_position(draw: Callable[..., Sample], random: Random, rows: int) -> Sample:
    return draw(random=random, rows=rows)


STREAMS = tuple(_streams())


@cache
def _truth(number: int) -> Sample:
    return STREAMS[number].draw(np.random.default_rng([number, 1]), TRUTH_ROWS)


@cache
def _some(number: int) -> Sample:
    truth, is_in = _truth(number), np.arange(TRUTH_ROWS) < SOME_ROWS
    if truth.probabilities is None or truth.right is None:
        return Sample(truth.table.part(is_in))
    return Sample(truth.table.part(is_in), truth.probabilities[is_in], truth.right[is_in])


@dataclass(frozen=True)
class Curve:
    """The answers of one label, the surest first: how sure, and how many of them are wrong."""

    sure: Floats
    wrong: Floats

    def above(self, threshold: float) -> tuple[int, float]:
        """How many reach a threshold, and how many of those are wrong."""
        place = int(np.searchsorted(-self.sure, -threshold, side="right"))
        return place, float(self.wrong[place - 1]) if place else 0.0


@cache
def _curves(number: int) -> list[Curve]:
    """The truth of a single step, by label."""
    table = _truth(number).table
    order = np.argsort(-table.confidences[:, 0], kind="stable")
    groups = [order[table.groups[order, 0] == group] for group in range(table.num_groups)]
    return [Curve(table.confidences[at, 0], table.is_wrong[at, 0].cumsum()) for at in groups]


@dataclass(frozen=True)
class Trial:
    """What came of one draw that bore a promise."""

    is_broken: bool
    answered: float


def try_once(number: int, seed: int) -> Trial | None:
    """Draw rows of a stream, choose thresholds, and look at the truth."""
    stream = STREAMS[number]
    sample = stream.draw(np.random.default_rng([number, 0, seed]), stream.num_rows)
    aim = Aim(stream.target, CONFIDENCE, is_per_label=stream.is_per_label)
    fixed, has_one = np.array(stream.fixed), sample.probabilities is not None
    num_fit = num_to_fit(stream.num_rows, fixed, aim, has_temperature=has_one)
    temperature = sample.temperature(num_fit)
    is_fit = np.arange(stream.num_rows) < num_fit
    found = choose(sample.tempered(temperature), is_fit, fixed, aim)
    return _judged(number, temperature, found) if isinstance(found, Chosen) else None


def _judged(number: int, temperature: float, found: Chosen) -> Trial:
    target, truth = STREAMS[number].target, _truth(number)
    if truth.table.num_steps == 1 and truth.probabilities is None:
        pairs = zip(_curves(number), found.thresholds[0], strict=True)
        met = [curve.above(threshold) for curve, threshold in pairs]
        is_broken = any(wrong > target * accepted for accepted, wrong in met)
        return Trial(is_broken, sum(accepted for accepted, _ in met) / TRUTH_ROWS)
    came = tally(_some(number).tempered(temperature), found.thresholds[None])
    accepted, wrong = float(came.accepted.sum()), float(came.wrong.sum())
    return Trial(wrong > target * accepted, accepted / came.num_rows)


def try_some(number: int, seeds: range) -> list[Trial | None]:
    """Try a stream with each of these seeds."""
    return [try_once(number, seed) for seed in seeds]


def _row(number: int, trials: list[Trial | None]) -> tuple[str, ...]:
    stream, kept = STREAMS[number], [trial for trial in trials if trial is not None]
    broken = sum(trial.is_broken for trial in kept)
    interval = stats.binomtest(broken, len(trials)).proportion_ci(0.95, "exact")
    return (
        stream.title,
        f"{stream.num_rows:,}",
        f"{stream.target:.0%}",
        f"{len(kept) / len(trials):.1%}",
        f"{broken / len(trials):.2%}",
        f"{interval.low:.2%} to {interval.high:.2%}",
        f"{sum(trial.answered for trial in kept) / len(trials):.1%}",
    )


def main() -> None:
    """Draw, count, print, and write where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--splits", type=int, default=10_000, help="Draws of each stream.")
    parser.add_argument("--only", default="", help="Part of the titles of the streams to try.")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="Processes at work.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    numbers = [at for at, stream in enumerate(STREAMS) if options.only in stream.title]
    parts = [range(at, min(at + 100, options.splits)) for at in range(0, options.splits, 100)]
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    with ProcessPoolExecutor(options.processes) as pool:
        for number in numbers:
            done = pool.map(partial(try_some, number), parts)
            told = track(done, STREAMS[number].title, len(parts), transient=True)
            lines.append(_line(_row(number, [trial for part in told for trial in part])))
            print(lines[-1], flush=True)
    if options.write:
        _write(lines, options.splits)


def _write(lines: list[str], splits: int) -> None:
    title = (
        "# Whether a promise holds where the truth is known\n\n"
        f"{splits:,} draws of each stream, at {CONFIDENCE:.0%} confidence."
    )
    text = "\n\n".join([title, "\n".join(lines), READING, provenance("numpy", "scipy")])
    write_result("promise_simulated", f"{text}\n")


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
