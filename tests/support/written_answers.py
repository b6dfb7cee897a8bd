"""Writings of a model about one invoice, and the tasks that asked for them."""

import json
import math
from typing import Any

from hypothesis import strategies as st
from pydantic import JsonValue, TypeAdapter

from smallfirst.answers import Answer, RecordAnswer
from smallfirst.catalogue import Kind, Task
from smallfirst.kinds import prompting_of
from smallfirst.kinds.completions import Completion

TEXT = "Invoice 7 of ACME: 12.50 due 2026-11-23. ACME thanks you."
#: A word that stands in what a model wrote, and may stand nowhere else.
CANARY = "canary-7f3a"
LABELS = {"name": "", "date": ""}
FIELDS = {
    "total": {"type": "number"},
    "count": {"type": "integer", "optional": True},
    "due": {"type": "date"},
    "paid": {"type": "boolean"},
    "who": {"type": "string"},
}
ASKED: dict[Kind, dict[str, Any]] = {
    Kind.MULTILABEL: {"labels": LABELS},
    Kind.TAG: {"labels": LABELS},
    Kind.EXTRACT: {"fields": FIELDS},
    Kind.JUDGE: {"question": "Was it altered?"},
    Kind.GENERATE: {},
}
RECORD: dict[str, JsonValue] = {
    "total": 12.5,
    "count": None,
    "due": "2026-11-23",
    "paid": False,
    "who": "ACME",
}
#: Anything that JSON can say.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ANSWERS: TypeAdapter[Answer] = TypeAdapter(Answer)


def task(kind: Kind, **more: Any) -> Task:
    """Make a task of a kind."""
    return Task.model_validate({"kind": kind, **ASKED[kind], **more, "cascade": [{"model": "m"}]})


def wrote(text: str, *, is_whole: bool = True, probability: float = 0.5) -> Completion:
    """Write a text as one token."""
    return Completion(text, (text,), (math.log(probability),), is_whole)


def pieced(*pieces: tuple[str, float]) -> Completion:
    """Write a text in tokens, each with its probability."""
    texts = tuple(text for text, _ in pieces)
    return Completion("".join(texts), texts, tuple(math.log(p) for _, p in pieces), is_whole=True)


def read_writing(asked: Task, text: str, writing: Completion) -> Answer:
    """Read what a model wrote about a text, as the task's kind does."""
    answer: Answer = prompting_of(asked.kind).read_writing(asked, text, writing)
    return answer


def read(kind: Kind, text: str) -> Answer:
    """Read what a model wrote about the invoice."""
    return read_writing(task(kind), TEXT, wrote(text))


def judged(verdict: str, quote: str, text: str = TEXT) -> RecordAnswer:
    """Read a verdict on a text."""
    said = json.dumps({"verdict": verdict, "quote": quote})
    answer = read_writing(task(Kind.JUDGE), text, wrote(said))
    assert isinstance(answer, RecordAnswer)
    return answer


def record_with(**values: Any) -> str:
    """Write a record with other values."""
    return json.dumps({**RECORD, **values})
