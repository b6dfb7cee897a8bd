"""Whether a linear sequence model without an encoder finds spans as well as a head on MiniLM does.

It weighs each word, its beginnings and endings, how it is written, and the same of two neighbours
on either side, by logistic regression, and decides along the chain that the head has, too. Both
learn from the same rows and are judged by rows left out of the training rows: WNUT17's `train`,
judged by `dev`, and the examples of the demo's `pii`, dealt into five folds. Test rows are not
read. Prints Markdown; `--write` also writes it to `benchmarks/results/tag_linear.md`.

    python benchmarks/tag_linear.py --data ../shared/data --write
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance, write_result
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction import FeatureHasher

from smallfirst.answers import Span
from smallfirst.catalogue import Example, Kind, ModelStep, Task
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.model_files import model_folder
from smallfirst.linear.probabilities import Floats, softmax
from smallfirst.linear.regression import Layer, Search, choose_strength, deal, fit_classes
from smallfirst_workers.encoding.words import Tag, join_words, label_words
from smallfirst_workers.heads.chain import Chain, Outputs
from smallfirst_workers.heads.fitting import read_examples
from smallfirst_workers.heads.surroundings import with_surroundings
from smallfirst_workers.heads.tagging import TaggedText, fit_tagger
from smallfirst_workers.slm.engine import SlmEngine

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DEMO = EXAMPLES / "support_mail"
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
sys.path.append(str(EXAMPLES / "public_data"))

from rows import read_rows  # noqa: E402 - the example's own module

#: Features are told apart by hashes of so many bits' worth of columns: few collide.
_COLUMNS = 2**19
#: Words on either side that are seen, and the longest beginning and ending.
_NEAR, _AFFIX = 2, 4
_SEARCH = Search((0.1, 0.3, 1.0, 3.0, 10.0), first=1.0)
_WEIGHTS = np.array([0, 0.25, 0.5, 0.75, 1], np.float32)
#: What the mean counts the head for, beside the linear model.
_SHARES = (0.3, 0.5, 0.7)

#: Probabilities of each word's outputs, and the chain that decides by them.
Judge = tuple[Callable[[int], Floats], Chain]


@dataclass(frozen=True)
class Material:
    """Texts to learn from and be judged by.

    Attributes:
        task: With all of them as its examples.
        places: `(words, 2)` of each.
        paths: The right output of each word.
        sparse: What the linear model sees of the words of each.
        dense: What the head sees.
        folds: Which texts are left out together, by whom they are judged.
    """

    task: Task
    places: list[Any]
    paths: list[Outputs]
    sparse: list[Any]
    dense: list[Floats]
    folds: list[int]


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    figures: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, (task, folds, out) in _sets(options.data).items():
            _measure(name, _material(task, folds, Path(cache)), out, figures)
    text = "\n\n".join(_parts(figures))
    print(text)
    if options.write:
        write_result("tag_linear", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _sets(data: Path) -> Mapping[str, tuple[Task, list[int], list[int]]]:
    """Each task with its training rows, the folds of these, and which folds judge in turn."""
    pii = load_catalogue(DEMO / "catalogue.yaml").tasks["pii"]
    of_pii = deal(pii.examples, np.zeros(len(pii.examples), np.int64)).tolist()
    labels = load_catalogue(EXAMPLES / "public_data" / "trained.yaml").tasks["wnut17"].labels
    rows = {part: read_rows(data / "wnut17" / f"{part}.jsonl") for part in ("train", "dev")}
    examples = tuple(
        Example(text=row["text"], spans=tuple(Span(**span) for span in row["spans"]))
        for row in (*rows["train"], *rows["dev"])
    )
    step = ModelStep(model="minilm")
    wnut = Task(kind=Kind.TAG, labels=labels, examples=examples, cascade=(step,))
    of_train = deal(examples[: len(rows["train"])], np.zeros(len(rows["train"]), np.int64))
    of_wnut = [*of_train.tolist(), *[5] * len(rows["dev"])]
    return {"pii": (pii, of_pii, [0, 1, 2, 3, 4]), "WNUT17": (wnut, of_wnut, [5])}


def _material(task: Task, folds: list[int], cache: Path) -> Material:
    model = load_catalogue(DEMO / "catalogue.yaml").models["minilm"]
    engine = SlmEngine.load("minilm", model, model_folder(model), cache=cache, threads=1)
    states = read_examples("tag", task, engine.encoder)
    column = {label: number for number, label in enumerate((None, *task.labels))}
    made = Material(task, [], [], [], [], folds)
    for example, state in zip(task.examples, states, strict=True):
        assert state.words is not None, "a tag task reads words"
        places = state.words.places
        named = label_words(places, example.spans or ())
        made.places.append(places)
        made.paths.append(np.array([column[label] for label in named], np.int64))
        made.dense.append(with_surroundings(state.text, state.words))
        made.sparse.append(_features(state.text, places))
    return made


def _features(text: str, places: Any) -> Any:
    """What the linear model sees of each word of a text: `(words, columns)`, sparse."""
    words = [text[start:end] for start, end in places.tolist()]
    about = [list(_of_word(word)) for word in words]
    hasher = FeatureHasher(_COLUMNS, input_type="string", alternate_sign=False, dtype=np.float32)
    return hasher.transform([_seen(about, at) for at in range(len(words))]) if words else None


def _of_word(word: str) -> Iterator[str]:
    plain = word.casefold()
    yield f"w={plain}"
    yield f"s={_shape(word)}"
    yield f"t={''.join(dict.fromkeys(_shape(word)))}"
    for size in range(1, _AFFIX + 1):
        yield f"b{size}={plain[:size]}"
        yield f"e{size}={plain[-size:]}"


def _shape(word: str) -> str:
    kinds = (
        "X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else c for c in word
    )
    return "".join(kinds)


def _seen(about: Sequence[Sequence[str]], at: int) -> list[str]:
    """A word's own features, and, by how far away each stands, word and writing of the others."""
    seen = list(about[at])
    for step in range(-_NEAR, _NEAR + 1):
        if step and 0 <= at + step < len(about):
            seen += [f"{step}{each}" for each in about[at + step][:3]]
        elif step:
            seen.append(f"{step}none")
    if at:
        seen.append(f"{about[at - 1][0]} {about[at][0]}")
    if at + 1 < len(about):
        seen.append(f"{about[at][0]} {about[at + 1][0]}")
    return seen


def _measure(
    name: str, made: Material, out: Sequence[int], figures: dict[tuple[str, str], str]
) -> None:
    said: dict[str, dict[int, list[Span]]] = {}
    seconds = {"linear": 0.0, "head": 0.0}
    for fold in out:
        judges = [at for at, own in enumerate(made.folds) if own == fold and len(made.paths[at])]
        taught = [at for at, own in enumerate(made.folds) if own != fold and len(made.paths[at])]
        started = time.process_time()
        linear, chain = _linear(made, taught)
        seconds["linear"] += time.process_time() - started
        started = time.process_time()
        head, of_head = _head(made, taught)
        seconds["head"] += time.process_time() - started
        for at in judges:
            one, other = linear(at), head(at)
            ways = {"linear": chain.best_path(one), "head": of_head.best_path(other)}
            for share in _SHARES:
                mixed = np.exp(share * np.log(other + 1e-9) + (1 - share) * np.log(one + 1e-9))
                ways[f"mean, {share:.0%} head"] = of_head.best_path(mixed)
            for way, path in ways.items():
                said.setdefault(way, {})[at] = _spans(made, at, path)
    for way, found in said.items():
        figures[name, way] = f"{_f1(made, found):.1%}"
    for way, spent in seconds.items():
        figures[name, f"{way}: training, CPU seconds"] = f"{spent:.0f}"


def _linear(made: Material, taught: Sequence[int]) -> Judge:
    """Fit regression and chain, their strengths chosen on one fold of what is learned from."""
    num = 1 + len(made.task.labels)
    first = min(made.folds[at] for at in taught)
    kept = [at for at in taught if made.folds[at] != first]
    left = [at for at in taught if made.folds[at] == first]
    best: dict[float, float] = {}

    def loss_of(strength: float) -> float:
        layer = _layer(made, kept, num, strength)
        chain = Chain.counted([made.paths[at] for at in kept], num)
        sums = sum(
            chain.log_losses(_judged(made.sparse[at], layer), made.paths[at], _WEIGHTS)
            for at in left
        )
        losses = np.asarray(sums) / sum(len(made.paths[at]) for at in left)
        best[strength] = float(_WEIGHTS[losses.argmin()])
        return float(losses.min())

    strength, _ = choose_strength(loss_of, _SEARCH)
    layer = _layer(made, taught, num, strength)
    chain = Chain.counted([made.paths[at] for at in taught], num).weighted(best[strength])
    return (lambda at: _judged(made.sparse[at], layer)), chain


def _layer(made: Material, taught: Sequence[int], num: int, strength: float) -> Layer:
    vectors = csr_matrix(vstack([made.sparse[at] for at in taught]))
    truth = np.eye(num, dtype=np.bool_)[np.concatenate([made.paths[at] for at in taught])]
    return fit_classes(vectors, truth, strength, 1e-3)


def _judged(vectors: Any, layer: Layer) -> Floats:
    return softmax(np.asarray(vectors @ layer[0].T + layer[1], np.float32))


def _head(made: Material, taught: Sequence[int]) -> Judge:
    texts = [TaggedText(made.dense[at], made.paths[at], made.folds[at]) for at in taught]
    fitted = fit_tagger(texts, 1 + len(made.task.labels))
    return (lambda at: _judged(made.dense[at], fitted.layer)), fitted.chain


def _spans(made: Material, at: int, path: Outputs) -> list[Span]:
    names = (None, *made.task.labels)
    tags = [Tag(names[number], 1.0) for number in path.tolist()]
    return list(join_words(made.task.examples[at].text, made.places[at], tags))


def _f1(made: Material, found: Mapping[int, Sequence[Span]]) -> float:
    """Micro F1 over the spans of all texts that judged."""
    hits = total = 0
    for at, spans in found.items():
        right = {(s.start, s.end, s.label) for s in made.task.examples[at].spans or ()}
        given = {(s.start, s.end, s.label) for s in spans}
        hits, total = hits + len(right & given), total + len(right) + len(given)
    return 2 * hits / max(1, total)


def _parts(figures: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield "# Spans by a linear model without an encoder"
    yield (
        "A linear sequence model (words, their beginnings, endings and shapes, two neighbours\n"
        "on either side, and the chain of the tagging head) beside the head on a frozen MiniLM.\n"
        "F1 of whole spans on training rows left out: for the demo's `pii` its examples in five\n"
        "folds, for WNUT17 `dev` after `train`. The mean is of log-probabilities, by the head's\n"
        "chain. How strongly each is regularised was chosen within what it learned from."
    )
    names = list(dict.fromkeys(name for name, _ in figures))
    lines = [f"| what | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    ways = dict.fromkeys(way for _, way in figures)
    lines += [f"| {way} | {' | '.join(figures[name, way] for name in names)} |" for way in ways]
    yield "\n".join(lines)
    yield provenance("scikit-learn", "openvino")


if __name__ == "__main__":
    main()
