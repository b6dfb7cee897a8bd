"""How a large model is asked a task of a kind, and how its answer is read.

What that is for each kind stands in `kinds`, in the module that has the kind's name.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from pydantic import JsonValue

from smallfirst.catalogue import Example, Kind, Task
from smallfirst.jobs import Answer
from smallfirst.kinds import KINDS
from smallfirst_workers.prompting.completions import Completion

JsonSchema = dict[str, JsonValue]


@dataclass(frozen=True)
class WrittenKind:
    """The large model's half of a kind of task; the contract's is `KindSpec`.

    Attributes:
        order: What the model is told to do.
        cue: What is asked again below the text, where a model heeds it most.
        max_tokens: The longest answer, where the task does not say.
        write: Writes an example's right answer as the model is to write it; None where it has none.
        read: Reads an answer to a question about a text; raises InvalidAnswer. None where labels
            are scored instead (`KindSpec.is_one_label`).
        vote: Makes one answer of several, at least one, to the same question. Its second argument
            is how many were asked for: one that was no answer is a vote for nothing.
        schema: The JSON Schema of the answer; None for free text.
        is_json: Whether `write` writes JSON.
        key: Under which key the answer stands where only objects can be asked for; None where it
            is an object, or free text.
        may_be_cut: Whether an answer that ran into its bound is one all the same.
    """

    order: str
    cue: str
    max_tokens: int
    write: Callable[[Task, Example], str | None]
    read: Callable[[Task, str, Completion], Answer] | None
    vote: Callable[[Sequence[Any], int], Answer]
    schema: Callable[[Task], JsonSchema] | None = None
    is_json: bool = True
    key: str | None = None
    may_be_cut: bool = False


@cache
def written_kind(kind: Kind) -> WrittenKind:
    """Find how a large model is asked.

    Raises:
        ValueError: When the kind is not answered in words.
    """
    if not KINDS[kind].can_be_written:
        raise ValueError(f"a task of kind {kind} is not answered in words")
    module = import_module(f"smallfirst_workers.prompting.kinds.{kind}")
    found: WrittenKind = module.WRITTEN
    return found


def closed_object(properties: JsonSchema) -> JsonSchema:
    """Write the schema of an object that has exactly these properties."""
    required: list[JsonValue] = list(properties)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def as_json(value: JsonValue) -> str:
    """Write JSON as the engine lets a model write it, without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
