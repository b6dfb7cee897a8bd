"""What a small model's own files say of what it judges: its last layer, its outputs, its head.

JSON is read here, and nothing of the model is loaded or run, so that whoever checks a catalogue and
the worker that serves it read the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from smallfirst.catalogue.output_names import renamed
from smallfirst.errors import ModelFilesError

#: What `smallfirst train` writes beside an encoder, with the weights in `head.safetensors`.
HEAD_FILE = "head.json"
#: The window of a model whose files name no limit.
DEFAULT_MAX_TOKENS = 512
#: What transformers says in place of a limit that it does not know is far above this.
_SENSIBLE_MAX_TOKENS = 1_000_000
#: Position 0 of these models is `pad_token_id + 1`, so they read that many tokens fewer than they
#: have positions. Source: transformers, `create_position_ids_from_input_ids` of each.
_POSITIONS_AFTER_PADDING = frozenset(
    {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "roberta-prelayernorm"}
)
#: What transformers calls outputs that nobody named.
_NAMELESS = {"0": "LABEL_0", "1": "LABEL_1"}
#: The renaming where a catalogue says nothing of a model's outputs.
NOTHING_RENAMED: Final[Mapping[str, str]] = MappingProxyType({})
_AGAIN = "fetch or save it again"

Classifier = Literal["sequence", "token"]


@dataclass(frozen=True)
class EncoderConfig:
    """A model's own description of itself.

    Attributes:
        folder: With the model's files.
        content: Of its `config.json`.
        of_tokenizer: Of its `tokenizer_config.json`; empty where there is none.
        renaming: What the catalogue calls the classifier's outputs; see `Model.outputs`.
    """

    folder: Path
    content: Mapping[str, Any]
    of_tokenizer: Mapping[str, Any]
    renaming: Mapping[str, str] = field(default_factory=dict)

    @property
    def classifier(self) -> Classifier | None:
        """What the model's own last layer judges: whole texts, tokens, or nothing."""
        architectures = self.content.get("architectures")
        architecture = str(architectures[0]) if isinstance(architectures, list | tuple) else ""
        if architecture.endswith("ForSequenceClassification"):
            return "sequence"
        return "token" if architecture.endswith("ForTokenClassification") else None

    @property
    def has_head(self) -> bool:
        """Whether a head that was trained with the encoder lies beside it."""
        return self.classifier is None and (self.folder / HEAD_FILE).is_file()

    @property
    def is_multilabel(self) -> bool:
        """Whether the model's own classifier of texts judges every label for itself (sigmoid)."""
        is_said = self.content.get("problem_type") == "multi_label_classification"
        return is_said and self.classifier == "sequence"

    @property
    def given_labels(self) -> tuple[str, ...]:
        """The outputs' names by the model's files, in their order; two nameless ones if unsaid."""
        named: Mapping[str, str] = self.content.get("id2label") or _NAMELESS
        return tuple(named[key] for key in sorted(named, key=int))

    @property
    def own_labels(self) -> tuple[str, ...]:
        """Names of the classifier's outputs, in their order, as the catalogue has them."""
        is_tagger = self.classifier == "token"
        given = self.given_labels
        return tuple(renamed(output, self.renaming, is_tagger=is_tagger) for output in given)

    @property
    def is_number(self) -> bool:
        """Whether the classifier's output is a number: a regression, or a score of two texts."""
        if self.classifier != "sequence" or self.is_multilabel:
            return False
        return self.content.get("problem_type") == "regression" or len(self.own_labels) == 1

    @property
    def max_positions(self) -> int | None:
        """The most tokens that the model's positions and its authors' settings allow, if said."""
        positions = self.content.get("max_position_embeddings")
        if positions and self.content.get("model_type") in _POSITIONS_AFTER_PADDING:
            positions -= int(self.content.get("pad_token_id", 1)) + 1
        # Sentence encoders are trained on shorter texts than they have positions for.
        trained = _read_json(self.folder / "sentence_bert_config.json").get("max_seq_length")
        return min((int(limit) for limit in (positions, trained) if limit), default=None)


def read_encoder_config(
    folder: Path, renaming: Mapping[str, str] = NOTHING_RENAMED
) -> EncoderConfig:
    """Read what a model's folder says of itself.

    Args:
        folder: With the model's files.
        renaming: What the catalogue calls the classifier's outputs; see `renaming_problem`.

    Raises:
        ModelFilesError: When a file is missing or torn, or wants code of its own to be run.
    """
    content, of_tokenizer = (
        _read_json(folder / name) for name in ("config.json", "tokenizer_config.json")
    )
    if not content:
        raise ModelFilesError(str(folder), "has no config.json", _AGAIN)
    if "auto_map" in content or "auto_map" in of_tokenizer:
        reason = "asks to run code of its own (auto_map), which is refused"
        raise ModelFilesError(str(folder), reason, "name a model that transformers itself has")
    _check_outputs(folder, content.get("id2label"))
    return EncoderConfig(folder, content, of_tokenizer, renaming)


def _check_outputs(folder: Path, named: object) -> None:
    is_right = isinstance(named, dict) and all(
        str(key).isdecimal() and isinstance(label, str) for key, label in named.items()
    )
    if named and not is_right:
        reason = "cannot be loaded: config.json: id2label must map 0, 1, … to the outputs' names"
        raise ModelFilesError(str(folder), reason, _AGAIN)


def _read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file; empty where there is no such file, or it holds no object."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as err:
        reason = f"cannot be loaded: {path.name}: {err}"
        raise ModelFilesError(str(path.parent), reason, _AGAIN) from err
    return content if isinstance(content, dict) else {}


def longest_window(max_positions: int | None, of_tokenizer: Any) -> int:
    """The longest row of tokens, by the model's positions and by its tokenizer's own limit."""
    limits = [limit for limit in (max_positions, of_tokenizer) if isinstance(limit, int | float)]
    return min(
        (int(limit) for limit in limits if 0 < limit < _SENSIBLE_MAX_TOKENS),
        default=DEFAULT_MAX_TOKENS,
    )


def count_tokens(folder: Path, of_tokenizer: Mapping[str, Any]) -> int | None:
    """Count the tokens that a model's tokenizer knows; None where its files do not say simply."""
    made = _read_json(folder / "tokenizer.json")
    vocabulary = made["model"].get("vocab") if isinstance(made.get("model"), dict) else None
    if isinstance(vocabulary, dict):
        known = set(vocabulary)
    elif isinstance(vocabulary, list):
        known = {str(entry[0]) for entry in vocabulary if isinstance(entry, list) and entry}
    elif (folder / "vocab.txt").is_file():
        known = set((folder / "vocab.txt").read_text("utf-8", errors="replace").split("\n")) - {""}
    else:
        return None
    return len(known | _added(made.get("added_tokens")) | _added_by_config(of_tokenizer))


def _added(tokens: object) -> set[str]:
    entries = tokens if isinstance(tokens, list) else []
    return {
        str(each["content"]) for each in entries if isinstance(each, dict) and "content" in each
    }


def _added_by_config(of_tokenizer: Mapping[str, Any]) -> set[str]:
    added = of_tokenizer.get("added_tokens_decoder")
    return _added(list(added.values()) if isinstance(added, dict) else [])
