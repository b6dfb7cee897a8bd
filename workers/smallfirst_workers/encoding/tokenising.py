"""Turning texts into token ids, with the place of every token in its text.

The tokenizer is made once with transformers and kept as a file that the Rust library reads alone,
so that a worker need not import transformers (four seconds and 300 MB) to answer.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.encoder_config import longest_window
from smallfirst.catalogue.encoder_files import check_tokenizer, vocabulary_problem, window_problem
from smallfirst.errors import ModelFilesError
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.windows import Window, cut
from smallfirst_workers.errors import ModelError

#: Changes whenever this module would write other files for the same model.
_RECIPE = 2


@dataclass(frozen=True)
class TokenizedText:
    """A text as the model will read it: its own tokens, without the special ones.

    Attributes:
        text: The text.
        encoding: Its tokens, from the Rust library.
        windows: Which of them are read together; none where the text has no token.
    """

    text: str
    encoding: Encoding
    windows: list[Window]

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """`(tokens,)`."""
        return np.array(self.encoding.ids, np.int64)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """`(tokens, 2)`: start and end of each token, in characters of the text."""
        return np.array(self.encoding.offsets, np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Reader:
    """A model's tokenizer and the frame of special tokens that it puts around a text.

    Attributes:
        tokenizer: From the Rust library, without truncation and padding.
        before: Special tokens before a text's own.
        after: Special tokens after them.
        pad_id: What fills the shorter rows of a pass.
        max_tokens: The longest row, special tokens included.
        unknown_id: What stands for whatever is not in the vocabulary; None where all is.
    """

    tokenizer: Tokenizer
    before: tuple[int, ...]
    after: tuple[int, ...]
    pad_id: int
    max_tokens: int
    unknown_id: int | None = None

    @classmethod
    def load(cls, folder: ModelFolder, *, cache: Path, max_tokens: int | None) -> "Reader":
        """Load the tokenizer of a model, making its files once under `cache`.

        Raises:
            ModelError: When there is no fast tokenizer, or it is not this model's, or `max_tokens`
                is more than the model takes.
        """
        # The library would use every core of the machine in each of its processes.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        _check_there(folder)
        made = cache / "tokenizers" / f"{folder.content_hash[:16]}-{_RECIPE}"
        build_once(made, lambda to: _write_files(folder, to))
        facts = json.loads((made / "reader.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(made / "tokenizer.json"))
        # A text that spells "[SEP]" is a text about tokenizers, not two texts.
        tokenizer.encode_special_tokens = True
        limit = _limit(folder, facts["max_tokens"], max_tokens)
        before, after = tuple(facts["before"]), tuple(facts["after"])
        return cls(tokenizer, before, after, facts["pad_id"], limit, facts["unknown_id"])

    def read(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Read texts.

        One with nothing in it that the model knows has no window: control characters alone, or a
        script that is not in the vocabulary, of which the model would see nothing.
        """
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        size = self.max_tokens - len(self.before) - len(self.after)
        return [
            TokenizedText(text, encoding, cut(len(encoding), size) if self._knows(encoding) else [])
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def _knows(self, encoding: Encoding) -> bool:
        return any(token != self.unknown_id for token in encoding.ids)

    def row(self, reading: TokenizedText, window: Window) -> NDArray[np.int64]:
        """Frame a window in its special tokens: `(row tokens,)`."""
        own = reading.ids[window.start : window.end]
        framed: NDArray[np.int64] = np.concatenate([self.before, own, self.after]).astype(np.int64)
        return framed


def _check_there(folder: ModelFolder) -> None:
    try:
        check_tokenizer(folder.path)
    except ModelFilesError as err:
        raise ModelError(folder.name, f"{err.reason}; {err.remedy}") from err


def _limit(folder: ModelFolder, own: int, wanted: int | None) -> int:
    problem = window_problem(wanted, own)
    if problem:
        raise ModelError(folder.name, problem)
    return wanted or own


def _write_files(folder: ModelFolder, to: Path) -> None:
    """Write `tokenizer.json` and what of the tokenizer it does not hold."""
    tokenizer = _fast_tokenizer(folder)
    _check_vocabulary(folder, len(tokenizer))
    alone = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a")["input_ids"]
    places = (n for n in range(len(framed)) if framed[n : n + len(alone)] == alone)
    at = next(places, None)
    if at is None or not alone:
        raise ModelError(folder.name, "has a tokenizer that reads a text otherwise once framed")
    facts = {
        "before": framed[:at],
        "after": framed[at + len(alone) :],
        "pad_id": tokenizer.pad_token_id or 0,
        "unknown_id": tokenizer.unk_token_id,
        "max_tokens": longest_window(folder.max_positions, tokenizer.model_max_length),
    }
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.save(str(to / "tokenizer.json"))
    (to / "reader.json").write_text(json.dumps(facts), encoding="utf-8")


def _check_vocabulary(folder: ModelFolder, num_tokens: int) -> None:
    """See that the tokenizer is this model's: many embeddings that no text reaches are another's.

    Raises:
        ModelError: When it has more tokens than the model has embeddings, or less than half.
    """
    problem = vocabulary_problem(num_tokens, folder.about)
    if problem:
        raise ModelError(folder.name, problem)


def _fast_tokenizer(folder: ModelFolder) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415 - only where files are missing

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as err:
        raise ModelError(folder.name, f"has no tokenizer that can be loaded: {err}") from err
    if not tokenizer.is_fast:
        raise ModelError(folder.name, "has no fast tokenizer, which alone knows places in the text")
    return tokenizer
