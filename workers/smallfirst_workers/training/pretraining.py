"""An encoder from nothing: word pieces and a small BERT that reads the team's own texts.

It learns to guess hidden words (Devlin et al. 2019) before anybody tells it a task. On the texts of
one task it knows far less of language than a model that has read the web; it is for texts that no
such model has seen: codes, logs, a language of the house.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from smallfirst.catalogue.build_once import build_once
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.training.training_data import NOTHING, Row
from smallfirst_workers.training.tuning import Fit
from smallfirst_workers.training.wordpieces import SPECIALS, save_pieces, train_pieces

if TYPE_CHECKING:
    from smallfirst_workers.training.workspace import Bench

#: The longest text that is read at once, in pieces.
_MAX_PIECES = 256
#: Share of the pieces that are guessed; of these four fifths are hidden, and half of the rest are
#: exchanged for others. Source: Devlin et al. 2019, section 3.1.
_GUESSED, _HIDDEN, _EXCHANGED = 0.15, 0.8, 0.5
#: Width of one attention head, and learning rate, of small BERTs. Source: Turc et al. 2019.
_HEAD_WIDTH, _RATE = 32, 5e-4
#: Pieces before this are special.
_FIRST_PIECE = len(SPECIALS)


def make_encoder(bench: "Bench") -> Path:
    """Make a tokenizer and an encoder in the working folder; return the encoder's folder.

    Raises:
        TrainingError: When a row of `texts` has no text.
    """
    folder = bench.work / "scratch"
    build_once(folder, partial(_build, bench))
    return folder


def all_texts(bench: "Bench") -> list[str]:
    """Every text that is read: of the rows, and without labels."""
    texts = [row.text for row in bench.rows.all]
    return texts + (read_texts(bench.plan.texts) if bench.plan.texts else [])


def read_texts(path: Path) -> list[str]:
    """Read the texts of JSON Lines with `text` in each.

    Raises:
        TrainingError: When a line has none; it names the line.
    """
    texts = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            text = row.get("text") if isinstance(row, dict) else None
            if not isinstance(text, str) or not text:
                raise TrainingError(f"{path}:{number}: must be a JSON object with `text`")
            texts.append(text)
    return texts


def _build(bench: "Bench", to: Path) -> None:
    plan, texts = bench.plan, all_texts(bench)
    torch.manual_seed(plan.seed)
    tokenizer = train_pieces(texts, plan.vocabulary)
    save_pieces(tokenizer, to, _MAX_PIECES)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        num_attention_heads=max(1, plan.hidden // _HEAD_WIDTH),
        intermediate_size=4 * plan.hidden,
        max_position_embeddings=_MAX_PIECES,
    )
    model: Any = transformers.BertForMaskedLM(config)  # type: ignore[no-untyped-call]
    if plan.reading_epochs:
        tokenizer.enable_truncation(_MAX_PIECES)
        _read(bench, model, [np.array(one.ids) for one in tokenizer.encode_batch(texts)])
    model.bert.save_pretrained(to)


def _read(bench: "Bench", model: Any, texts: Sequence[Any]) -> None:
    rows: list[Row] = [{"input_ids": ids} for ids in texts]
    fit = Fit(
        folder=bench.work / "reading",
        rows=rows,
        collator=partial(hide, num_pieces=model.config.vocab_size),
        epochs=bench.plan.reading_epochs,
        plan=bench.plan,
    )
    groups = [{"params": list(model.parameters()), "lr": _RATE, "weight_decay": 0.01}]
    fit.run(model, groups)


def hide(rows: Sequence[Row], num_pieces: int) -> dict[str, torch.Tensor]:
    """Put rows into a batch and hide some of their pieces, at random (torch's own generator)."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)  # 0 is padding
    for number, row in enumerate(rows):
        ids[number, : len(row["input_ids"])] = torch.from_numpy(row["input_ids"])
    mask = (ids != 0).long()
    guessed = (torch.rand(ids.shape) < _GUESSED) & (ids >= _FIRST_PIECE)
    if not guessed.any():
        guessed[0, 1] = True  # a mean over nothing is no number
    labels = torch.where(guessed, ids, NOTHING)
    fate = torch.rand(ids.shape)
    seen = torch.where(guessed & (fate < _HIDDEN), SPECIALS.index("[MASK]"), ids)
    others = torch.randint(_FIRST_PIECE, max(_FIRST_PIECE + 1, num_pieces), ids.shape)
    exchanged = guessed & (fate >= _HIDDEN + (1 - _HIDDEN) * _EXCHANGED)
    return {
        "input_ids": torch.where(exchanged, others, seen),
        "attention_mask": mask,
        "labels": labels,
    }
