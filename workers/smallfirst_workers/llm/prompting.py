"""A task's prompt as tokens: what its jobs share is tokenised once, a text alone each time.

A text is tokenised with control tokens off, so that nothing in it can end its turn or begin
another, whatever it spells.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from jinja2 import TemplateError

from smallfirst.catalogue import Example, Kind, Task
from smallfirst_workers.errors import ModelError, TaskError
from smallfirst_workers.llm.labels import LabelTree
from smallfirst_workers.llm.prompts import (
    Segment,
    answer_tokens,
    escape,
    messages_for,
    render_segments,
)

#: The most examples that go into a prompt; more cost every job, and teach little.
MAX_EXAMPLES = 8
#: The most of the context, less the answer, that a prompt with examples may take before its text.
EXAMPLES_SHARE = 0.5


@dataclass(frozen=True)
class TaskPrompt:
    """A task, ready to be asked: tokens before a text and after it.

    Attributes:
        before: Instructions and examples; the same for all jobs, so the engine caches them.
        after: What asks below the text, and opens the answer.
        max_text_tokens: The longest text that leaves room for an answer.
        labels: Of a `classify` task.
    """

    task: Task
    before: tuple[int, ...]
    after: tuple[int, ...]
    max_text_tokens: int
    labels: LabelTree | None

    def around(self, text: Sequence[int]) -> list[int]:
        """The whole prompt of one job."""
        return [*self.before, *text, *self.after]


class Prompter:
    """A model's tokenizer and chat template."""

    def __init__(self, model: str, tokenizer: Any, *, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        # How control tokens are treated is a state of the tokenizer, and reloads have threads.
        self._tokenizing = Lock()
        if tokenizer.chat_template is None:
            raise ModelError(model, "has no chat template, so it cannot be asked")
        if tokenizer.eos_token_id is None:
            raise ModelError(model, "has no end token, so its labels cannot be told apart")
        self._control = control_tokens(tokenizer)

    @classmethod
    def load(cls, model: str, folder: Path, *, max_tokens: int) -> "Prompter":
        """Read the tokenizer of a model's folder.

        Raises:
            ModelError: When there is none, or it has no chat template.
        """
        from transformers import AutoTokenizer  # noqa: PLC0415 - seconds to import

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError) as err:
            raise ModelError(model, f"has no tokenizer that can be read: {err}") from err
        return cls(model, tokenizer, max_tokens=max_tokens)

    def text_tokens(self, text: str) -> list[int]:
        """Tokenise a stranger's text, as data."""
        return self._tokens(Segment(escape(text), is_trusted=False))

    def prepare(self, name: str, task: Task) -> TaskPrompt:
        """Tokenise what all jobs of a task share.

        Raises:
            TaskError: When the prompt leaves no room for a text, two labels look alike, or the
                chat template refuses it.
        """
        try:
            before, after = self._frame(task, self._fitting(task))
        except (ValueError, TemplateError) as err:
            raise TaskError(name, f"does not fit the model's chat template: {err}") from err
        room = self._max_tokens - len(before) - len(after) - answer_tokens(task)
        if room < 1:
            raise TaskError(name, f"leaves no room for a text in {self._max_tokens} tokens")
        return TaskPrompt(task, before, after, room, self._label_tree(name, task))

    def _fitting(self, task: Task) -> list[Example]:
        """As many of the task's examples as are worth their tokens, spread over the labels."""
        chosen: list[Example] = []
        budget = (self._max_tokens - answer_tokens(task)) * EXAMPLES_SHARE
        for example in spread(task.examples):
            if len(chosen) == MAX_EXAMPLES:
                break
            before, after = self._frame(task, [*chosen, example])
            if len(before) + len(after) <= budget:
                chosen.append(example)
        return chosen

    def _frame(
        self, task: Task, examples: Sequence[Example]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Render the prompt around a text, and tokenise both sides of it."""
        segments = render_segments(messages_for(task, "x", examples), self._render)
        place = max(n for n, segment in enumerate(segments) if not segment.is_trusted)
        before = [token for segment in segments[:place] for token in self._tokens(segment)]
        after = [token for segment in segments[place + 1 :] for token in self._tokens(segment)]
        return tuple(before), tuple(after)

    def _render(self, messages: list[dict[str, str]]) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _tokens(self, segment: Segment) -> list[int]:
        tokens = self._encoded([segment.text], is_trusted=segment.is_trusted)[0]
        if segment.is_trusted or self._control.isdisjoint(tokens):
            return tokens
        # Not every control token is marked special, and only those can be switched off: spell it.
        characters = sorted(set(segment.text))
        spelt = dict(zip(characters, self._encoded(characters, is_trusted=False), strict=True))
        return [token for character in segment.text for token in spelt[character]]

    def _encoded(self, texts: list[str], *, is_trusted: bool) -> list[list[int]]:
        with self._tokenizing:
            tokens: list[list[int]] = self._tokenizer(
                texts,
                add_special_tokens=False,
                split_special_tokens=not is_trusted,
                verbose=False,
            )["input_ids"]
        return tokens

    def _label_tree(self, name: str, task: Task) -> LabelTree | None:
        if task.kind is not Kind.CLASSIFY:
            return None
        labels = tuple(task.labels)
        tokens = [self._tokens(Segment(label, is_trusted=False)) for label in labels]
        try:
            return LabelTree.of(labels, tokens, self._tokenizer.eos_token_id)
        except ValueError as err:
            raise TaskError(name, str(err)) from err


def control_tokens(tokenizer: Any) -> frozenset[int]:
    """Tokens that steer a conversation: those marked special, and what the chat template writes."""
    template = str(tokenizer.chat_template)
    return frozenset(
        number
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special or token.content in template
    )


def spread(examples: Sequence[Example]) -> list[Example]:
    """Order examples so that each label, or verdict, comes once before any comes twice."""
    seen: Counter[str | None] = Counter()
    ranked = []
    for place, example in enumerate(examples):
        answer = example.label or example.verdict
        seen[answer] += 1
        ranked.append((seen[answer], place, example))
    return [example for _, _, example in sorted(ranked, key=lambda row: row[:2])]
