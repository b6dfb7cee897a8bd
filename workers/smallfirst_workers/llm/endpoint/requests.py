"""What an endpoint is sent for a task, and how the answer is to be written. Pure.

The words are `prompts`'. Where an endpoint takes a schema at all, it takes one of an object, so
what is not an object by its kind is put under a key of one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from smallfirst.catalogue import Example, Task
from smallfirst.kinds import KINDS, prompting_of
from smallfirst.kinds.schemas import closed_object
from smallfirst_workers.llm.vllm.generating import VARIED
from smallfirst_workers.prompting.prompter import spread
from smallfirst_workers.prompting.prompts import (
    answer_schema,
    answer_text,
    answer_tokens,
    as_chat,
    shared_messages,
    user_message,
)

#: The most characters that all examples of a prompt may have: how many tokens the endpoint's model
#: reads is not known here, and each is paid for.
EXAMPLES_CHARS: Final = 8000
#: How many tokens beside each that was written an endpoint tells of: the most that OpenAI does.
TOP_LOGPROBS: Final = 20


@dataclass(frozen=True)
class RequestTemplate:
    """A task, ready to be asked.

    Attributes:
        shared: Messages that all its jobs begin with.
        schema: Of the answer, an object; None where it is plain text.
    """

    task: Task
    shared: tuple[Mapping[str, str], ...]
    schema: Mapping[str, JsonValue] | None

    @property
    def key(self) -> str | None:
        """Under which key the answer stands; None where it is all that is written."""
        return prompting_of(self.task.kind).key


def template_of(task: Task) -> RequestTemplate:
    """Write what all jobs of a task share."""
    chat = as_chat(shared_messages(task, _shots(task)))
    prompting = prompting_of(task.kind)
    key = prompting.key
    if key is not None:
        order = f'Write it as a JSON object: {{"{key}": ...}}.'
        chat = [_under_key(turn, key, order, is_json=prompting.is_json) for turn in chat]
    return RequestTemplate(task, tuple(chat), _schema(task, key))


def request_of(
    template: RequestTemplate, text: str, *, model: str, num: int = 1, varied: bool = False
) -> dict[str, Any]:
    """Write the request that asks about a text.

    Args:
        template: Of the task.
        text: The job's.
        model: As the endpoint calls it.
        num: How many answers it is to write.
        varied: Whether they must be free to differ, from each other or from one before.
    """
    return {
        "model": model,
        "messages": [*template.shared, *as_chat([user_message(template.task, text)])],
        "max_completion_tokens": answer_tokens(template.task),
        "temperature": VARIED if varied else 0.0,
        "n": num,
        **_wanted_logprobs(template.task),
        **({"response_format": _response_format(template.schema)} if template.schema else {}),
    }


def _wanted_logprobs(task: Task) -> dict[str, Any]:
    is_label = KINDS[task.kind].is_one_label
    return {"logprobs": True, **({"top_logprobs": TOP_LOGPROBS} if is_label else {})}


def _response_format(schema: Mapping[str, JsonValue]) -> dict[str, Any]:
    named = {"name": "answer", "strict": True, "schema": dict(schema)}
    return {"type": "json_schema", "json_schema": named}


def _schema(task: Task, key: str | None) -> Mapping[str, JsonValue] | None:
    schema = answer_schema(task)
    return schema if schema is None or key is None else closed_object({key: schema})


def _under_key(turn: Mapping[str, str], key: str, order: str, *, is_json: bool) -> dict[str, str]:
    """Write an example's answer as the schema has it, and say so in the instructions."""
    role, content = turn["role"], turn["content"]
    if role == "system":
        content = f"{content}\n{order}"
    if role == "assistant":
        value = content if is_json else json.dumps(content, ensure_ascii=False)
        content = f'{{"{key}": {value}}}'
    return {"role": role, "content": content}


def _shots(task: Task) -> Sequence[Example]:
    """As many of the task's examples as are worth their price, spread over the labels."""
    chosen: list[Example] = []
    left = EXAMPLES_CHARS
    for example in spread(task):
        answer = answer_text(task, example)
        size = len(example.text) + len(answer or "")
        if answer is not None and size <= left and len(chosen) < task.shots:
            chosen.append(example)
            left -= size
    return chosen
