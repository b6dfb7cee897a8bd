"""What an engine is: a model that answers questions, some at a time. Each tier has its own.

Only the shape stands here, so that running a batch does not depend on what runs it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from smallfirst.answers import Answer, Span
from smallfirst.catalogue import Model, Task
from smallfirst.jobs import Problem, Tier
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.shared_clock import SharedClock

#: Of a catalogue in which no step asks several models.
NO_MODELS: Final[Mapping[str, Model]] = MappingProxyType({})


@dataclass(frozen=True)
class EngineRequest:
    """One question to an engine.

    Attributes:
        text: What is asked about.
        task: Name of the task.
        options: How the step that asks wants the answer.
        explain: Whether the words that drove the answer are wanted.
        known: Spans that an earlier step was sure of: what they cover is not asked again.
        seconds_left: After which nobody wants the answer; None for never.
    """

    text: str
    task: str
    options: StepOptions = NO_OPTIONS
    explain: bool = False
    known: tuple[Span, ...] = ()
    seconds_left: float | None = None


@dataclass(frozen=True)
class EngineResult:
    """What an engine made of some questions of a batch, in their order.

    Attributes:
        answers: An answer each, or why there is none.
        tokens: Tokens read and written for each, without padding.
        padded_tokens: Positions computed for all of them together, padding included.
        seconds: Of the worker, from the texts to the answers.
        charges: What somebody else charges for each, in the catalogue's currency; empty for
            nothing.
        places: Where the questions stood in the batch.
        windows: Through how many windows each text was read; empty where each was read at once.
        written: Tokens written for each, of its tokens; empty where the engine only reads.
        joules: Of the worker meanwhile; None where nothing measures them.
    """

    answers: list[Answer | Problem]
    tokens: list[int]
    padded_tokens: int
    seconds: float
    charges: list[float] = field(default_factory=list)
    places: tuple[int, ...] = ()
    windows: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    joules: float | None = None

    def at(self, *places: int) -> "EngineResult":
        """The same, of questions that stood at these places of the batch."""
        return replace(self, places=places)

    def parts(self) -> "list[EngineResult]":
        """Each question's part: time and energy by its tokens, and its own charges."""
        counts = self.tokens if any(self.tokens) else [1] * len(self.tokens)
        charges = self.charges or [0.0] * len(counts)
        windows = self.windows or [1] * len(counts)
        written, whole = self.written or [0] * len(counts), sum(counts)
        return [
            EngineResult(
                [answer],
                [self.tokens[n]],
                self.tokens[n],
                self.seconds * counts[n] / whole,
                [charges[n]],
                windows=[windows[n]],
                written=[written[n]],
                joules=None if self.joules is None else self.joules * counts[n] / whole,
            )
            for n, answer in enumerate(self.answers)
        ]


class Engine(Protocol):
    """A model, ready to answer."""

    def revision_of(self, task: str, options: StepOptions = NO_OPTIONS) -> str:
        """Which version of the model, and of what it has learned of the task, answers a step."""

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer every question once, in portions as they are done."""


class LoadedEngine(Engine, Protocol):
    """An engine with its life: made ready for tasks, and let go of."""

    def prepare(self, tasks: Mapping[str, Task], models: Mapping[str, Model] = NO_MODELS) -> None:
        """Make ready for exactly these tasks; `models` are those of the catalogue."""

    def unload(self) -> None:
        """Let go of the model."""


@dataclass(frozen=True)
class LoadContext:
    """What a worker's process offers to whatever engine it loads.

    Attributes:
        cache: Folder of what is made once and shared by all processes.
        threads: How many compute one pass on the processor.
        has_metrics: Whether somebody reads the metrics of an engine that has its own.
        clock: By which all engines of the process share its seconds among their requests.
    """

    cache: Path
    threads: int = 1
    has_metrics: bool = False
    clock: SharedClock = field(default_factory=SharedClock)


class LoadEngine(Protocol):
    """What the registry of engines names for each of them."""

    def __call__(self, name: str, model: Model, context: LoadContext) -> LoadedEngine:
        """Load a model, which the catalogue calls by this name.

        Raises:
            ModelError: When it cannot be served.
            ModelFilesError: When its files are not there.
        """


@runtime_checkable
class WaitsForEndpoint(Protocol):
    """An engine that waits for something beyond this process."""

    def stop_waiting(self) -> None:
        """Give up the questions that wait; their batches raise."""


@dataclass(frozen=True)
class ServedModel:
    """A model as a batch sees it: the engine, and what the catalogue says of it.

    Attributes:
        engine: The model, loaded.
        tier: The model's tier.
        price_per_hour: The price of this worker.
        catalogue: The revision of the catalogue that this worker took up last, or refused.
    """

    engine: Engine
    tier: Tier
    price_per_hour: float
    catalogue: str = ""
