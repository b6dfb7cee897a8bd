"""Laws of the rows that a model is trained on, of their tensors, and of what is scored."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.catalogue import Kind, ModelStep, Task
from smallfirst.catalogue.likeness import text_key
from smallfirst.cli.train import _next_out
from smallfirst_workers.training.network import Network, blank_head, parameter_groups
from smallfirst_workers.training.pretraining import hide
from smallfirst_workers.training.rows import Rows, read_rows, text_keys
from smallfirst_workers.training.scoring import score_units
from smallfirst_workers.training.training_data import NOTHING, Collator, Row
from smallfirst_workers.training.wordpieces import SPECIALS, train_pieces

TASK = Task(kind=Kind.CLASSIFY, labels={"a": "", "b": ""}, cascade=(ModelStep(model="m"),))


def rows_of(path: Path, rows: list[dict[str, Any]], **settings: Any) -> Rows:
    """Read rows by way of a file."""
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_rows(file, "task", TASK, **{"held_out": 0.2, "seed": 0, **settings})


def some(count: int) -> list[dict[str, Any]]:
    """So many rows of each label."""
    return [{"text": f"{label} {n}", "label": label} for n in range(count) for label in "ab"]


def test_of_each_label_its_share_is_held_out(tmp_path: Path) -> None:
    """A fifth of 10 rows a label is 2 a label, and all rows are on one side or the other."""
    rows = rows_of(tmp_path, some(10))

    assert Counter(row.label for row in rows.held_out) == {"a": 2, "b": 2}
    assert sorted(rows.fit + rows.held_out, key=rows.all.index) == list(rows.all)


def test_a_text_is_never_on_both_sides(tmp_path: Path) -> None:
    """Even where it has two labels, or stands twice; the same row twice is one row."""
    both = [{"text": row["text"], "label": "b"} for row in some(10)]
    rows = rows_of(tmp_path, some(10) + both + some(10))

    assert not {row.text for row in rows.fit} & {row.text for row in rows.held_out}
    assert len(rows.all) == 30


def test_another_seed_holds_out_others(tmp_path: Path) -> None:
    """Which rows judge depends on the seed and on their texts, not on their order."""
    first = {row.text for row in rows_of(tmp_path, some(20)).held_out}

    assert {row.text for row in rows_of(tmp_path, some(20)[::-1]).held_out} == first
    assert {row.text for row in rows_of(tmp_path, some(20), seed=1).held_out} != first


def test_the_hash_is_of_texts_and_answers(tmp_path: Path) -> None:
    """An id does not count; a label does."""
    plain = rows_of(tmp_path, some(3)).sha256
    named = [{**row, "id": "x"} for row in some(3)]
    other = [{**row, "label": "a"} for row in some(3)]

    assert rows_of(tmp_path, named).sha256 == plain != rows_of(tmp_path, other).sha256


@given(st.lists(st.text(min_size=1)))
def test_a_text_has_one_key_of_sixteen_digits(texts: list[str]) -> None:
    """Each text's key is there once, whatever characters it has, and says nothing of it."""
    texts = [text.encode(errors="ignore").decode() for text in texts]
    keys = text_keys(texts)

    assert len(keys) == len(set(keys)) <= len(set(texts))
    assert set(keys) == {text_key(text) for text in texts}
    assert all(len(key) == 16 and set(key) <= set("0123456789abcdef") for key in keys)


def row_of(units: list[int], truth: Any, *, window_sizes: list[int] | None = None) -> Row:
    """A row of tokens 0, 1, 2 and so on, of one window unless it says otherwise."""
    return {
        "window_sizes": np.array(window_sizes or [len(units)]),
        "input_ids": np.arange(len(units)),
        "units": np.array(units),
        "truth": np.array(truth),
    }


def test_units_are_means_of_their_tokens() -> None:
    """Shares of a unit sum to 1 over exactly its tokens; what is only padding has none."""
    rows = [row_of([-1, 0, 0, 1], [2, 0]), row_of([-1, -1], np.array([], np.int64))]

    batch = Collator(9, is_multilabel=False)(rows)

    assert batch["shares"].tolist()[0] == [[[0, 0.5, 0.5, 0], [0, 0, 0, 1]]]
    assert not batch["shares"][1].any()
    assert batch["input_ids"].tolist()[1] == [[0, 1, 9, 9]]
    assert batch["attention_mask"].tolist()[1] == [[1, 1, 0, 0]]
    assert batch["truth"].tolist() == [[2, 0], [NOTHING, NOTHING]]


def test_a_unit_is_a_mean_over_windows() -> None:
    """Its shares sum to 1 over all windows together; a row of fewer windows has empty ones."""
    rows = [row_of([0, 0, -1, 0, 0], [1], window_sizes=[3, 2]), row_of([0, 0], [0])]

    batch = Collator(9, is_multilabel=False)(rows)

    assert batch["input_ids"].tolist()[0] == [[0, 1, 2], [3, 4, 9]]
    assert batch["shares"].tolist()[0] == [[[0.25, 0.25, 0]], [[0.25, 0.25, 0]]]
    assert batch["attention_mask"].tolist()[1] == [[1, 1, 0], [0, 0, 0]]
    assert not batch["shares"][1, 1].any()


def test_many_windows_are_read_a_few_at_a_time() -> None:
    """Never more at once than there are rows, and gradients are those of one pass over all."""
    rows = [row_of([0] * 8, [1], window_sizes=[3, 3, 2]), row_of([0, 0], [0])]
    batch = Collator(0, is_multilabel=False)(rows)
    encoder = _Dropping(0.0)
    network = Network(encoder, blank_head(Kind.CLASSIFY, ("a", "b"), 8, seed=0)).train()

    network(**batch)["loss"].backward()

    assert encoder.most_rows == len(rows)
    vectors = torch.stack([encoder.embedding.weight[:size].mean(0) for size in (8, 2)])
    logits = network.head(torch.nn.functional.normalize(vectors, dim=-1))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0]))
    (wanted,) = torch.autograd.grad(loss, encoder.embedding.weight)
    torch.testing.assert_close(encoder.embedding.weight.grad, wanted)


@pytest.mark.parametrize(
    ("kind", "logits", "truth", "score"),
    [
        (Kind.CLASSIFY, [[[0, 1]], [[1, 0]]], [[1], [1]], 0.5),
        (Kind.MULTILABEL, [[[1, -1]], [[1, 1]]], [[1, 1], [1, 0]], 2 * 2 / (3 + 3)),
        (Kind.TAG, [[[0, 1], [0, 1], [1, 0]]], [[1, 0, NOTHING]], 2 * 1 / (2 + 1)),
        (Kind.TAG, [[[1, 0]]], [[0]], 1.0),
    ],
)
def test_scores_while_training(kind: Kind, logits: Any, truth: Any, score: float) -> None:
    """Padding counts for nothing, and to find nothing where there is nothing is right."""
    assert score_units(kind, np.array(logits), np.array(truth)) == score


def test_lower_layers_learn_slower_and_a_pooler_not_at_all() -> None:
    """Embeddings below the first layer, each by the same factor; norms and biases do not decay."""
    encoder = torch.nn.ModuleDict(
        {
            "embeddings": torch.nn.Embedding(3, 2),
            "layer": torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(2)]),
            "pooler": torch.nn.Linear(2, 2),
        }
    )
    network = Network(encoder, blank_head(Kind.CLASSIFY, ("a", "b"), 2, seed=0), smoothing=0)

    groups = parameter_groups(network, rate=1.0, decay=0.5, head_rate=7.0)

    rates = {
        id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]
    }
    assert rates[id(encoder["embeddings"].weight)] == (0.25, 0.01)
    assert rates[id(encoder["layer"][0].weight)] == (0.5, 0.01)  # type: ignore[index]
    assert rates[id(encoder["layer"][1].bias)] == (1.0, 0.0)  # type: ignore[index]
    assert rates[id(network.head.weight)] == (7.0, 0.0)
    assert not {id(parameter) for parameter in encoder["pooler"].parameters()} & rates.keys()


def test_pieces_are_hidden_but_never_the_frame() -> None:
    """What is guessed is some of the pieces proper, and something is guessed in every batch."""
    torch.manual_seed(0)
    frame, pieces = [2, *range(5, 45), 3], 50
    batch = hide([{"input_ids": np.array(frame)}, {"input_ids": np.array([2, 7, 3])}], pieces)

    guessed = batch["labels"] != NOTHING
    assert 0 < guessed.sum() < 20
    assert (batch["labels"][guessed] >= len(SPECIALS)).all()
    assert (batch["input_ids"][0, [0, -1]] == torch.tensor([2, 3])).all()
    lone = hide([{"input_ids": np.array([2, 7, 3])}], pieces)
    assert (lone["labels"] != NOTHING).any()


def test_the_same_texts_have_the_same_pieces() -> None:
    """Whatever order a hash table has, pieces and numbers are the same; ties are many here."""
    texts = [f"{a}{b}{c} {c}{a}" for a in "abcdef" for b in "ghijkl" for c in "mnopqr"]

    vocabularies = [train_pieces(texts, 150).get_vocab() for _ in range(8)]

    assert vocabularies[1:] == vocabularies[:-1]
    assert len(vocabularies[0]) <= 150
    assert [vocabularies[0][special] for special in SPECIALS] == list(range(len(SPECIALS)))


def test_the_next_version_follows_the_highest(tmp_path: Path) -> None:
    """Versions are counted; other names, and a training under way, are none."""
    assert _next_out(tmp_path, "topic").name == "topic-1"
    for name in ("topic-2", "topic-10", "topic-old", "topical-99", ".topic-11.training-ab"):
        (tmp_path / name).mkdir()

    assert _next_out(tmp_path, "topic").name == "topic-11"


@pytest.mark.parametrize("kind", [Kind.CLASSIFY, Kind.MULTILABEL, Kind.TAG])
def test_two_dropouts_are_held_together(kind: Kind) -> None:
    """Passes that differ cost more the more they must agree; without dropout it costs nothing."""
    truth = np.array([1, 0], np.float32) if kind is Kind.MULTILABEL else [1]
    rows = [row_of([0, 0, 0, 0], truth)]
    batch = Collator(9, is_multilabel=kind is Kind.MULTILABEL)(rows)

    losses = {}
    for share in (0.0, 0.5):
        for weight in (1e-9, 3.0):
            torch.manual_seed(0)
            head = blank_head(kind, ("a", "b"), 8, seed=0)
            network = Network(_Dropping(share), head, consistency=weight)
            network.head.weight.data *= 20  # of the size that a fitted head's are
            losses[share, weight] = network.train()(**batch)["loss"].item()

    assert abs(losses[0.0, 3.0] - losses[0.0, 1e-9]) < 1e-6
    assert losses[0.5, 3.0] > losses[0.5, 1e-9] + 1e-3


class _Dropping(torch.nn.Module):
    """An encoder of one layer with as much dropout as is asked."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(9, 8)
        self.share = share
        self.most_rows = 0

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        """States of ids, some of them nothing."""
        self.most_rows = max(self.most_rows, len(input_ids))
        states = self.embedding(input_ids) * attention_mask[..., None]
        return (torch.nn.functional.dropout(states, self.share, self.training),)
