"""A model's chat template: what it knows of system turns and of thinking, and what it writes.

Templates differ in what they take. One without a system turn raises, or leaves its words out: then
the instructions stand at the head of the first user turn. One that has a switch for thinking is
told whether the model is to think, since it is on unless somebody says otherwise.
"""

from collections.abc import Sequence
from typing import Any, Final

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser

from smallfirst_workers.prompting.prompts import (
    THOUGHT_OPENS,
    Message,
    Segment,
    fold_instructions,
    render_segments,
)

#: What a template raises that does not take a conversation.
REFUSALS: Final = (TemplateError, ValueError, TypeError)
#: The variables by which templates are told whether to think. Source: the templates of Qwen3,
#: GLM-4.5, SmolLM3 and Gemma 4 know the first, those of Granite 3.2 and DeepSeek-V3.1 the second.
SWITCHES: Final = ("enable_thinking", "thinking")
#: A word that no template writes by itself.
_PROBE: Final = "QZPROBEQZ"
_ASKED: Final = [{"role": "user", "content": "x"}]
_ANSWERED: Final = {"role": "assistant", "content": _PROBE}


class ChatTemplate:
    """The chat template of a tokenizer.

    Attributes:
        switches: The variables by which it is told whether the model is to think.
        takes_instructions: Whether it has a system turn.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.text: str = tokenizer.get_chat_template()
        self.switches = _switches(self.text)
        self.takes_instructions = self._takes_instructions()

    def segments(self, messages: Sequence[Message], *, thinks: bool) -> tuple[Segment, ...]:
        """Write a conversation up to where the model has to answer, what is trusted kept apart.

        Args:
            messages: The instructions first, then the user's turn.
            thinks: Whether the model is to think before it answers.

        Raises:
            TemplateError, ValueError, TypeError: When the template takes it in neither way, or
                leaves something out.
        """
        told = messages if self.takes_instructions else fold_instructions(messages)
        return render_segments(told, lambda chat: self._render(chat, thinks=thinks))

    def opens_thought(self, *, thinks: bool) -> bool:
        """Whether it opens a thought by itself where the model has to answer."""
        try:
            rendered = self._render(_ASKED, thinks=thinks)
        except REFUSALS:
            return False  # one that cannot do without instructions; a task gives it some
        return rendered.rstrip().endswith(THOUGHT_OPENS.strip())

    def before_answer(self) -> str:
        """Tell what it writes between the opening of a turn that does not think and the answer."""
        try:
            opened = self._render(_ASKED)
        except REFUSALS:
            return ""
        before, _ = self._around_answer()
        return before[len(opened) :] if before.startswith(opened) else ""

    def after_answer(self) -> str:
        """Tell what it writes behind an answer: the end of the turn first, where it has one."""
        return self._around_answer()[1]

    def _around_answer(self) -> tuple[str, str]:
        """Tell what stands before an answer and behind it; nothing where it writes none."""
        try:
            rendered = self._render([*_ASKED, _ANSWERED], is_answered=True)
        except REFUSALS:
            return "", ""
        before, found, after = rendered.rpartition(_PROBE)
        return (before, after) if found else ("", "")

    def _takes_instructions(self) -> bool:
        chat = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "x"}]
        try:
            return _PROBE in self._render(chat)
        except REFUSALS:
            return False

    def _render(
        self, chat: list[dict[str, str]], *, thinks: bool = False, is_answered: bool = False
    ) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            chat,
            tokenize=False,
            add_generation_prompt=not is_answered,
            **dict.fromkeys(self.switches, thinks),
        )
        return rendered


class _Generation(Extension):
    """The tag by which templates mark what a model wrote, for training: here it marks nothing."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Take what stands between the tags as if it stood alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _switches(template: str) -> tuple[str, ...]:
    """Find the switches for thinking that a template reads, and does not only set or mention."""
    # It is read here, and written nowhere: `apply_chat_template` has an environment of its own.
    reading = Environment(extensions=["jinja2.ext.loopcontrols", _Generation])  # noqa: S701
    try:
        told = find_undeclared_variables(reading.parse(template))
    except TemplateError:
        return ()
    return tuple(switch for switch in SWITCHES if switch in told)
