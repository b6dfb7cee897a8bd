"""Tokenizers of word pieces, kept as a file that needs no code of its model's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer

#: Padding, unknown, beginning, end, hidden: as BERT calls them, padding first.
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def train_pieces(texts: Sequence[str], num_pieces: int) -> Tokenizer:
    """Find the word pieces of texts, lower case, about so many; the same each time."""
    trained = _blank({})
    # The trainer numbers the pieces inside of words as it meets them, in the order of a hash table
    # that is another in each process, and breaks ties by number. Named here they have theirs.
    inside = [f"##{character}" for character in _alphabet(trained, texts)]
    trainer = WordPieceTrainer(
        vocab_size=num_pieces, special_tokens=[*SPECIALS, *inside], show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    tokenizer = _blank(trained.get_vocab())
    tokenizer.add_special_tokens(list(SPECIALS))
    frame(tokenizer)
    return tokenizer


def _blank(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=SPECIALS[1]))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def _alphabet(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    seen = {character for text in texts for character in tokenizer.normalizer.normalize_str(text)}
    return sorted(character for character in seen if not character.isspace())


def frame(tokenizer: Tokenizer) -> None:
    """Let a tokenizer put [CLS] and [SEP] around a text."""
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)


def save_pieces(tokenizer: Tokenizer, to: Path, max_tokens: int) -> Any:
    """Write a tokenizer into a model's folder, and return it as transformers knows it."""
    names = dict(zip(_NAMES, SPECIALS, strict=True))
    fast: Any = transformers.PreTrainedTokenizerFast
    saved = fast(tokenizer_object=tokenizer, model_max_length=max_tokens, **names)
    saved.save_pretrained(to)
    return saved
