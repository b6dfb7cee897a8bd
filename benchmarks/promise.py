"""Whether a calibrated promise holds: many splits of public data, scored once by a real fleet.

Every step is asked about every test row, by the same code as `smallfirst calibrate`. Then the test
rows are dealt anew many times into two halves: one calibrates, the other is what comes later. How
often the error among accepted answers of the later half exceeds the target is counted. Once more
with a fifth of the calibration half's labels replaced by wrong ones.

    python benchmarks/promise.py --write
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from provenance import provenance, write_result
from rich.progress import track
from scipy import stats

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.calibrating import fitting_part
from smallfirst.evaluation.rows import read_rows
from smallfirst.evaluation.scores import ScoredRow, Scores
from smallfirst.evaluation.scoring_run import ask_every_step
from smallfirst.evaluation.settings_table import SettingsTable, is_distinct, tally
from smallfirst.evaluation.temperature import fit_temperature
from smallfirst.evaluation.thresholds import Aim, Chosen, choose, num_to_fit

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "examples" / "public_data" / "catalogue.yaml"
TARGETS = (0.01, 0.02, 0.05)
CONFIDENCE = 0.95
#: Which share of the calibration half's labels is replaced.
CORRUPTED = 0.2
#: The state of the first token alone, which was never trained to stand for a text.
FIRST_TOKEN, MEAN = "minilm-first", "minilm"
RULES, WORDS, TUNED = "rules", "words", "tuned"
#: What a model's bare name means: the linear model, the head, or their mean, chosen by itself.
DEFAULT = "default"
#: The steps that every row of a task is asked, cheapest first; the tuned model where there is one.
STEPS = {
    "headlines": (RULES, WORDS, FIRST_TOKEN, MEAN, DEFAULT, TUNED),
    "banking77": (WORDS, FIRST_TOKEN, MEAN, DEFAULT),
}
#: Nothing was said.
NOTHING = -1
#: Headlines that say where the price went in so many words.
_GOES = r"\bgold\b.{0,20}\b(%s) (rs\.? ?\d|\$ ?\d|\d)"
RULE = [
    {"label": "up", "pattern": _GOES % "gains|rises|adds|climbs|jumps", "ignore_case": True},
    {"label": "down", "pattern": _GOES % "falls|drops|loses|slips|sheds", "ignore_case": True},
]
COLUMNS = (
    "cascade",
    "target",
    "labels",
    "promised",
    "later half over target",
    "95 % interval",
    "all rows over target",
    "error, mean",
    "answered, mean",
    "cost, mean",
)
READING = """\
`labels`: those of the half that calibrates; in "20 % wrong" every fifth is replaced by another one,
and the later half is always judged by the true labels. `promised`: in how many splits the rows bore
the promise; in the others nothing is accepted, and nothing is broken. `later half over target`: the
error among the accepted answers of the later half is larger than the target; its interval is
Clopper and Pearson's over all splits, which share rows and so are not quite independent. `all rows
over target`: the same over all test rows, which is the population that the halves are drawn from
and what the promise is about; the later half adds its own luck. `cost`: of the cascade for a job,
in shares of what asking its last step for every job costs."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cascade:
    """Some of the steps that were asked, in order."""

    title: str
    task: str
    names: tuple[str, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """Their places among all that were asked."""
        return tuple(map(STEPS[self.task].index, self.names))


CASCADES = (
    Cascade("HEADLINES: linear", "headlines", (WORDS,)),
    Cascade("HEADLINES: head", "headlines", (MEAN,)),
    Cascade("HEADLINES: default", "headlines", (DEFAULT,)),
    Cascade("HEADLINES: linear, head", "headlines", (WORDS, MEAN)),
    Cascade("HEADLINES: linear, default", "headlines", (WORDS, DEFAULT)),
    Cascade("HEADLINES: rule, first-token head, head", "headlines", (RULES, FIRST_TOKEN, MEAN)),
    Cascade("HEADLINES: tuned model", "headlines", (TUNED,)),
    Cascade("HEADLINES: linear, tuned model", "headlines", (WORDS, TUNED)),
    Cascade("HEADLINES: head, tuned model", "headlines", (MEAN, TUNED)),
    Cascade("BANKING77: linear", "banking77", (WORDS,)),
    Cascade("BANKING77: head", "banking77", (MEAN,)),
    Cascade("BANKING77: default", "banking77", (DEFAULT,)),
    Cascade("BANKING77: linear, head", "banking77", (WORDS, MEAN)),
    Cascade("BANKING77: linear, default", "banking77", (WORDS, DEFAULT)),
    Cascade("BANKING77: first-token head, head", "banking77", (FIRST_TOKEN, MEAN)),
)


@dataclass(frozen=True)
class Pool:
    """What every step of a task said of its test rows, as arrays.

    Attributes:
        probabilities: `(rows, steps, labels)`; all 0 where a step gives no distribution.
        confidences: `(rows, steps)`, as given.
        said: `(rows, steps)`, column of the label.
        right: `(rows,)`, column of the right label.
        costs: `(rows, steps)`.
        keys: `(rows,)`, of the texts.
        clusters: `(rows,)`; rows of one are alike.
    """

    probabilities: Floats
    confidences: Floats
    said: Ints
    right: Ints
    costs: Floats
    keys: NDArray[np.str_]
    clusters: Ints


@dataclass(frozen=True)
class Trial:
    """What a promise came to in one split."""

    later_error: float
    whole_error: float
    answered: float
    cost: float


def main() -> None:
    """Score, split, print, and write where asked to."""
    options = _options()
    pools = {task: _pool(task, options) for task in options.tasks}
    rows = list(_table(pools, options.splits, options.calibrating))
    table = [_line(COLUMNS), "|---" * len(COLUMNS) + "|", *map(_line, rows)]
    facts = provenance("numpy", "scipy", "openvino")
    report = "\n".join([_heading(options, pools), *table, "", READING, "", facts])
    print(report)
    if options.write:
        name = f"promise_{options.calibrating}" if options.calibrating else "promise"
        write_result(name, report)


def _options() -> argparse.Namespace:
    data = Path(os.environ.get("SMALLFIRST_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--tasks", nargs="+", default=["headlines", "banking77"])
    parser.add_argument("--tuned", type=Path, help="a model tuned on HEADLINES, as a last step")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--calibrating", type=int, help="rows that calibrate; half of them if not")
    parser.add_argument("--scores", type=Path, help="folder that keeps what the fleet said")
    parser.add_argument("--write", action="store_true", help="write results/promise.md too")
    return parser.parse_args()


def _pool(task: str, options: argparse.Namespace) -> Pool:
    """Ask the fleet, or read what it said to the very same question before."""
    test = options.data / task / "test.jsonl"
    if not test.is_file():
        sys.exit(f"{test} is not there: give --data, or set SMALLFIRST_DATA")
    with tempfile.TemporaryDirectory(prefix="smallfirst-promise-") as folder:
        path = _write_catalogue(task, options, Path(folder))
        catalogue = load_catalogue(path)
        kept = options.scores and options.scores / f"{task}-{_digest(catalogue, test)}.npz"
        if kept and kept.is_file():
            return Pool(**np.load(kept))
        rows = read_rows(test, task, catalogue.tasks[task])
        scores = ask_every_step(path, task, rows)
    pool = _as_arrays(scores, list(catalogue.tasks[task].labels))
    if kept:
        kept.parent.mkdir(exist_ok=True)
        np.savez(kept, allow_pickle=False, **asdict(pool))
    return pool


def _digest(catalogue: Catalogue, test: Path) -> str:
    return hashlib.sha256(catalogue.model_dump_json().encode() + test.read_bytes()).hexdigest()[:12]


def _write_catalogue(task: str, options: argparse.Namespace, folder: Path) -> Path:
    """The public example's catalogue, with a cascade of several steps for one of its tasks."""
    catalogue: dict[str, Any] = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    catalogue["models"] = {
        FIRST_TOKEN: {"source": "bundled:minilm", "pooling": "cls"},
        MEAN: {"source": "bundled:minilm"},
        WORDS: {"source": "bundled:words", "tier": "linear"},
    }
    catalogue["router"] = {
        "price_per_hour": next(iter(catalogue["pools"].values()))["price_per_hour"]
    }
    about = catalogue["tasks"][task]
    about["examples"] = str((options.data / task / "train.jsonl").absolute())
    rules = [{"rule": {"patterns": RULE}}] if task == "headlines" else []
    heads = [{"models": [FIRST_TOKEN]}, {"models": [MEAN]}]
    about["cascade"] = [*rules, {"model": WORDS}, *heads, {"model": MEAN}]
    if options.tuned and task == "headlines":
        catalogue["models"][TUNED] = {"source": str(options.tuned.absolute())}
        about["cascade"].append({"model": TUNED})
    catalogue["tasks"] = {task: about}
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(catalogue, sort_keys=False), encoding="utf-8")
    return path


def _as_arrays(scores: Scores, labels: Sequence[str]) -> Pool:
    column = {label: number for number, label in enumerate(labels)}

    def probabilities(row: ScoredRow) -> list[list[float]]:
        return [[said.distribution.get(label, 0.0) for label in labels] for said in row.said]

    return Pool(
        np.array([probabilities(row) for row in scores.rows]),
        np.array([[said.confidence for said in row.said] for row in scores.rows]),
        np.array([[column.get(said.said, NOTHING) for said in row.said] for row in scores.rows]),
        np.array([column[row.right] for row in scores.rows]),
        np.array([[said.cost for said in row.said] for row in scores.rows]),
        np.array([row.key for row in scores.rows]),
        np.array([row.cluster for row in scores.rows]),
    )


def _table(
    pools: Mapping[str, Pool], num_splits: int, num_calibrating: int | None
) -> Iterator[tuple[str, ...]]:
    for cascade in (one for one in CASCADES if _was_asked(one, pools)):
        trials: dict[tuple[float, float], list[Trial | None]] = {
            key: [] for key in product(TARGETS, (0.0, CORRUPTED))
        }
        for seed in track(range(num_splits), cascade.title, transient=True):
            for corrupted in (0.0, CORRUPTED):
                pool = pools[cascade.task]
                num = num_calibrating or len(pool.right) // 2
                came = _trials(pool, cascade, corrupted, seed, num)
                for target, trial in zip(TARGETS, came, strict=True):
                    trials[target, corrupted].append(trial)
        for (target, corrupted), found in trials.items():
            yield _cells(cascade, target, corrupted, found)


def _was_asked(cascade: Cascade, pools: Mapping[str, Pool]) -> bool:
    pool = pools.get(cascade.task)
    return pool is not None and max(cascade.steps) < pool.confidences.shape[1]


def _trials(
    pool: Pool, cascade: Cascade, corrupted: float, seed: int, num: int
) -> list[Trial | None]:
    """Calibrate on so many of the rows, at every target; see what comes of it on the others."""
    random = np.random.default_rng([seed, round(100 * corrupted)])
    order = np.random.default_rng(seed).permutation(len(pool.right))
    first, later = order[:num], order[num:]
    labels = pool.right.copy()
    wrong = first[random.random(len(first)) < corrupted]
    shift = random.integers(1, pool.probabilities.shape[2], len(wrong))
    labels[wrong] = (labels[wrong] + shift) % pool.probabilities.shape[2]

    fixed = np.array([1.0 if _is_rule(pool, step) else np.nan for step in cascade.steps])
    num_fit = num_to_fit(len(first), fixed, Aim(TARGETS[0]), has_temperature=True)
    rows = tuple(
        ScoredRow(str(pool.keys[place]), "", (), int(pool.clusters[place])) for place in first
    )
    is_fit = fitting_part(rows, num_fit)
    confidences = _tempered(pool, cascade, first[is_fit], labels)
    board = _board(pool, cascade, confidences, labels)
    truth = _board(pool, cascade, confidences, pool.right)
    half = replace(_rows(board, first), is_distinct=is_distinct(rows))
    chosen = [choose(half, is_fit, fixed, Aim(target, CONFIDENCE)) for target in TARGETS]
    return [_outcome(truth, later, one) if isinstance(one, Chosen) else None for one in chosen]


def _tempered(pool: Pool, cascade: Cascade, fit: Ints, labels: Ints) -> Floats:
    """Fit every step's temperature on some rows, and apply it to all: `(rows, steps)`."""
    confidences = pool.confidences[:, cascade.steps].copy()
    for place, step in enumerate(cascade.steps):
        if not _is_rule(pool, step):
            probabilities = pool.probabilities[:, step]
            temperature = fit_temperature(probabilities[fit], labels[fit])
            powers = probabilities ** (1.0 / temperature)  # (rows, labels)
            said = powers[np.arange(len(powers)), pool.said[:, step]]
            confidences[:, place] = np.round(said / powers.sum(axis=1), 6)
    return confidences


def _is_rule(pool: Pool, step: int) -> bool:
    return not pool.probabilities[:, step].any()


def _board(pool: Pool, cascade: Cascade, confidences: Floats, labels: Ints) -> SettingsTable:
    said = pool.said[:, cascade.steps]
    is_wrong = said != labels[:, None]
    return SettingsTable(confidences, is_wrong, pool.costs[:, cascade.steps], np.zeros_like(said))


def _rows(board: SettingsTable, places: Ints) -> SettingsTable:
    groups = board.groups[places]
    return SettingsTable(
        board.confidences[places], board.is_wrong[places], board.costs[places], groups
    )


def _outcome(truth: SettingsTable, later: Ints, found: Chosen) -> Trial:
    half = tally(_rows(truth, later), found.thresholds[None])
    whole = tally(truth, found.thresholds[None])
    accepted = float(half.accepted[0, 0])
    return Trial(
        float(half.wrong[0, 0]) / max(1.0, accepted),
        float(whole.wrong[0, 0] / whole.accepted[0, 0]),
        accepted / len(later),
        float(half.cost[0]) / float(truth.costs[later, -1].sum()),
    )


def _cells(
    cascade: Cascade, target: float, corrupted: float, trials: Sequence[Trial | None]
) -> tuple[str, ...]:
    kept = [trial for trial in trials if trial is not None]
    broken = sum(trial.later_error > target for trial in kept)
    on_all = sum(trial.whole_error > target for trial in kept)
    interval = stats.binomtest(broken, len(trials)).proportion_ci(0.95, "exact")
    return (
        cascade.title,
        f"{target:.0%}",
        f"{corrupted:.0%} wrong" if corrupted else "true",
        f"{len(kept)} of {len(trials)}",
        f"{broken} ({broken / len(trials):.1%})",
        f"{interval.low:.1%} to {interval.high:.1%}",
        f"{on_all} ({on_all / len(trials):.1%})",
        _mean([trial.later_error for trial in kept], "{:.2%}"),
        _mean([trial.answered for trial in kept], "{:.1%}"),
        _mean([trial.cost for trial in kept], "{:.2f}"),
    )


def _mean(values: Sequence[float], form: str) -> str:
    return form.format(np.mean(values)) if values else ""


def _heading(options: argparse.Namespace, pools: Mapping[str, Pool]) -> str:
    sizes = ", ".join(f"{len(pool.right):,} of {task}" for task, pool in pools.items())
    num = options.calibrating
    parts = (
        f"{num:,} that\ncalibrate and the later ones"
        if num
        else "a half that\ncalibrates and a later half"
    )
    return (
        "# Whether a promise holds\n\n"
        f"{options.splits} splits of the test rows ({sizes}) into {parts},"
        f" at {CONFIDENCE:.0%} confidence. No model has seen any of"
        " them. Scored by a real fleet, in\none pass of every step over every row.\n"
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
