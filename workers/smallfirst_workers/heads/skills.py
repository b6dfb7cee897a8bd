"""A task as a model with heads serves it, small or large."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, Span
from smallfirst.catalogue import Kind
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.messages import own_words
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.heads.answers import embed, label, tag
from smallfirst_workers.heads.heads import Head
from smallfirst_workers.heads.nearest import NearestExample
from smallfirst_workers.heads.taught import TaughtRows

#: Where no earlier step has found a span.
NO_SPANS: Final[Mapping[int, Sequence[Span]]] = MappingProxyType({})


@dataclass(frozen=True)
class Skill:
    """A task as a model serves it. Without a head the text's vector is the answer.

    Attributes:
        kind: Of the task.
        head: Its judgement.
        reads_message: Whether a mail's own words are read alone; see `own_words`.
        nearest: The task's examples, where it is asked how foreign a text is to them. They are
            those that the head was trained from, so the head's key tells of them, too.
        taught: The rows that made the head, where they are kept beside it.
    """

    kind: Kind
    head: Head | None
    reads_message: bool = False
    nearest: NearestExample | None = None
    taught: TaughtRows | None = None

    @property
    def reads_words(self) -> bool:
        """Whether words are judged rather than the whole text."""
        return KINDS[self.kind].head is HeadForm.WORDS

    def read_of(self, text: str) -> str:
        """What is read of a text; its places are the text's."""
        return own_words(text) if self.reads_message else text

    def revision(self, of_model: str) -> str:
        """Which version answers: the model's, and the head's where there is one."""
        return f"{of_model}+{self.head.key[:12]}" if self.head else of_model

    def answers(
        self,
        states: Sequence[TextStates],
        *,
        explained: Collection[int] = (),
        known: Mapping[int, Sequence[Span]] = NO_SPANS,
    ) -> Sequence[Answer]:
        """Answer from what the model made of texts, in their order; see `label` and `tag`.

        Args:
            states: Of at least one text.
            explained: The numbers of those that are answered with the words that drove the answer.
            known: Spans of an earlier step, by the number of the text.
        """
        form = KINDS[self.kind].head
        if self.head is None or form is None:
            return [embed(each) for each in states]
        if form is HeadForm.WORDS:
            return [tag(self.head, each, known.get(n, ())) for n, each in enumerate(states)]
        answers = label(form, self.head, states, explained)
        return [self._with_foreignness(*pair) for pair in zip(answers, states, strict=True)]

    def with_alike(self, answer: Answer, states: TextStates) -> Answer:
        """The same answer, whose explanation names the rows that the text is like."""
        if self.taught is None or not isinstance(answer, LabelAnswer | LabelsAnswer):
            return answer
        if answer.explanation is None:
            return answer
        alike = self.taught.most_alike(states)
        told = answer.explanation.model_copy(update={"alike": alike})
        return answer.model_copy(update={"explanation": told})

    def _with_foreignness(
        self, answer: LabelAnswer | LabelsAnswer, states: TextStates
    ) -> LabelAnswer | LabelsAnswer:
        if self.nearest is None or not isinstance(answer, LabelAnswer):
            return answer
        return answer.model_copy(update={"foreign": self.nearest.foreignness(states)})
