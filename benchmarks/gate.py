"""Whom the gate lets in: candidates whose worth is known, drawn and trained.

Drawn: of so many rows a candidate alone and the live cascade alone are right on known shares; a
thousand draws each are judged, once and at five looks while labels come. Trained: linear models of
a public set's rows, whose labels are right or wrong in a share of cases, judged by rows that no
model learned from against a model of right labels. Test rows are never read. Prints Markdown;
`--write` also writes it to `benchmarks/results/gate.md`.

    python benchmarks/gate.py --write
    python benchmarks/gate.py --quick
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from provenance import provenance, write_result

from smallfirst.catalogue import Example, Kind, ModelStep, Task
from smallfirst.gate.paired import Pairs
from smallfirst.gate.verdict import Look, Margin
from smallfirst.linear.fitting import fitted

DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
MARGIN = Margin(0.01, 0.95)
#: Labels that people gave, and after how many it is looked where it is looked often.
LABELS, LOOKS = 2_000, (400, 800, 1_200, 1_600, 2_000)
#: By how much a candidate is right more often, and in what share of rows just one of the two is.
GAINS, APART = (0.01, 0.0, -0.01, -0.02), (0.04, 0.08, 0.12)
#: Rows that the live model and each candidate learn from.
TAUGHT = 800
CORRUPTED = (0.0, 0.2)
#: Draws of the rows that judge, and of the live model; candidates are drawn for each.
DRAWS = 10

Bools = NDArray[np.bool_]


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    draws, trained = (50, 3) if options.quick else (1_000, options.trained)
    parts = [*_drawn_table(draws), *_trained_table(options.data, trained)]
    text = "\n".join(
        ["# Whom the gate lets in", "", *parts, "", provenance("numpy", "scipy", "scikit-learn")]
    )
    print(text)
    if options.write:
        write_result("gate", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--trained", type=int, default=200, help="Candidates of each kind.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _drawn_table(draws: int) -> Iterator[str]:
    yield (
        f"{draws:,} candidates of each kind, {LABELS:,} labels, a margin of {MARGIN.share:.0%}:"
        " how many pass at one look, and at any of five while labels come."
    )
    yield ""
    yield "| right more often by | one of the two alone is right on | one look | five looks |"
    yield "|---|---|---|---|"
    for gain in GAINS:
        for apart in APART:
            once, often = _drawn(gain, apart, draws)
            yield f"| {gain:+.0%} | {apart:.0%} | {once:.1%} | {often:.1%} |"
    yield ""


def _drawn(gain: float, apart: float, draws: int) -> tuple[float, float]:
    """The shares of drawn candidates that pass, at one look and at any of several."""
    random = np.random.default_rng(11)
    lost, won = (apart - gain) / 2, (apart + gain) / 2
    once = often = 0
    for _ in range(draws):
        drawn = random.choice(3, size=LABELS, p=[lost, won, 1 - apart])
        once += _passes(drawn == 0, drawn == 1, 1)
        often += any(
            _passes(drawn[:rows] == 0, drawn[:rows] == 1, number)
            for number, rows in enumerate(LOOKS, 1)
        )
    return once / draws, often / draws


def _passes(lost: Bools, won: Bools, number: int) -> bool:
    return Look.at(Pairs(len(lost), int(lost.sum()), int(won.sum())), MARGIN, number).is_passed


def _trained_table(data: Path, candidates: int) -> Iterator[str]:
    yield (
        f"{candidates:,} candidates of each kind: a linear model of {TAUGHT:,} rows of HEADLINES,"
        f" labels wrong in a share of them, beside one of {TAUGHT:,} right ones; {LABELS:,} rows"
        " judge, a first look."
    )
    yield ""
    yield "| wrong labels | less often right, mean | worse by the margin | let in |"
    yield "|---|---|---|---|"
    for wrong in CORRUPTED:
        losses, passed = _trained(data, wrong, candidates)
        worse = float((losses >= MARGIN.share).mean())
        yield f"| {wrong:.0%} | {losses.mean():.1%} | {worse:.0%} | {passed} of {candidates} |"
    yield ""


def _trained(data: Path, wrong: float, candidates: int) -> tuple[NDArray[np.float64], int]:
    """How much worse each candidate is on the rows that judge, and how many pass."""
    examples, task = _set(data)
    losses, passed = [], 0
    for draw in range(min(DRAWS, candidates)):
        order = np.random.default_rng(draw).permutation(len(examples))
        judges, live, rest = np.split(order, [LABELS, LABELS + TAUGHT])
        judging = [examples[at] for at in judges]
        was = _right(task, [examples[at] for at in live], judging)
        for seed in range(draw, candidates, DRAWS):
            mine = np.random.default_rng(seed).choice(rest, TAUGHT, replace=False)
            taught = _corrupted([examples[at] for at in mine], list(task.labels), wrong, seed)
            would_be = _right(task, taught, judging)
            losses.append(was.mean() - would_be.mean())
            passed += _passes(was & ~would_be, would_be & ~was, 1)
    return np.array(losses), passed


def _set(data: Path) -> tuple[list[Example], Task]:
    lines = (data / "headlines" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [Example(text=row["text"], label=row["label"]) for row in map(json.loads, lines)]
    labels = dict.fromkeys(sorted({str(each.label) for each in examples}), "")
    return examples, Task(kind=Kind.CLASSIFY, labels=labels, cascade=(ModelStep(model="words"),))


def _corrupted(
    rows: Sequence[Example], labels: Sequence[str], share: float, seed: int
) -> list[Example]:
    """The rows, so many of them under another label, drawn by chance."""
    random = np.random.default_rng(seed + 1_000_000)
    return [
        row.model_copy(update={"label": str(random.choice([x for x in labels if x != row.label]))})
        if random.random() < share
        else row
        for row in rows
    ]


def _right(task: Task, taught: Sequence[Example], judging: Sequence[Example]) -> Bools:
    model = fitted(task.model_copy(update={"examples": tuple(taught)})).model
    said = model.probabilities([row.text for row in judging]).probabilities.argmax(axis=1)
    gold = [list(task.labels).index(str(row.label)) for row in judging]
    found: Bools = said == np.array(gold)
    return found


if __name__ == "__main__":
    main()
