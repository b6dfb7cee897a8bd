"""Words for people: the name they most likely meant, and pydantic's complaints in plain English.

A complaint says the field, the rule and what to do. It never says the value, which may be
somebody's letter. Nor may a name that the sender chose be read by others: what is kept of a refused
submission shows its hash. Who reads of a file of his own is shown a few characters of it.
"""

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

#: The most faults that one refusal lists, and the most characters of a foreign name it repeats.
MAX_FAULTS, MAX_NAME_CHARS = 5, 40
#: Digits of a name's hash: who has the submission finds the field; who has not cannot tell a guess
#: from one in 65,000 others.
HASH_DIGITS = 4
#: What pydantic puts behind a key where the key itself is wrong, and not its value.
_KEY_ITSELF = "[key]"
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


def numbered(number: int, one: str, many: str) -> str:
    """Write a number with what is said of it: `1 line was no job`, `2 lines were no jobs`."""
    return f"{number:,} {one if number == 1 else many}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: `1 job`, `2 jobs`, `1,000 batches`, `3 copies`."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return numbered(number, noun, f"{noun}es")
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return numbered(number, noun, f"{noun[:-1]}ies")
    return numbered(number, noun, f"{noun}s")


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Find the known word nearest to a word, whatever its case; None where nothing is near."""
    named = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(named), n=1, cutoff=likeness)
    return next((named[name] for name in near), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End a complaint about an unknown word: `, did you mean 'kind'?`, or nothing."""
    near = nearest(word, known)
    return f", did you mean {near!r}?" if near else ""


def unknown_key(name: str, known: Iterable[str]) -> str:
    """Say of a foreign key that it is one: `unknown key 'prority', did you mean 'priority'?`."""
    shown = name[:MAX_NAME_CHARS]
    return f"unknown key {shown!a}{did_you_mean(shown, known)}"


def hashed_name(name: str) -> str:
    """Stand for a name that somebody may be called by: `sha256:1f3a (17 characters)`."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest[:HASH_DIGITS]} ({len(name)} characters)"


def faults_of(
    error: ValidationError,
    known: Iterable[str] = (),
    at: Sequence[str] = (),
    *,
    hides_names: bool = False,
) -> str:
    """Say in one line what is wrong with what was sent as JSON.

    Args:
        error: What validating it against a model raised.
        known: The keys that an unknown key may have been meant for.
        at: Where it stands in what its sender wrote; nothing where that is a job.
        hides_names: Whether others read it than who sent it: names that are not `known` are hashed.
    """
    faults = error.errors(include_url=False)
    name = _hashing(known) if hides_names else _quoted
    foreign = _hashed_key if hides_names else unknown_key
    lines = [_fault(fault, known, at, name, foreign) for fault in faults[:MAX_FAULTS]]
    if len(faults) > MAX_FAULTS:
        lines.append(f"and {len(faults) - MAX_FAULTS} more")
    return "; ".join(lines)


def _fault(
    fault: ErrorDetails,
    known: Iterable[str],
    at: Sequence[str],
    name: Callable[[int | str], str],
    foreign: Callable[[str, Iterable[str]], str],
) -> str:
    place = (*at, *fault["loc"])
    if fault["type"] == "extra_forbidden":
        where, said = place[:-1], foreign(str(place[-1]), known)
        return f"{'.'.join(map(name, where))}: {said}" if where else said
    rule = plain_rule(fault)
    for pattern, noun in _JSON_NOUNS:
        rule = pattern.sub(noun, rule)
    return f"{'.'.join(map(name, place)) or 'job'}: {rule}"


def _quoted(part: int | str) -> str:
    return ascii(str(part)[:MAX_NAME_CHARS])[1:-1]


def _hashing(known: Iterable[str]) -> Callable[[int | str], str]:
    """Name what is known, and an index, as they are; hash the rest."""
    shown = {*known, _KEY_ITSELF}
    return lambda part: str(part) if part in shown or isinstance(part, int) else hashed_name(part)


def _hashed_key(name: str, known: Iterable[str]) -> str:
    return f"unknown field {hashed_name(name)}{did_you_mean(name[:MAX_NAME_CHARS], known)}"


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
