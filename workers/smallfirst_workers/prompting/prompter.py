"""A task's prompt as tokens: what its jobs share is tokenised once, a text alone each time.

A text is tokenised with control tokens off, so that nothing in it can end its turn or begin
another, whatever it spells.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

from smallfirst.catalogue import Example, Task
from smallfirst.kinds import KINDS
from smallfirst.kinds.completions import Completion
from smallfirst.kinds.fences import escape
from smallfirst.kinds.thoughts import answer_place
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.errors import ModelError, TaskError
from smallfirst_workers.prompting.chat_template import REFUSALS, ChatTemplate
from smallfirst_workers.prompting.end_tokens import declared_ends
from smallfirst_workers.prompting.example_selection import Embed, ExampleSelector, bundled_encoder
from smallfirst_workers.prompting.label_tree import LabelTree
from smallfirst_workers.prompting.prompts import (
    THOUGHT_CLOSES,
    THOUGHT_OPENS,
    Segment,
    answer_text,
    answer_tokens,
    as_chat,
    messages_for,
    shared_messages,
)

#: The most of the context, less the answer, that a prompt with examples may take before its text.
EXAMPLES_SHARE = 0.5
#: What is to be done about a task that fills the context by itself.
ROOM_REMEDY = (
    "shorten its labels, instructions, thoughts or `max_answer_tokens`, or name a model with a"
    " longer context"
)
#: What is to be done about a template that refuses a task.
TEMPLATE_REMEDY = (
    "give the model's folder a `chat_template.jinja` that writes the words of system or user turns"
)


@dataclass(frozen=True)
class Frame:
    """What stands around a text, as tokens.

    Attributes:
        before: Instructions and examples.
        after: What asks below the text, and opens the answer.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.before) + len(self.after)

    def around(self, text: Sequence[int]) -> tuple[int, ...]:
        """The whole prompt of one job."""
        return (*self.before, *text, *self.after)


@dataclass(frozen=True)
class Frames:
    """What stands around the texts of a task.

    Attributes:
        bare: Instructions alone.
        shared: Instructions with the examples that all jobs are shown, so the engine caches them.
    """

    bare: Frame
    shared: Frame


@dataclass(frozen=True)
class TaskPrompt:
    """A task, ready to be asked.

    Attributes:
        direct: Where the model is to answer at once.
        thinking: Where it is to think first: the same, unless its template makes a difference.
        labels: Of a `classify` task.
        nearest: Chooses examples by the text; None where all jobs are shown the same.
        key: Hash of everything that the model is told before a text.
    """

    task: Task
    direct: Frames
    thinking: Frames
    labels: LabelTree | None
    nearest: ExampleSelector | None
    key: str

    def frames(self, options: StepOptions) -> Frames:
        """What stands around a text that is asked about in this way."""
        return self.direct if options.think_tokens is None else self.thinking


class Prompter:
    """A model's tokenizer and chat template.

    Attributes:
        ends: The tokens by any of which the model ends an answer.
        thought_opens: What opens a thought, after a prompt that is to be thought about.
        no_thought: What an answer begins with, after a prompt that is to be answered at once: what
            skips a thought, mostly.
    """

    def __init__(
        self,
        model: str,
        tokenizer: Any,
        *,
        max_tokens: int,
        embed: Callable[[], Embed | None],
        ends: Sequence[int] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._embed = cache(embed)
        # How control tokens are treated is a state of the tokenizer, and reloads have threads.
        self._tokenizing = Lock()
        if tokenizer.chat_template is None:
            raise ModelError(model, "has no chat template, so it cannot be asked")
        self._template = ChatTemplate(tokenizer)
        self._control = control_tokens(tokenizer, self._template.text)
        self.ends = self._ends(ends)
        if not self.ends:
            raise ModelError(model, "has no end token, so its labels cannot be told apart")
        self._control |= set(self.ends)
        spelt = tokenizer.convert_ids_to_tokens(sorted(self._control))
        self._control_texts = re.compile("|".join(map(re.escape, spelt)))
        closes = tuple(self._tokens(Segment(THOUGHT_CLOSES, is_trusted=True)))
        opens = tuple(self._tokens(Segment(THOUGHT_OPENS, is_trusted=True)))
        self.thought_opens = () if self._template.opens_thought(thinks=True) else opens
        self.no_thought = self._no_thought(closes)
        self._thought_closes = closes

    @classmethod
    def load(cls, model: str, folder: Path, *, max_tokens: int, cache: Path) -> "Prompter":
        """Read the tokenizer of a model's folder.

        Args:
            model: Its name, for errors.
            folder: Its files.
            max_tokens: The longest context, prompt and answer together.
            cache: Folder of what is made once and shared by all processes.

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
        embed = partial(bundled_encoder, cache)
        ends = declared_ends(folder)
        return cls(model, tokenizer, max_tokens=max_tokens, embed=embed, ends=ends)

    def text_tokens(self, text: str) -> list[int]:
        """Tokenise a stranger's text, as data."""
        return self._tokens(Segment(escape(text), is_trusted=False))

    def thought_tokens(self, thought: str) -> list[int]:
        """Tokenise what the model thought, as data, and close it."""
        return [*self._tokens(Segment(thought, is_trusted=False)), *self._thought_closes]

    def said(self, writing: Completion) -> Completion:
        """Take what was said of what was written: no thought, and no control token.

        The thought goes first: its marks may be control tokens.
        """
        said = writing.part(*answer_place(writing.text, is_json=False))
        return replace(said, text=self._control_texts.sub("", said.text))

    def prepare(self, name: str, task: Task) -> TaskPrompt:
        """Tokenise what all jobs of a task share.

        Raises:
            TaskError: When the prompt leaves no room for a text, two labels look alike, or the
                chat template refuses it.
        """
        try:
            shots = self._fitting(task)
            direct = self._frames(task, shots, thinks=False)
            has_switch = bool(self._template.switches)
            thinking = self._frames(task, shots, thinks=True) if has_switch else direct
        except REFUSALS as err:
            reason = f"does not fit the model's chat template: {err}; {TEMPLATE_REMEDY}"
            raise TaskError(name, reason) from err
        longest = max(len(direct.bare), len(thinking.bare))
        if self._room(task, _longest_thought(task)) - longest < 1:
            reason = (
                f"leaves no room for a text in {self._max_tokens} tokens: {longest} are its words"
            )
            raise TaskError(name, f"{reason}; {ROOM_REMEDY}")
        labels, nearest = self._label_tree(name, task), self._nearest(task)
        return TaskPrompt(task, direct, thinking, labels, nearest, prompt_key(task))

    def max_text_tokens(self, prompt: TaskPrompt, options: StepOptions = NO_OPTIONS) -> int:
        """The longest text that leaves room for a step's thought and an answer."""
        return self._room(prompt.task, options.think_tokens) - len(prompt.frames(options).bare)

    def around(
        self,
        prompt: TaskPrompt,
        text: Sequence[int],
        shots: Sequence[Example] = (),
        options: StepOptions = NO_OPTIONS,
    ) -> tuple[int, ...]:
        """Write the whole prompt of one job, with as many examples as there is room for.

        Args:
            prompt: Of the task.
            text: Tokens of the text, at most `max_text_tokens`.
            shots: Examples chosen for this text, the best last; else all jobs see the same.
            options: How the step that asks wants the answer.
        """
        task, room = prompt.task, self._room(prompt.task, options.think_tokens) - len(text)
        for dropped in range(len(shots)):
            frame = self._frame(task, shots[dropped:], thinks=options.think_tokens is not None)
            if len(frame) <= min(room, self._budget(task)):
                return frame.around(text)
        frames = prompt.frames(options)
        is_shared = not shots and len(frames.shared) <= room
        return (frames.shared if is_shared else frames.bare).around(text)

    def _room(self, task: Task, think_tokens: int | None) -> int:
        """Tokens of the context that are left by the longest answer, after such a thought."""
        around = len(self.thought_opens) + len(self._thought_closes)
        taken = think_tokens + around if think_tokens else len(self.no_thought)
        return self._max_tokens - answer_tokens(task) - taken

    def _budget(self, task: Task) -> int:
        """Tokens for instructions and examples: the same for every step, so that they share it."""
        return int(self._room(task, _longest_thought(task)) * EXAMPLES_SHARE)

    def _nearest(self, task: Task) -> ExampleSelector | None:
        usable = [each for each in task.examples if answer_text(task, each) is not None]
        if not 0 < task.shots < len(usable):
            return None
        embed = self._embed()
        return ExampleSelector(usable, embed) if embed else None

    def _fitting(self, task: Task) -> list[Example]:
        """As many of the task's examples as are worth their tokens, spread over the labels."""
        chosen: list[Example] = []
        for example in spread(task):
            if len(chosen) == task.shots:
                break
            if len(self._frame(task, [*chosen, example], thinks=False)) <= self._budget(task):
                chosen.append(example)
        return chosen

    def _frames(self, task: Task, shots: Sequence[Example], *, thinks: bool) -> Frames:
        bare, shared = (self._frame(task, shown, thinks=thinks) for shown in ((), shots))
        return Frames(bare, shared)

    def _frame(self, task: Task, examples: Sequence[Example], *, thinks: bool) -> Frame:
        """Render the prompt around a text, and tokenise both sides of it."""
        segments = self._template.segments(messages_for(task, "x", examples), thinks=thinks)
        place = max(n for n, segment in enumerate(segments) if not segment.is_trusted)
        before = [token for segment in segments[:place] for token in self._tokens(segment)]
        after = [token for segment in segments[place + 1 :] for token in self._tokens(segment)]
        return Frame(tuple(before), tuple(after))

    def _no_thought(self, closes: tuple[int, ...]) -> tuple[int, ...]:
        """Tell what the template writes before an answer where it opens a turn: an empty thought.

        Where it does not show that, a thought that it opened is closed.
        """
        shown = self._template.before_answer()
        if shown.strip():
            return tuple(self._tokens(Segment(shown, is_trusted=True)))
        return closes if self._template.opens_thought(thinks=False) else ()

    def _ends(self, declared: Sequence[int]) -> tuple[int, ...]:
        """Tell what ends an answer: what ends a turn as the template writes it, then the others."""
        behind = self._tokens(Segment(self._template.after_answer().lstrip(), is_trusted=True))
        of_a_turn = [token for token in behind[:1] if token in self._control]
        known = range(len(self._tokenizer))
        told = [*of_a_turn, *declared, self._tokenizer.eos_token_id]
        return tuple(dict.fromkeys(token for token in told if token in known))

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
        if not KINDS[task.kind].is_one_label:
            return None
        labels = tuple(task.labels)
        tokens = [self._tokens(Segment(label, is_trusted=False)) for label in labels]
        try:
            return LabelTree.of(labels, tokens, self.ends)
        except ValueError as err:
            raise TaskError(name, str(err)) from err


def _longest_thought(task: Task) -> int:
    return max(step.options.think_tokens or 0 for step in task.cascade)


def prompt_key(task: Task) -> str:
    """Hash what the model is told before a text: another prompt is another version of the task."""
    told = shared_messages(task, task.examples)
    whole = json.dumps([task.shots, as_chat(told)], ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def control_tokens(tokenizer: Any, template: str) -> frozenset[int]:
    """Tokens that steer a conversation: those marked special, and what the chat template writes."""
    return frozenset(
        number
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special or token.content in template
    )


def spread(task: Task) -> list[Example]:
    """Order a task's examples so that each label, or verdict, comes once before any comes twice."""
    spec = KINDS[task.kind]
    seen: Counter[str] = Counter()
    ranked = []
    for place, example in enumerate(task.examples):
        answer = spec.in_a_word(spec.gold_of(example))
        seen[answer] += 1
        ranked.append((seen[answer], place, example))
    return [example for _, _, example in sorted(ranked, key=lambda row: row[:2])]
