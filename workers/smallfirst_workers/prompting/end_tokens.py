"""The tokens that end a model's answer, as its files declare them.

The tokenizer's end token is often that of a document, and not that of a turn. Source: Gemma 3 ends
documents with token 1 and turns with 106, Llama 3 with 128001 and 128009; its
`generation_config.json` names both.
"""

import json
from pathlib import Path
from typing import Any, Final

#: The files that may declare them; the first that does is heeded, as vLLM does.
_FILES: Final = ("generation_config.json", "config.json")


def declared_ends(folder: Path) -> tuple[int, ...]:
    """Read the end tokens that a model's files declare; none where they declare none."""
    found = (_ends_of(_read(folder / name)) for name in _FILES)
    return next((ends for ends in found if ends), ())


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _ends_of(config: dict[str, Any]) -> tuple[int, ...]:
    """Read one or several; those of a model that reads images too may stand a level deeper."""
    told = config.get("eos_token_id")
    if told is None and isinstance(text := config.get("text_config"), dict):
        told = text.get("eos_token_id")
    each = told if isinstance(told, list) else [told]
    return tuple(token for token in each if type(token) is int)
