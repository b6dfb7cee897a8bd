"""How well scores tell texts that no label fits: intents of BANKING77 left out, and headlines.

Of the 77 intents 20 are left out, by several draws; the others make the examples. A score is better
the more texts of the 20 it flags where it flags one in twenty of the others'. It is chosen on the
training rows alone: a fifth of the rows of the intents that are kept plays the test there.

    python benchmarks/out_of_scope.py --data DATA --write
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from provenance import provenance, write_result
from scipy.stats import rankdata

from smallfirst.catalogue import Kind, Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.kinds import HeadForm
from smallfirst.linear.fitting import fitted
from smallfirst.linear.model import LinearModel
from smallfirst.linear.probabilities import normalise, softmax
from smallfirst.linear.regression import fit_classes
from smallfirst_workers.encoding.encoder import Encoder
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.heads.means import mean_of
from smallfirst_workers.heads.nearest import MAX_EXAMPLES, nearest_of
from smallfirst_workers.slm.engine import SlmEngine

DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
NUM_LEFT_OUT, NUM_HEADLINES, BATCH_ROWS = 20, 2000, 64
#: Share of own texts that may be flagged.
FALSE_FLAGS = 0.05
#: What the search of heads chooses for the 77 intents, or its neighbour.
STRENGTH, TOLERANCE = 30.0, 1e-3
CHOOSING, TESTING = range(3), range(100, 103)
_HEADINGS = (
    "score",
    "choosing: flagged",
    "flagged (lowest to highest)",
    "AUROC",
    "headlines flagged",
    "headlines AUROC",
)
READING = """\
Flagged is the share of the left-out intents' texts whose score is above the one that 5 % of the own
texts exceed; the mean of the draws. *Choosing* is the same on training rows alone, by other draws.
Probability and energy are those of a head on the states of MiniLM; the mean is that of the head and
a linear model; *linear model against head* is how unlikely the one thinks the other's label. A sum
is of ranks among the own texts. The fit of two scores is a logistic regression on left-out intents
of the training rows, applied to other intents in testing.
*Rank of the nearest* is what a worker tells: among the examples' own similarities, of which it
keeps 4,096 at most; its last line flags what is above 0.95, whatever the test rows are."""

Floats = NDArray[np.float32]
Texts = NDArray[np.str_]
Scores = dict[str, Floats]
Tables = list[tuple[Scores, Scores, Scores]]


def main() -> None:
    """Score the draws that choose and those that test, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--states", type=Path, help="File that keeps the encoder's states.")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    bank = _Bank(options.data, options.states)
    choosing = [bank.draw(seed, tests=False) for seed in CHOOSING]
    fit = _fit_of_two(choosing)
    testing = [bank.draw(seed, tests=True) for seed in TESTING]
    for table in (*choosing, *testing):
        _add_sums(table, fit)
    text = _page(choosing, testing, bank.cost())
    print(text)
    if options.write:
        write_result("out_of_scope", text)


class _Bank:
    """The rows of BANKING77 and some headlines, as the encoder sees them."""

    def __init__(self, data: Path, kept: Path | None) -> None:
        rows = {part: _rows(data / "banking77" / f"{part}.jsonl") for part in ("train", "test")}
        self.texts = {part: np.array([row["text"] for row in of]) for part, of in rows.items()}
        self.labels = {part: np.array([row["label"] for row in of]) for part, of in rows.items()}
        headlines = _rows(data / "headlines" / "test.jsonl")[:NUM_HEADLINES]
        self.texts["headlines"] = np.array([row["text"] for row in headlines])
        self.states = _states(self.texts, kept)

    def draw(self, seed: int, *, tests: bool) -> tuple[Scores, Scores, Scores]:
        """Leave intents out; score own texts, those of the intents left out, and headlines."""
        rng = np.random.default_rng(seed)
        out = rng.choice(np.unique(self.labels["train"]), NUM_LEFT_OUT, replace=False)
        is_own = ~np.isin(self.labels["train"], out)
        part = "test" if tests else "train"
        is_example = is_own if tests else is_own & (rng.random(len(is_own)) > 1 / 5)
        judged = np.ones(len(self.labels[part]), np.bool_) if tests else ~is_example
        is_foreign = np.isin(self.labels[part], out)
        scorer = _scorer(
            self.texts["train"][is_example],
            self.states["train"][is_example],
            self.labels["train"][is_example],
        )
        chosen = {"own": judged & ~is_foreign, "foreign": judged & is_foreign}
        own, foreign = (
            scorer(self.states[part][which], self.texts[part][which]) for which in chosen.values()
        )
        return own, foreign, scorer(self.states["headlines"], self.texts["headlines"])

    def cost(self) -> float:
        """Microseconds of one core that it takes to compare a text with the most examples."""
        nearest = nearest_of(
            self.states["train"][:MAX_EXAMPLES], self.texts["train"][:MAX_EXAMPLES]
        )
        states = [TextStates("", row, 1, None, 1) for row in self.states["test"][:1000]]
        started = time.process_time()
        for each in states:
            nearest.foreignness(each)
        return (time.process_time() - started) / len(states) * 1e6


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _states(texts: Mapping[str, Sequence[str]], kept: Path | None) -> dict[str, Floats]:
    if kept and kept.exists():
        return dict(np.load(kept))
    model = Model(source="bundled:minilm")
    with tempfile.TemporaryDirectory() as cache:
        engine = SlmEngine.load("minilm", model, model_folder(model), cache=Path(cache), threads=1)
        states = {part: _read(engine.encoder, list(of)) for part, of in texts.items()}
    if kept:
        np.savez(kept, **states)
    return states


def _read(encoder: Encoder, texts: Sequence[str]) -> Floats:
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    found: dict[int, Floats] = {}
    for first in range(0, len(order), BATCH_ROWS):
        batch = order[first : first + BATCH_ROWS]
        read, _ = encoder.read([texts[n] for n in batch], wants_words=[False] * len(batch))
        found |= {n: each.vector for n, each in zip(batch, read, strict=True)}
    return np.stack([found[number] for number in range(len(texts))])


def _scorer(texts: Texts, states: Floats, labels: Texts) -> Callable[[Floats, Texts], Scores]:
    """Learn from examples; return what scores texts, the higher the more foreign."""
    names = np.unique(labels)
    column = np.searchsorted(names, labels)
    truth = np.eye(len(names), dtype=np.bool_)[column]
    vectors = normalise(states)
    weights, bias = fit_classes(vectors, truth, STRENGTH, TOLERANCE)
    kept = np.random.default_rng(0).permutation(len(texts))[:MAX_EXAMPLES]
    nearest = nearest_of(states[kept], [str(text) for text in texts[kept]])
    means = np.stack([vectors[column == n].mean(axis=0) for n in range(len(names))])
    within = np.linalg.inv(_covariance(vectors - means[column]))
    overall, centre = np.linalg.inv(_covariance(vectors)), vectors.mean(axis=0)

    linear = _linear_model(texts, labels)

    def score(of: Floats, of_texts: Texts) -> Scores:
        unit = normalise(of)
        logits = unit @ weights.T + bias
        said = softmax(logits)
        cosines = -np.sort(-(unit @ vectors.T), axis=1)[:, :10]
        by_words = linear.probabilities([str(text) for text in of_texts]).probabilities
        both = mean_of(HeadForm.CHOICE, [by_words, said], [0.5, 0.5])
        winners = said.argmax(axis=1)
        of_classes = np.min([_lengths(unit - mean, within) for mean in means], axis=0)
        return {
            "probability": 1 - said.max(axis=1),
            "probability of the mean": 1 - both.max(axis=1),
            "linear model against head": 1 - by_words[np.arange(len(winners)), winners],
            "energy": -np.log(np.exp(logits - 50).sum(axis=1)),
            "nearest": 1 - cosines[:, 0],
            "ten nearest": 1 - cosines.mean(axis=1),
            "Mahalanobis": of_classes,
            "relative Mahalanobis": of_classes - _lengths(unit - centre, overall),
            "rank of the nearest": np.array(
                [nearest.foreignness(TextStates("", row, 1, None, 1)) for row in of], np.float32
            ),
        }

    return score


def _linear_model(texts: Texts, labels: Texts) -> LinearModel:
    """The linear model that these examples make."""
    examples = [
        {"text": text, "label": label}
        for text, label in zip(texts.tolist(), labels.tolist(), strict=True)
    ]
    names = dict.fromkeys(np.unique(labels).tolist(), "")
    step = {"model": "words"}
    task = {"kind": Kind.CLASSIFY, "labels": names, "examples": examples, "cascade": [step]}
    return fitted(Task.model_validate(task)).model


def _covariance(rows: Floats) -> Floats:
    return np.asarray(np.cov(rows.T) + 1e-4 * np.eye(rows.shape[1]), np.float32)


def _lengths(rows: Floats, inverse: Floats) -> Floats:
    return np.asarray(((rows @ inverse) * rows).sum(axis=1), np.float32)


SUMS = (
    ("probability", "nearest"),
    ("probability", "ten nearest"),
    ("energy", "nearest"),
    ("energy", "nearest", "relative Mahalanobis"),
    ("probability of the mean", "nearest"),
    ("linear model against head", "nearest"),
)
FITTED = ("nearest", "energy")
FIT_NAME = f"fit of {' and '.join(FITTED)}"

Fit = Callable[[Scores], Floats]


def _fit_of_two(tables: Tables) -> Fit:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - seconds

    def laid(scores: Scores) -> Floats:
        return np.stack([scores[name] for name in FITTED], axis=1)

    rows = np.concatenate([laid(each) for table in tables for each in table[:2]])
    truth = np.concatenate(
        [np.full(len(each["nearest"]), n) for t in tables for n, each in enumerate(t[:2])]
    )
    model = LogisticRegression(class_weight="balanced").fit(rows, truth)
    return lambda scores: np.asarray(model.decision_function(laid(scores)), np.float32)


def _add_sums(table: tuple[Scores, Scores, Scores], fit: Fit) -> None:
    own = {name: np.sort(values) for name, values in table[0].items()}
    for scores in table:
        scores[FIT_NAME] = fit(scores)
        for names in SUMS:
            ranks = [np.searchsorted(own[name], scores[name]) / len(own[name]) for name in names]
            # Beyond all own texts the scores themselves order what the ranks no longer do.
            beyond = [1e-6 * np.tanh(scores[name]) for name in names]
            scores[" + ".join(names)] = np.asarray(np.sum([*ranks, *beyond], axis=0))


def _page(choosing: Tables, testing: Tables, microseconds: float) -> str:
    about = (
        f"{NUM_LEFT_OUT} of 77 intents left out, {len(testing)} draws on the test rows and"
        f" {len(choosing)} others on training rows to choose by; {NUM_HEADLINES:,} headlines."
    )
    ranked = sorted(testing[0][0], key=lambda name: -_mean(choosing, name, 1, _flagged))
    lines = [_line(name, choosing, testing) for name in ranked]
    marks = [
        [(scores["rank of the nearest"] > 1 - FALSE_FLAGS).mean() for scores in table]
        for table in testing
    ]
    own, foreign, headlines = np.mean(marks, axis=0)
    fixed = (
        f"Rank of the nearest above 0.95: {own:.1%} of own texts flagged (by draw"
        f" {min(m[0] for m in marks):.1%} to {max(m[0] for m in marks):.1%}), {foreign:.1%} of the"
        f" intents left out, {headlines:.1%} of headlines. To compare a text with {MAX_EXAMPLES:,}"
        f" examples takes {microseconds:.0f} µs of one core."
    )
    header = (f"| {' | '.join(_HEADINGS)} |", "| --- " * len(_HEADINGS) + "|")
    parts = ["# Texts that no label fits", "", about, "", *header, *lines, "", fixed, "", READING]
    return "\n".join([*parts, "", provenance("scikit-learn", "openvino")])


def _line(name: str, choosing: Tables, testing: Tables) -> str:
    each = [_flagged(own[name], foreign[name]) for own, foreign, _ in testing]
    cells = (
        name,
        f"{_mean(choosing, name, 1, _flagged):.1%}",
        f"{np.mean(each):.1%} ({min(each):.1%} to {max(each):.1%})",
        f"{_mean(testing, name, 1, _auroc):.3f}",
        f"{_mean(testing, name, 2, _flagged):.1%}",
        f"{_mean(testing, name, 2, _auroc):.3f}",
    )
    return f"| {' | '.join(cells)} |"


def _mean(
    tables: Tables, name: str, which: int, figure: Callable[[Floats, Floats], float]
) -> float:
    return float(np.mean([figure(table[0][name], table[which][name]) for table in tables]))


def _flagged(own: Floats, foreign: Floats) -> float:
    return float((foreign > np.quantile(own, 1 - FALSE_FLAGS)).mean())


def _auroc(own: Floats, foreign: Floats) -> float:
    ranks = rankdata(np.concatenate([own, foreign]))
    above = ranks[len(own) :].sum() - len(foreign) * (len(foreign) + 1) / 2
    return float(above / (len(own) * len(foreign)))


if __name__ == "__main__":
    main()
