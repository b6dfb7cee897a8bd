"""Whether rows that `smallfirst fit` chooses to be labelled teach more than rows drawn by chance.

Of a public set's training rows some judge and others are the texts to choose from; test rows are
never read. At first no text is labelled; then some are, by chance, and as many more are chosen.
Both models learn from what is labelled then. Prints Markdown; `--write` also writes it to
`benchmarks/results/to_label.md`.

    python benchmarks/to_label.py --data ../shared/data --write
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import provenance, write_result

from smallfirst.catalogue import Example, Kind, Model, ModelStep, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.fitting.to_label import by_words, to_label
from smallfirst.fitting.unlabelled import Texts
from smallfirst.linear.fitting import fitted
from smallfirst.linear.probabilities import Floats
from smallfirst.linear.regression import choose_by_rows, fit, rows_of
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.heads.strengths import CHOOSING_TOLERANCE, SEARCH
from smallfirst_workers.slm.engine import SlmEngine

DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
SETS = ("banking77", "headlines")
#: Rows that are chosen while none is labelled, and rows labelled before as many more are chosen.
AT_FIRST, BEFORE = (100, 300), (150, 400)
NUM_JUDGES, NUM_TEXTS = 1_500, 3_000

Way = Callable[[Texts, Sequence[Example], Task, int], Sequence[int]]
Figures = dict[tuple[str, str, str, str], list[float]]


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    figures: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as cache:
        for name in SETS:
            _measure(name, options, Path(cache), figures)
    text = "\n\n".join(_parts(figures, options.seeds))
    print(text)
    if options.write:
        write_result("to_label", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _measure(name: str, options: argparse.Namespace, cache: Path, figures: Figures) -> None:
    lines = (options.data / name / "train.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [Example(text=row["text"], label=row["label"]) for row in map(json.loads, lines)]
    labels = dict.fromkeys(sorted({str(each.label) for each in examples}), "")
    task = Task(kind=Kind.CLASSIFY, labels=labels, cascade=(ModelStep(model="minilm"),))
    vectors = _vectors([each.text for each in examples], cache)
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(examples))
        judges, pool = order[:NUM_JUDGES], order[NUM_JUDGES : NUM_JUDGES + NUM_TEXTS]
        for when, way, taught in _rounds(examples, vectors, task, pool):
            told = _scores(examples, vectors, task, taught, judges)
            for model, score in told.items():
                figures[name, when, model, way].append(score)
        print(f"{name}: seed {seed}", flush=True)


def _rounds(
    examples: Sequence[Example], vectors: Floats, task: Task, pool: NDArray[np.int64]
) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Rows to learn from, by how many are labelled and who chose; the pool is in a chance order."""
    place = {examples[at].text: at for at in pool}
    texts = {examples[at].text: vectors[at] for at in place.values()}

    def by_meaning(asked: Sequence[str]) -> Any:
        return np.stack([texts[text] for text in asked])

    for labelled, count in [*((0, n) for n in AT_FIRST), *((n, n) for n in BEFORE)]:
        first, rest = pool[:labelled], pool[labelled:]
        known = [examples[at] for at in first]
        left = dict.fromkeys(examples[at].text for at in rest)
        found = Texts(tuple({"text": text} for text in left), (1,) * len(left), len(left))
        when = f"{labelled} labelled, {count} more" if labelled else f"none labelled, {count} more"
        yield when, "by chance", pool[: labelled + count]
        for way, vectors_of in (("by words", by_words), ("by MiniLM", by_meaning)):
            rows = to_label(found, known, task, count, vectors_of)
            yield when, way, np.array([*first, *(place[row["text"]] for row in rows)])


def _vectors(texts: Sequence[str], cache: Path) -> Floats:
    """MiniLM's vectors, as a worker makes them."""
    model = Model(source="bundled:minilm")
    engine = SlmEngine.load("minilm", model, model_folder(model), cache=cache, threads=1)
    task = Task(kind=Kind.EMBED, cascade=(ModelStep(model="minilm"),))
    engine.prepare({"vectors": task})
    found: dict[int, Any] = {}
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for begin in range(0, len(order), 64):
        batch = order[begin : begin + 64]
        done = engine.run([EngineRequest(texts[at], "vectors") for at in batch])
        for at, answer in zip(batch, done.answers, strict=True):
            found[at] = answer.vector  # type: ignore[union-attr] # an embedding
    return np.array([found[at] for at in range(len(texts))], np.float32)


def _scores(
    examples: Sequence[Example],
    vectors: Floats,
    task: Task,
    taught: NDArray[np.int64],
    judges: NDArray[np.int64],
) -> dict[str, float]:
    """The share of judges that each model has right."""
    learning = task.model_copy(update={"examples": tuple(examples[at] for at in taught)})
    gold = np.array([list(task.labels).index(str(examples[at].label)) for at in judges])
    judged = fitted(learning).model.probabilities([examples[at].text for at in judges])
    rows = rows_of(learning, vectors[taught])
    strength = choose_by_rows(rows, SEARCH, CHOOSING_TOLERANCE).strength
    weights, bias = fit(rows, strength, CHOOSING_TOLERANCE)
    by_head = (vectors[judges] @ weights.T + bias).argmax(axis=1)
    return {
        "linear": float((judged.probabilities.argmax(axis=1) == gold).mean()),
        "MiniLM, head": float((by_head == gold).mean()),
    }


def _parts(figures: Figures, seeds: int) -> Iterator[str]:
    yield "# Which rows to label next"
    yield (
        f"Training rows alone of BANKING77 and HEADLINES: {NUM_JUDGES:,} judge, and rows are\n"
        f"chosen of {NUM_TEXTS:,} others: by chance, or as `smallfirst fit --unlabelled` chooses\n"
        "them, by words and letters where no encoder is installed, else by MiniLM's vectors. The\n"
        f"share of judges that a model has right that learned from them; mean of {seeds} draws of\n"
        "judges and texts, and the standard deviation over these of the gain over chance."
    )
    ways = ("by chance", "by words", "by MiniLM")
    lines = [
        "| set | rows | model | by chance | by words | by MiniLM |",
        "|---|---|---|---|---|---|",
    ]
    for name, when, model in dict.fromkeys(key[:3] for key in figures):
        drawn = np.array(figures[name, when, model, "by chance"])
        cells = [f"{drawn.mean():.1%}"]
        for way in ways[1:]:
            chosen = np.array(figures[name, when, model, way])
            gain = 100 * (chosen - drawn)
            cells.append(f"{chosen.mean():.1%} ({gain.mean():+.1f} ± {gain.std(ddof=1):.1f})")
        lines.append(f"| {name} | {when} | {model} | {' | '.join(cells)} |")
    yield "\n".join(lines)
    yield provenance("scikit-learn", "openvino")


if __name__ == "__main__":
    main()
