"""What an engine is: a model that answers questions in one pass. Each tier has its own.

Only the shape stands here, so that running a batch does not depend on what runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smallfirst.jobs import Answer, Problem, Span, Tier


@dataclass(frozen=True)
class Asked:
    """One question to an engine.

    Attributes:
        text: What is asked about.
        task: Name of the task.
        explain: Whether the words that drove the answer are wanted.
        known: Spans that an earlier step was sure of: what they cover is not asked again.
    """

    text: str
    task: str
    explain: bool = False
    known: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Pass:
    """What an engine made of its questions, in their order.

    Attributes:
        answers: An answer each, or why there is none.
        tokens: Tokens read for each, without padding.
        padded_tokens: Positions computed for all of them together, padding included.
        seconds: From the texts to the answers.
    """

    answers: list[Answer | Problem]
    tokens: list[int]
    padded_tokens: int
    seconds: float


class Engine(Protocol):
    """A model, ready to answer."""

    def revision_of(self, task: str) -> str:
        """Which version of the model, and of the task's head, answers."""

    def run(self, asked: Sequence[Asked]) -> Pass:
        """Answer all questions in one pass."""


@dataclass(frozen=True)
class Served:
    """A model as a batch sees it: the engine, and what the catalogue says of it."""

    engine: Engine
    tier: Tier
    price_per_hour: float
