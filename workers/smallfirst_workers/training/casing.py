"""Teaching a model that lower-cases everything what capital letters say.

Names begin with a capital, and a lower-casing tokenizer throws that away before the model sees it.
Here every word piece gets a capitalised and an upper-case twin. While it learns, a twin's embedding
is its piece's plus one vector for its case, so that what is learned from one capital holds for all
words; afterwards the sums are written out, and the model is a plain one with a larger vocabulary.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.training.wordpieces import SPECIALS, frame, save_pieces

#: Which twin of which piece each id is, beside a model that is being taught.
_FILE = "case.safetensors"
#: The cases: as it was, capitalised, upper.
_NUM_CASES = 3
_INSIDE = "##"
_TABLE = "embeddings.word_embeddings.weight"


class CasedEmbedding(torch.nn.Module):
    """An embedding whose rows are a piece's plus its case's.

    Attributes:
        pieces: `(pieces, hidden)`.
        cases: `(cases, hidden)`, zeros at first: then the model says what it said before.
        piece_of: `(ids,)`: the piece of each id; `case_of` the case.
    """

    piece_of: torch.Tensor
    case_of: torch.Tensor

    def __init__(self, pieces: torch.Tensor, piece_of: torch.Tensor, case_of: torch.Tensor) -> None:
        super().__init__()
        self.pieces = torch.nn.Parameter(pieces)
        self.cases = torch.nn.Parameter(torch.zeros(_NUM_CASES, pieces.shape[1]))
        self.register_buffer("piece_of", piece_of)
        self.register_buffer("case_of", case_of)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look ids up: `(rows, tokens)` to `(rows, tokens, hidden)`."""
        piece = torch.nn.functional.embedding(self.piece_of[ids], self.pieces)
        return piece + torch.nn.functional.embedding(self.case_of[ids], self.cases)

    def table(self) -> torch.Tensor:
        """The sums, written out: `(ids, hidden)`."""
        return self.pieces.detach()[self.piece_of] + self.cases.detach()[self.case_of]


def teach_case(folder: ModelFolder, to: Path) -> None:
    """Copy a BERT with its twins; it answers as before until it is trained.

    Raises:
        TrainingError: When the model does not lower-case word pieces.
    """
    spec = json.loads((folder.path / "tokenizer.json").read_text(encoding="utf-8"))
    normalizer, model = spec.get("normalizer") or {}, spec["model"]
    is_bert = folder.config.get("model_type") == "bert" and model.get("type") == "WordPiece"
    if not is_bert or not normalizer.get("lowercase"):
        raise TrainingError(f"models.{folder.name} is no BERT that lower-cases; see --keep-case")
    vocabulary: dict[str, int] = dict(model["vocab"])
    piece_of, case_of = list(range(len(vocabulary))), [0] * len(vocabulary)
    for piece, number in list(vocabulary.items()):
        for case, twin in _twins(piece):
            if twin not in vocabulary:
                vocabulary[twin] = len(piece_of)
                piece_of.append(number)
                case_of.append(case)
    spec["model"]["vocab"] = vocabulary
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.normalizer = BertNormalizer(lowercase=False, strip_accents=True)
    frame(tokenizer)
    save_pieces(tokenizer, to, folder.max_positions or 512)
    _save_weights(folder, to, torch.tensor(piece_of), torch.tensor(case_of))


def _twins(piece: str) -> Iterator[tuple[int, str]]:
    prefix = _INSIDE if piece.startswith(_INSIDE) else ""
    body = piece.removeprefix(_INSIDE)
    if piece in SPECIALS or not body.isalpha():
        return
    yield 1, prefix + body[0].upper() + body[1:]
    yield 2, prefix + body.upper()


def _save_weights(
    folder: ModelFolder, to: Path, piece_of: torch.Tensor, case_of: torch.Tensor
) -> None:
    weights = load_file(folder.path / "model.safetensors")
    name = next(key for key in weights if key.endswith(_TABLE))
    weights[name] = weights[name][piece_of].contiguous()
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    save_file({"piece_of": piece_of, "case_of": case_of}, to / _FILE)
    config = {**folder.config, "vocab_size": len(piece_of)}
    (to / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    limit = folder.path / "sentence_bert_config.json"
    if limit.is_file():
        (to / limit.name).write_bytes(limit.read_bytes())


def unfold_case(encoder: Any, folder: Path) -> None:
    """Let an encoder out of a folder with twins learn pieces and cases apart; others stay."""
    path = folder / _FILE
    if not path.is_file():
        return
    maps = load_file(path)
    table = encoder.embeddings.word_embeddings.weight.detach()
    pieces = table[: int((maps["case_of"] == 0).sum())].clone()
    encoder.embeddings.word_embeddings = CasedEmbedding(pieces, maps["piece_of"], maps["case_of"])


def fold_case(encoder: Any) -> None:
    """Write the sums out, so that the encoder is a plain one; does nothing to one that is."""
    embedding = getattr(getattr(encoder, "embeddings", None), "word_embeddings", None)
    if isinstance(embedding, CasedEmbedding):
        table = embedding.table()  # (ids, hidden)
        folded = torch.nn.Embedding(table.shape[0], table.shape[1], _weight=table)
        encoder.embeddings.word_embeddings = folded
