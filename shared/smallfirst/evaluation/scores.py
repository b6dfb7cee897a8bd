"""What every step of a cascade said of labelled rows: the ground of calibration and evaluation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from smallfirst.jobs import Tier
from smallfirst.kinds.spec import Part


@dataclass(frozen=True)
class Said:
    """What one step said of one row.

    Attributes:
        confidence: Of the answer, from 0 to 1, as the model gives it; 0 where there is none.
        is_right: Whether the answer is the row's own; False where there is none.
        said: The answer in one word, for counting confusions: a label or a verdict; else empty.
        distribution: Probability by label, of a `classify` task; else empty.
        seconds: Of a worker, this job's share.
        waited_seconds: From the backlog to the start of its pass.
        cost: In the catalogue's currency.
        parts: What of the answer is right or wrong for itself; see `kinds.spec.Scoring`.
        answer: The whole answer, as a row of a file would have it; None where there is none.
        foreign: How foreign the text is to the task's examples, where the step asks.
        problem: Why there is none where the model failed on this text; else empty.
    """

    confidence: float
    is_right: bool
    said: str = ""
    distribution: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    waited_seconds: float = 0.0
    cost: float = 0.0
    parts: frozenset[Part] = frozenset()
    answer: JsonValue = None
    foreign: float | None = None
    problem: str = ""

    def stands(self, threshold: float) -> bool:
        """Whether there is an answer, and one as sure as that.

        A rule's answer is certain where it stands by the rule's own `accept`, and else is none, so
        every threshold above 0 does for a rule.
        """
        return 0.0 < self.confidence >= threshold


@dataclass(frozen=True)
class StepAbout:
    """Which step it was.

    Attributes:
        index: Its place in the cascade, from 0.
        model: Its name in the catalogue; `rules` for a rule.
        revision: Which version of it answered; see `Attempt.revision`.
    """

    index: int
    tier: Tier
    model: str
    revision: str


@dataclass(frozen=True)
class ScoredRow:
    """One labelled row.

    Attributes:
        key: Hash of its text; rows of one text share it.
        right: The right answer in one word, where it is a label or a verdict; else empty.
        said: One for each step, in the cascade's order.
        cluster: The rows that share it are alike, as those of one template are; None where no
            other is like it.
        parts: What of the right answer counts for itself.
        answer: The whole right answer, as its file has it.
        line: Of its file, from 1.
        id: Its own, where it has one; else empty.
        num_chars: The length of its text; 0 where nobody counted.
    """

    key: str
    right: str
    said: tuple[Said, ...]
    cluster: int | None = None
    parts: frozenset[Part] = frozenset()
    answer: JsonValue = None
    line: int = 0
    id: str = ""
    num_chars: int = 0

    @property
    def is_foreign(self) -> bool:
        """Whether no label fits its text."""
        return self.answer is None and not self.right


def templates_of(rows: Iterable[ScoredRow]) -> frozenset[int]:
    """The clusters that hold different texts.

    A text that comes again is drawn again, and each draw tells as much as the first; different
    texts that are alike may all come of one template that was drawn once.
    """
    first: dict[int, str] = {}
    alike = [(row.cluster, row.key) for row in rows if row.cluster is not None]
    return frozenset(cluster for cluster, key in alike if first.setdefault(cluster, key) != key)


@dataclass(frozen=True)
class Scores:
    """All steps of a task on all rows."""

    task: str
    currency: str
    steps: tuple[StepAbout, ...]
    rows: tuple[ScoredRow, ...]
