"""Words for people: the name they most likely meant, and pydantic's complaints in plain English.

A complaint says the field, the rule and what to do. It never says the value, which may be
somebody's letter; of a foreign field's name it shows a few characters.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

#: The most faults that one refusal lists, and the most characters of a foreign name it repeats.
MAX_FAULTS, MAX_NAME_CHARS = 5, 40
#: Openings of pydantic's messages, and what only Python's programmers would understand of the rest.
_WORDS = (
    (re.compile(r"^(?:Value error, |Invalid JSON: )"), ""),
    (re.compile(r"^(?:Input|String|Tuple|Dictionary|List|Value) should "), "must "),
    (re.compile(r" after validation\b| or instance of \w+"), ""),
    (re.compile(r"\ban object\b|\ba valid dictionary\b"), "a mapping"),
    (re.compile(r"\ba valid (?:array|tuple|list)\b"), "a list"),
    (re.compile(r"\bdatetime\.timedelta\(0\)"), "0 seconds"),
    (re.compile(r"\bdatetime\.timedelta\((\w+)=(\d+)\)"), r"\2 \1"),
    (re.compile(r"\btimedelta\b"), "duration"),
)
#: JSON's own nouns, for those who send JSON.
_JSON_NOUNS = ((re.compile(r"\ba mapping\b"), "an object"), (re.compile(r"\ba list\b"), "an array"))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word nearest to a word; None where nothing is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End a complaint about an unknown word: `, did you mean 'kind'?`, or nothing."""
    near = nearest(word, known)
    return f", did you mean {near!r}?" if near else ""


def unknown_key(name: str, known: Iterable[str]) -> str:
    """Say of a foreign key that it is one: `unknown key 'prority', did you mean 'priority'?`."""
    shown = name[:MAX_NAME_CHARS]
    return f"unknown key {shown!a}{did_you_mean(shown, known)}"


def faults_of(error: ValidationError, known: Iterable[str] = (), at: Sequence[str] = ()) -> str:
    """Say in one line what is wrong with what was sent as JSON.

    Args:
        error: What validating it against a model raised.
        known: The keys that an unknown key may have been meant for.
        at: Where it stands in what its sender wrote; nothing where that is a job.
    """
    faults = error.errors(include_url=False)
    lines = [_fault(fault, known, at) for fault in faults[:MAX_FAULTS]]
    if len(faults) > MAX_FAULTS:
        lines.append(f"and {len(faults) - MAX_FAULTS} more")
    return "; ".join(lines)


def _fault(fault: ErrorDetails, known: Iterable[str], at: Sequence[str]) -> str:
    place = (*at, *fault["loc"])
    if fault["type"] == "extra_forbidden":
        foreign = unknown_key(str(place[-1]), known)
        return f"{_where(place[:-1])}: {foreign}" if place[:-1] else foreign
    rule = plain_rule(fault)
    for pattern, noun in _JSON_NOUNS:
        rule = pattern.sub(noun, rule)
    return f"{_where(place) or 'job'}: {rule}"


def _where(place: Sequence[int | str]) -> str:
    return ".".join(ascii(str(part)[:MAX_NAME_CHARS])[1:-1] for part in place)


def plain_rule(detail: ErrorDetails) -> str:
    """Say which rule a value broke, without the value: `must be less than or equal to 64`."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    if detail["type"] == "missing":
        return "is required"
    if detail["type"] == "union_tag_invalid":
        return _rule_of_tags(context)
    rule = detail["msg"]
    for pattern, words in _WORDS:
        rule = pattern.sub(words, rule)
    if detail["type"] in {"enum", "literal_error"} and isinstance(detail["input"], str):
        rule += did_you_mean(detail["input"], re.findall(r"'([^']*)'", context["expected"]))
    return rule


def _rule_of_tags(context: Mapping[str, Any]) -> str:
    """Say which kinds there are; pydantic's message quotes the one that was given."""
    tags = re.findall(r"'([^']*)'", context["expected_tags"])
    near = did_you_mean(context["tag"], tags)
    key = context["discriminator"].strip("'")
    return f"{key} must be {_either(tags)}{near}"


def _either(words: Sequence[str]) -> str:
    *most, last = map(repr, words)
    return f"{', '.join(most)} or {last}" if most else last
