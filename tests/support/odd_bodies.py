"""Bodies that an endpoint might send: good ones with odd fields, and plain nonsense."""

import copy
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import JsonValue

from smallfirst.catalogue import Task

_LABELS: Final = {"labels": {"a": "", 'b"é': ""}}
_FIELDS: Final = {"fields": {"n": {"type": "integer"}, "s": {"type": "string", "optional": True}}}
TEXT: Final = "Dr. Zoë Ott owes 7 pounds, she says."
#: A task of each kind that can be written, with a good answer to it about the text.
ANSWERED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "classify": (_LABELS, '{"label": "a"}'),
    "multilabel": (_LABELS, '{"labels": ["a"]}'),
    "tag": (_LABELS, '{"spans": [{"text": "Zoë", "label": "a"}]}'),
    "extract": (_FIELDS, '{"n": 7, "s": null}'),
    "judge": ({"question": "?"}, '{"verdict": "yes", "quote": "she says"}'),
    "generate": ({}, "She does."),
}
TASKS: Final = {
    kind: Task.model_validate({"kind": kind, "cascade": [{"model": "far"}]} | keys)
    for kind, (keys, _) in ANSWERED.items()
}

#: Stands for JSON so deep that no parser follows it.
_DEEP: Final = "DEEP"
#: Stands for nothing: the place itself is left out.
_NOTHING: Final = "NOTHING"
_ODD: Final[list[Any]] = [
    *(None, True, False, 0, 1, -1, 300, 10.5, 1e6, -1e6, 1e308, 10**309, -(10**309)),
    *(math.nan, math.inf, -math.inf, "", "a", "7", "\ud800", "{", '{"label": ', "[[[", "\x00"),
    *([], {}, [None], [[]], [{}], {"a": 1}, ["a"], [300], [-1], [0.5], _DEEP, _NOTHING),
    *("length", "content_filter", "stop", "eos_token", "LENGTH"),
    *([{"type": "text", "text": "a"}], [{"type": "text", "text": 7}, {"text": "b"}]),
    {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": None},
]


def good_body(kind: str) -> dict[str, Any]:
    """What a server that leaves nothing out says; its answer comes twice."""
    content = ANSWERED[kind][1]
    told: list[JsonValue] = [
        {
            "token": content[at : at + 3],
            "bytes": [*content[at : at + 3].encode()],
            "logprob": -0.1,
            "top_logprobs": [
                {"token": content[at : at + 3], "bytes": None, "logprob": -0.1},
                {"token": "b", "bytes": [98], "logprob": -3.5},
            ],
        }
        for at in range(0, len(content), 3)
    ]
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": content, "refusal": None},
        "logprobs": {"content": told, "refusal": None},
    }
    usage = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
    return {"id": "1", "model": "m", "choices": [choice, copy.deepcopy(choice)], "usage": usage}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a body, from the whole of it on."""
    yield path
    listed = enumerate(value) if isinstance(value, list) else ()
    for name, inner in value.items() if isinstance(value, dict) else listed:
        yield from _places(inner, (*path, name))


_BODIES: Final = {kind: json.dumps(good_body(kind)) for kind in ANSWERED}
_PLACES: Final = {kind: [*_places(good_body(kind))] for kind in ANSWERED}
#: Where something odd stands, and what.
Oddity = tuple[int, Any]


def odd_body(kind: str, oddities: Sequence[Oddity], end: int | None) -> bytes:
    """A good body with something odd in some places, and perhaps broken off."""
    body = json.loads(_BODIES[kind])
    for number, odd in oddities:
        place = _PLACES[kind][number % len(_PLACES[kind])]
        body = _with(body, place, copy.deepcopy(odd))
    written = json.dumps(body).encode()
    return written.replace(json.dumps(_DEEP).encode(), b"[" * 100_000)[:end]


def _with(body: Any, place: tuple[Any, ...], odd: Any) -> Any:
    """Put something odd in a place, or nothing at all."""
    if not place:
        return odd
    inner = body
    with suppress(TypeError, KeyError, IndexError):  # another oddity has taken the place away
        for name in place[:-1]:
            inner = inner[name]
        if odd == _NOTHING:
            del inner[place[-1]]
        else:
            inner[place[-1]] = odd
    return body


_KINDS = st.sampled_from([*ANSWERED])
_ODDITIES = st.lists(
    st.tuples(st.integers(0, 999), st.sampled_from(_ODD) | st.floats() | st.text(max_size=4)),
    max_size=4,
)
_END = st.none() | st.integers(0, 500)

#: A kind of task, and a body to answer it.
ODD_REPLIES: Final = st.tuples(_KINDS, _ODDITIES, _END).map(
    lambda drawn: (drawn[0], odd_body(*drawn))
) | st.tuples(_KINDS, st.binary(max_size=60))
