"""What the files of an encoder say of how it is read: its tokenizer, and its way of pooling.

Nothing here loads a model, so that `doctor` and the router can say what a worker would refuse.
"""

import json
from pathlib import Path

from smallfirst.catalogue import Model
from smallfirst.catalogue.encoder_config import EncoderConfig, count_tokens, longest_window
from smallfirst.catalogue.pools import Pooling
from smallfirst.errors import ModelFilesError

#: The files that tokenizers of all schools are made from.
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "*.model",
    "*.tiktoken",
    "tekken.json",
    "*.gguf",
)
#: Of a model's embeddings its tokenizer reaches more than this share; some are padded to round
#: numbers, or keep room for tokens to come.
_FEWEST_KNOWN = 0.5
#: Where sentence encoders say how they pool.
POOLING_FILE = "1_Pooling/config.json"
#: What it says there for each way, in the form of sentence-transformers.
_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}


def check_tokenizer(folder: Path) -> None:
    """See that a model's folder has a tokenizer; transformers would make one up that knows nothing.

    Raises:
        ModelFilesError: When it has none.
    """
    if any(any(folder.glob(pattern)) for pattern in _TOKENIZERS):
        return
    remedy = "save it beside the weights: tokenizer.save_pretrained(folder)"
    reason = "has no tokenizer: no tokenizer.json, vocab.txt or the like"
    raise ModelFilesError(str(folder), reason, remedy)


def vocabulary_problem(num_tokens: int, config: EncoderConfig) -> str | None:
    """Say why a tokenizer is not its model's: many embeddings that no text reaches are another's.

    None where it has as many tokens as the model has embeddings, or not less than half.
    """
    said = config.content.get("vocab_size")
    embeddings = said if isinstance(said, int) and said > 0 else num_tokens
    if num_tokens <= embeddings and num_tokens >= _FEWEST_KNOWN * embeddings:
        return None
    reason = f"has a tokenizer of {num_tokens:,} tokens and {embeddings:,} embeddings"
    return f"{reason}; save the tokenizer that it was trained with"


def window_problem(wanted: int | None, own: int) -> str | None:
    """Say why a model cannot read as long a window as the catalogue wants; None where it can."""
    if wanted is None or wanted <= own:
        return None
    return f"has max_tokens {wanted}, but it reads at most {own}"


def reading_problem(model: Model, config: EncoderConfig) -> str | None:
    """Say what keeps a model's tokenizer from serving it, by its files alone."""
    num_tokens = count_tokens(config.folder, config.of_tokenizer)
    foreign = vocabulary_problem(num_tokens, config) if num_tokens else None
    own = longest_window(config.max_positions, config.of_tokenizer.get("model_max_length"))
    return foreign or window_problem(model.max_tokens, own)


def pooling_of(model: Model, folder: Path) -> Pooling:
    """How a model's token states become one vector: as the catalogue says, else the model's files.

    Raises:
        ModelFilesError: When its files want a way that is not served, or cannot be read.
    """
    if model.pooling is not None:
        return model.pooling
    ways = {_MODES.get(mode, mode) for mode in _own_modes(folder)} or {"mean"}
    for way in _MODES.values():
        if ways == {way}:
            return way
    named = ", ".join(sorted(ways))
    remedy = "say `pooling: mean` or `pooling: cls` in the catalogue, where one of them is right"
    raise ModelFilesError(
        str(folder), f"wants to be pooled by {named}, which is not served", remedy
    )


def _own_modes(folder: Path) -> list[str]:
    """The modes that are switched on in the model's own file; none where it has no such file."""
    path = folder / POOLING_FILE
    if not path.is_file():
        return []
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return [key for key, is_on in said.items() if key.startswith("pooling_mode_") and is_on]
    except (OSError, ValueError, AttributeError) as err:
        reason = f"{POOLING_FILE} cannot be read: {err}"
        raise ModelFilesError(str(folder), reason, "fetch or save it again") from err
