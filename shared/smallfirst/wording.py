"""Words for people: the name they most likely meant, and pydantic's complaints in plain English."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

#: Openings of pydantic's messages, and the words of JSON in them.
_WORDS = (
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^(?:Input|String|Tuple|Dictionary|List|Value) should "), "must "),
    (re.compile(r" after validation\b"), ""),
    (re.compile(r"\ban object\b|\ba valid dictionary\b"), "a mapping"),
    (re.compile(r"\ba valid (?:array|tuple|list)\b"), "a list"),
)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word nearest to a word; None where nothing is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End a complaint about an unknown word: `, did you mean 'kind'?`, or nothing."""
    near = nearest(word, known)
    return f", did you mean {near!r}?" if near else ""


def plain_rule(detail: ErrorDetails) -> str:
    """Say which rule a value broke, without the value: `must be less than or equal to 64`."""
    if detail["type"] == "missing":
        return "is required"
    rule = detail["msg"]
    for pattern, words in _WORDS:
        rule = pattern.sub(words, rule)
    context: Mapping[str, Any] = detail.get("ctx", {})
    if detail["type"] in {"enum", "literal_error"} and isinstance(detail["input"], str):
        rule += did_you_mean(detail["input"], re.findall(r"'([^']*)'", context["expected"]))
    return rule
