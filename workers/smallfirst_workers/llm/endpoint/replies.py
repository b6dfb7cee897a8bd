"""What an endpoint says in a reply, read field by field. Pure.

Servers differ in what they leave out, and nothing that one sends is taken on trust: a field of
another form than the contract's is as good as absent, and a reply of another form than a chat
completion's is none. Whatever the bytes are, nothing here raises. What the content means as an
answer is the business of `completions`.
"""

import json
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from smallfirst.kinds.completions import MAX_LOGPROB
from smallfirst_workers.llm.endpoint.label_probabilities import Token

#: More tokens than one reply can have been charged for.
MAX_TOKENS: Final = 1_000_000_000
#: The least log-probability that differs from "never": its exponential is 0.
MIN_LOGPROB: Final = -10_000.0

#: Under which names servers tell what was read, and what was written.
_READ, _WRITTEN = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")
_BYTES = range(256)


class Ending(StrEnum):
    """Why an endpoint wrote no more."""

    WHOLE = "whole"
    CUT = "cut"
    FILTERED = "filtered"


#: What servers call an ending that is not the model's own. Of any other word, or none, the content
#: tells whether it is whole.
_ENDINGS: Final[Mapping[str, Ending]] = {
    "length": Ending.CUT,
    "max_tokens": Ending.CUT,
    "model_length": Ending.CUT,
    "content_filter": Ending.FILTERED,
}


@dataclass(frozen=True)
class Usage:
    """The tokens that an endpoint says it read and wrote; 0 where it does not say."""

    read: int = 0
    written: int = 0


@dataclass(frozen=True)
class Choice:
    """One thing that a model wrote.

    Attributes:
        content: All of it.
        tokens: What it was written in; none where the endpoint does not tell them, or tells of
            others.
        ending: Why it ends.
    """

    content: str
    tokens: tuple[Token, ...] = ()
    ending: Ending = Ending.WHOLE


@dataclass(frozen=True)
class Reply:
    """What an endpoint made of one request; a choice that cannot be read is None."""

    choices: tuple[Choice | None, ...]
    usage: Usage = Usage()


def read_reply(body: bytes) -> Reply | None:
    """Read the body of a reply; None where nothing says that a model had to do with it."""
    try:
        found = json.loads(body)
    except RecursionError:
        # It is JSON, of a depth that nobody sends by mistake.
        return Reply((None,))
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    usage = _usage(found.get("usage"))
    choices = found.get("choices")
    if isinstance(choices, list) and choices:
        return Reply(tuple(_choice(each) for each in choices), usage)
    return Reply((None,), usage) if usage.read or usage.written else None


def _usage(told: object) -> Usage:
    fields = told if isinstance(told, dict) else {}
    return Usage(_count(fields, _READ), _count(fields, _WRITTEN))


def _count(told: Mapping[str, Any], names: Sequence[str]) -> int:
    """Read a count under the first of its names that has one; 0 for what is no count."""
    for name in names:
        value: Any = told.get(name)
        if _is_number(value) and 0 <= value <= MAX_TOKENS and value == int(value):
            return int(value)
    return 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choice(told: object) -> Choice | None:
    message = told.get("message") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(message, dict):
        return None
    content = _content(message.get("content"))
    if content is None:
        return None
    logprobs = told.get("logprobs")
    pieces = logprobs.get("content") if isinstance(logprobs, dict) else None
    ending = str(told.get("finish_reason")).lower()
    return Choice(content, _tokens(pieces, content), _ENDINGS.get(ending, Ending.WHOLE))


def _content(told: object) -> str | None:
    """Read what was written: a string, or parts of which those of text are joined."""
    if told is None or isinstance(told, str):
        return told or ""
    if not isinstance(told, list):
        return None
    texts = [each if isinstance(each, str) else _text_of(each) for each in told]
    read = [text for text in texts if text is not None]
    return "".join(read) if read else None


def _text_of(part: object) -> str | None:
    if not isinstance(part, dict) or part.get("type", "text") not in ("text", "output_text"):
        return None
    text = part.get("text")
    return text if isinstance(text, str) else None


def _tokens(told: object, content: str) -> tuple[Token, ...]:
    """Read the tokens and their probabilities; none where they are not those of the content.

    A server may strip the content, or tell of tokens that it does not show, such as thoughts: then
    nobody knows which of them wrote what.
    """
    # A character may be written by several tokens; it belongs to the last of them.
    decode = getincrementaldecoder("utf-8")(errors="replace").decode
    tokens: list[Token] = []
    for each in told if isinstance(told, list) else ():
        logprob = _logprob(each)
        spelt = _bytes(each)
        text = decode(spelt) if spelt is not None else _token(each)
        if logprob is None or text is None:
            return ()
        tokens.append(Token(text, logprob, tuple(_others(each.get("top_logprobs")))))
    joined = "".join(token.text for token in tokens)
    return tuple(tokens) if joined.startswith(content) else ()


def _others(told: object) -> Iterator[tuple[str, float]]:
    """What might have stood in a token's place, as far as that can be read."""
    for other in told if isinstance(told, list) else ():
        logprob, spelt = _logprob(other), _bytes(other)
        text = spelt.decode(errors="replace") if spelt is not None else _token(other)
        if logprob is not None and text is not None:
            yield text, logprob


def _logprob(told: object) -> float | None:
    """Read a natural log-probability; None for what can be none, such as NaN."""
    value: Any = told.get("logprob") if isinstance(told, dict) else None
    if not _is_number(value) or not value <= MAX_LOGPROB:
        return None
    return float(min(0.0, max(MIN_LOGPROB, value)))


def _token(told: object) -> str | None:
    token = told.get("token") if isinstance(told, dict) else None
    return token if isinstance(token, str) else None


def _bytes(told: object) -> bytes | None:
    spelt = told.get("bytes") if isinstance(told, dict) else None
    if not isinstance(spelt, list) or not all(type(each) is int for each in spelt):
        return None
    return bytes(spelt) if all(each in _BYTES for each in spelt) else None
