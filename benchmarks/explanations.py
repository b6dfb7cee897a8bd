"""Whether the words that an explanation names are those that the model goes by, and what it costs.

The deletion test: take the words with most weight out of a text, ask the model again, and see how
far the log-probability of its label falls; then as many words at random. Questions of BANKING77, a
linear model and a head on the frozen encoder, each explained by every way that fits it.

    SMALLFIRST_DATA=DATA python benchmarks/explanations.py --write
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from provenance import provenance, write_result

from smallfirst.answers import Evidence
from smallfirst.catalogue import Example, Kind, MeanStep, Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.linear.explaining import explain as explain_linear
from smallfirst.linear.explaining import heaviest
from smallfirst.linear.fitting import fitted
from smallfirst.linear.probabilities import normalise
from smallfirst.linear.regression import fit_classes
from smallfirst_workers.encoding.encoder import Encoder
from smallfirst_workers.encoding.words import find_words, words_of_tokens
from smallfirst_workers.heads.explain import explain as explain_head
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.slm.occlusion import Question, occlude

DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data")) / "banking77"
#: What the search of heads chooses for the 77 intents, or its neighbour.
STRENGTH, TOLERANCE = 30.0, 1e-3
NUM_EXAMPLES, NUM_TEXTS = 3000, 300
QUICK_EXAMPLES, QUICK_TEXTS = 400, 20
#: Words that are taken out, and how often as many are drawn at random.
DELETED, DRAWS = (1, 2, 3), 5
#: Texts that are read together, and points on the way of integrated gradients.
BATCH, POINTS = 64, 16
READING = """\
The fall is that of the log-probability of the label that the model gave, the mean over texts, when
the words with most weight are taken out; *more than random* is the share of texts where one word's
fall is larger than the mean of 5 words drawn at random, and *other label* the share whose answer
changes without the three words. CPU is that of answering one text by itself and explaining it, the
line of random words that of the answer alone. Integrated gradients (16 points) need the network in
PyTorch beside the one that serves; all else runs on what serves. Occlusion of one word is the
deletion test itself, so its first fall cannot be beaten: compare the others."""

Floats = NDArray[np.float64]
Explain = Callable[[str, int], Sequence[Evidence]]


@dataclass(frozen=True)
class Judge:
    """A model, and the ways to explain it.

    Attributes:
        name: In the table.
        log_probabilities: Of texts: `(texts, labels)`.
        ways: By name; each answers the text, too.
    """

    name: str
    log_probabilities: Callable[[Sequence[str]], Floats]
    ways: dict[str, Explain]


def main() -> None:
    """Put every way to the test, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="Folder of train and test rows.")
    parser.add_argument("--quick", action="store_true", help="A few texts, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    size = (QUICK_EXAMPLES, QUICK_TEXTS) if options.quick else (NUM_EXAMPLES, NUM_TEXTS)
    train, test = (_rows(options.data / f"{part}.jsonl") for part in ("train", "test"))
    examples = [train[n] for n in rng.permutation(len(train))[: size[0]]]
    texts = [row["text"] for row in (test[n] for n in rng.permutation(len(test)))]
    texts = [text for text in texts if len(find_words(text)) >= 2 * max(DELETED)][: size[1]]
    rows = []
    for judge in (_linear(examples), _head(examples)):
        rows += _table_of(judge, texts, rng)
    text = _page(rows, len(texts), len(examples))
    print(text)
    if options.write:
        write_result("explanations", text)


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _table_of(judge: Judge, texts: Sequence[str], rng: np.random.Generator) -> list[list[str]]:
    """Put a judge's ways to the test, and as many words at random before them."""
    before = judge.log_probabilities(texts)
    test = _Test(judge, texts, before.argmax(axis=1), before.max(axis=1))
    draws = [
        {k: test.falls([_drawn(text, k, rng) for text in texts]) for k in DELETED}
        for _ in range(DRAWS)
    ]
    random = {k: np.mean([draw[k].fall for draw in draws], axis=0) for k in DELETED}
    changed = np.mean([draw[DELETED[-1]].is_changed for draw in draws])
    alone = test.cpu_ms(lambda text, _: judge.log_probabilities([text]))[1]
    means = [float(random[k].mean()) for k in DELETED]
    lines = [_line(judge.name, "random words", alone, means, None, float(changed))]
    for name, way in judge.ways.items():
        found, cpu_ms = test.cpu_ms(way)
        of = {k: test.falls([_top(each, k) for each in found]) for k in DELETED}
        share = float((of[1].fall > random[1]).mean())
        means = [float(of[k].fall.mean()) for k in DELETED]
        lines.append(
            _line(judge.name, name, cpu_ms, means, share, float(of[DELETED[-1]].is_changed.mean()))
        )
    return lines


class _Left(NamedTuple):
    """What a judge says of texts without some words: the fall, and whether the label changed."""

    fall: Floats
    is_changed: NDArray[np.bool_]


@dataclass(frozen=True)
class _Test:
    """A judge's answers to texts: which label each got, and with what log-probability."""

    judge: Judge
    texts: Sequence[str]
    winners: NDArray[np.int64]
    own: Floats

    def falls(self, chosen: Sequence[Sequence[tuple[int, int]]]) -> _Left:
        """Ask again without some words of each text."""
        left = [without(text, places) for text, places in zip(self.texts, chosen, strict=True)]
        after = self.judge.log_probabilities(left)
        fall = self.own - after[np.arange(len(left)), self.winners]
        return _Left(fall, after.argmax(axis=1) != self.winners)

    def cpu_ms(self, way: Callable[[str, int], Any]) -> tuple[list[Any], float]:
        """Go one way for every text; return what it found, and the milliseconds of one text."""
        started = time.process_time()
        found = [way(text, int(of)) for text, of in zip(self.texts, self.winners, strict=True)]
        return found, (time.process_time() - started) / len(found) * 1000


def without(text: str, places: Sequence[tuple[int, int]]) -> str:
    """A text without some of its words."""
    for start, end in sorted(places, reverse=True):
        text = text[:start] + text[end:]
    return text


def _top(evidence: Sequence[Evidence], k: int) -> list[tuple[int, int]]:
    ranked = sorted(evidence, key=lambda each: -each.weight)
    return [(each.start, each.end) for each in ranked[:k]]


def _drawn(text: str, k: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    words = find_words(text)
    return [(int(a), int(b)) for a, b in words[rng.permutation(len(words))[:k]]]


def _linear(rows: Sequence[dict[str, str]]) -> Judge:
    labels = dict.fromkeys(sorted({row["label"] for row in rows}), "")
    examples = tuple(Example(text=row["text"], label=row["label"]) for row in rows)
    cascade = (MeanStep(models=("words", "minilm")),)
    task = Task(kind=Kind.CLASSIFY, labels=labels, examples=examples, cascade=cascade)
    model = fitted(task).model

    def log_probabilities(texts: Sequence[str]) -> Floats:
        return _logs(np.array([model.logits(each) for each in model.weigh(texts)]))

    def by_weights(text: str, winner: int) -> Sequence[Evidence]:
        log_probabilities([text])
        return explain_linear(model, text, winner).evidence

    ways: dict[str, Explain] = {"weights": by_weights}
    return Judge("linear model", log_probabilities, ways)


def _head(rows: Sequence[dict[str, str]]) -> Judge:
    model = Model(source="bundled:minilm")
    folder = model_folder(model)
    with tempfile.TemporaryDirectory() as cache:
        encoder = SlmEngine.load("minilm", model, folder, cache=Path(cache), threads=1).encoder
    labels = tuple(sorted({row["label"] for row in rows}))
    truth = np.array([[row["label"] == label for label in labels] for row in rows])
    vectors = normalise(_vectors(encoder, [row["text"] for row in rows]))
    weights, bias = fit_classes(vectors, truth, STRENGTH, TOLERANCE)
    head = LinearHead("", Kind.CLASSIFY, labels, weights, bias)

    def by_states(text: str, winner: int) -> Sequence[Evidence]:
        [states], _ = encoder.read([text], wants_words=[True])
        reasons = explain_head(head, states, winner)
        return reasons.evidence if reasons else ()

    def by_occlusion(text: str, _winner: int) -> Sequence[Evidence]:
        [states], _ = encoder.read([text], wants_words=[False])
        [found], _ = occlude(encoder, [Question(states, head)])
        return found.reasons.evidence if found.reasons else ()

    def log_probabilities(texts: Sequence[str]) -> Floats:
        return _logs(head.logits(_vectors(encoder, texts)))

    gradients = _Gradients(folder, encoder, head)
    ways = {"states": by_states, "occlusion": by_occlusion, "integrated gradients": gradients}
    return Judge("head on MiniLM", log_probabilities, ways)


def _vectors(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    found: dict[int, NDArray[np.float32]] = {}
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        read, _ = encoder.read([texts[n] for n in batch], wants_words=[False] * len(batch))
        found.update(zip(batch, (each.vector for each in read), strict=True))
    return np.stack([found[number] for number in range(len(texts))])


def _logs(logits: NDArray[np.floating[Any]]) -> Floats:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


class _Gradients:
    """Integrated gradients of the winner's margin, from embeddings of padding to the text's.

    Source: Sundararajan et al. 2017, "Axiomatic attribution for deep networks", section 3.
    """

    def __init__(self, folder: Path, encoder: Encoder, head: LinearHead) -> None:
        torch.set_num_threads(1)
        self._network: Any = transformers.AutoModel.from_pretrained(folder).eval()
        self._encoder = encoder
        self._weights = torch.tensor(head.weights - head.weights.mean(axis=0))

    def __call__(self, text: str, winner: int) -> Sequence[Evidence]:
        """Name the words with most weight; the text is answered first, as by the other ways."""
        self._encoder.read([text], wants_words=[False])
        reader = self._encoder.reader
        [reading] = reader.read([text])
        ids = torch.tensor(reader.row(reading, reading.windows[0]))
        before = len(reader.before)
        of_tokens = self._of_tokens(ids, reader.pad_id, winner)[before:]
        places = find_words(text)
        words = words_of_tokens(reading.offsets, places)
        sums = np.zeros(len(places))
        np.add.at(sums, words[words >= 0], of_tokens[: len(words)][words >= 0])
        return heaviest(places, sums)

    def _of_tokens(self, ids: Any, pad_id: int, winner: int) -> Floats:
        embeddings = self._network.get_input_embeddings()
        own, padding = embeddings(ids).detach(), embeddings(torch.tensor(pad_id)).detach()
        away = own - padding  # (tokens, hidden)
        shares = (torch.arange(POINTS) + 0.5)[:, None, None] / POINTS
        points = (padding + shares * away).requires_grad_()  # (points, tokens, hidden)
        states = self._network(inputs_embeds=points).last_hidden_state.mean(dim=1)
        margins = torch.nn.functional.normalize(states, dim=1) @ self._weights[winner]
        [gradients] = torch.autograd.grad(margins.sum(), points)
        return np.asarray((gradients.mean(dim=0) * away).sum(dim=1), np.float64)


def _line(
    model: str,
    way: str,
    cpu_ms: float,
    falls: Sequence[float],
    share: float | None,
    changed: float,
) -> list[str]:
    more = "" if share is None else f"{share * 100:.1f}%"
    return [
        model,
        way,
        f"{cpu_ms:.1f}",
        *(f"{fall:.2f}" for fall in falls),
        more,
        f"{changed * 100:.1f}%",
    ]


def _page(rows: Sequence[Sequence[str]], num_texts: int, num_examples: int) -> str:
    falls = [f"fall without {k}" for k in DELETED]
    head = ["model", "explained by", "CPU ms", *falls, "more than random", "other label"]
    table = [head, ["---"] * len(head), *rows]
    lines = [f"| {' | '.join(row)} |" for row in table]
    intro = f"{num_texts} test questions of BANKING77; {num_examples:,} training rows."
    sources = provenance("torch", "openvino", "scikit-learn")
    title = "# Do explanations name the words that count?"
    return "\n".join([title, "", intro, "", *lines, "", READING, "", sources])


if __name__ == "__main__":
    main()
