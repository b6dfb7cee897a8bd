"""The engine of large models that pool: one pass makes a vector, and each task has a head on it.

Every text of a batch is read once, however many tasks ask about it; several batches may be in the
engine at once. It knows nothing of Redis, Celery or cascades.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smallfirst.answers import Answer
from smallfirst.catalogue import Model, Task
from smallfirst.catalogue.encoder_files import pooling_of
from smallfirst.catalogue.model_files import content_hash, model_folder
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.engines import NO_MODELS, EngineRequest, EngineResult, LoadContext
from smallfirst_workers.errors import ModelError, TaskError
from smallfirst_workers.heads.fitting import trained_head
from smallfirst_workers.heads.skills import Skill
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine
from smallfirst_workers.llm.vllm.pooling_encoder import PoolingEncoder, Tokens
from smallfirst_workers.llm.vllm.unpacking import served_folder
from smallfirst_workers.problems import EXPIRED, NOT_LOADED, NOTHING_TO_READ, TOO_LONG
from smallfirst_workers.shared_clock import SharedClock


@dataclass(frozen=True)
class _Reading:
    """A text of a batch, and the places in the batch of the questions about it."""

    tokens: Tokens
    places: tuple[int, ...]
    asked: tuple[EngineRequest, ...]


class PoolingEngine:
    """A large model that pools, loaded, and the tasks it was prepared for.

    `prepare` may run in one thread while batches run in others: the skills change in one move.
    """

    def __init__(
        self,
        name: str,
        revision: str,
        encoder: PoolingEncoder,
        *,
        features: str,
        cache: Path,
        clock: SharedClock | None = None,
    ) -> None:
        self.name = name
        self._revision = revision
        self._encoder = encoder
        self._features = features
        self._cache = cache
        self._skills: dict[str, Skill] = {}
        self._clock = clock or SharedClock()

    @classmethod
    def load(cls, name: str, model: Model, context: LoadContext) -> "PoolingEngine":
        """Start vLLM with a model; see `LoadEngine`."""
        cache = context.cache
        folder = served_folder(name, model_folder(model), cache)
        vllm = AsyncEngine(name)
        vllm.start(folder, model, cache=cache, has_metrics=context.has_metrics)
        try:
            encoder = PoolingEncoder.load(name, folder, vllm, cache=cache)
        except ModelError:
            vllm.stop()
            raise
        content = content_hash(folder)
        pooling = pooling_of(model, folder)
        decides = (content, "vllm", vllm.precision, model.quantization, pooling)
        revision = f"{model.revision or content[:12]}+{vllm.precision}"
        features, clock = " ".join(map(str, decides)), context.clock
        return cls(name, revision, encoder, features=features, cache=cache, clock=clock)

    def revision_of(
        self,
        task: str,
        options: StepOptions = NO_OPTIONS,  # noqa: ARG002 - see `Engine`
    ) -> str:
        """Which version of the model answers, and of the task's head where it has one."""
        skill = self._skills.get(task)
        return skill.revision(self._revision) if skill else self._revision

    def prepare(
        self,
        tasks: Mapping[str, Task],
        models: Mapping[str, Model] = NO_MODELS,  # noqa: ARG002 - see `LoadedEngine`
    ) -> None:
        """Make ready for exactly these tasks. Trains the heads that no process has trained yet.

        Raises:
            TaskError: When a task cannot be served; those prepared before go on being served.
            EngineDead: When the engine has died.
        """
        self._skills = {name: self._skill(name, task) for name, task in tasks.items()}

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Put all texts into the engine, and give their answers out as each is read.

        Raises:
            EngineDead: When the engine has died; what was given out stands.
        """
        readings = self._readings(asked)
        for portion in self._encoder.vllm.loop.in_turn(readings, self._answer):
            [number] = portion.places
            yield portion.at(*readings[number].places)

    def unload(self) -> None:
        """Stop the engine and its processes."""
        self._encoder.vllm.stop()

    def _skill(self, name: str, task: Task) -> Skill:
        if not KINDS[task.kind].can_be_pooled:
            reason = f"is of kind {task.kind}, but models.{self.name} pools: one vector a text"
            raise TaskError(name, reason)
        if KINDS[task.kind].head is HeadForm.VECTOR:
            return Skill(task.kind, None)
        self._check_lengths(name, task)
        head = trained_head(name, task, self._encoder, features=self._features, cache=self._cache)
        return Skill(task.kind, head, reads_message=task.reads == "message")

    def _check_lengths(self, name: str, task: Task) -> None:
        tokens = self._encoder.tokens([example.text for example in task.examples])
        for number, each in enumerate(tokens, start=1):
            if each.is_too_long:
                limit = self._encoder.reader.max_tokens
                reason = f"has an example, number {number}, of more than the model's {limit} tokens"
                raise TaskError(name, reason)

    def _readings(self, asked: Sequence[EngineRequest]) -> list[_Reading]:
        """Bring the questions about one text together."""
        places: dict[str, list[int]] = {}
        for place, one in enumerate(asked):
            skill = self._skills.get(one.task)
            text = skill.read_of(one.text) if skill else one.text
            places.setdefault(text, []).append(place)
        return [
            _Reading(tokens, tuple(own), tuple(asked[place] for place in own))
            for tokens, own in zip(self._encoder.tokens(list(places)), places.values(), strict=True)
        ]

    async def _answer(self, reading: _Reading) -> EngineResult:
        """Answer the questions about one text, and tell what it took of the engine."""
        if reading.tokens.is_too_long:
            return _unread(reading, TOO_LONG)
        if reading.tokens.is_empty:
            return _unread(reading, NOTHING_TO_READ)
        mark = self._clock.start(time.monotonic())
        started = time.monotonic()
        states = None
        try:
            async with asyncio.timeout(_longest_wait(reading.asked)):
                states = await self._encoder.states(reading.tokens)
        except TimeoutError:
            pass
        finally:
            took = self._clock.stop(mark, time.monotonic())
        waited = time.monotonic() - started
        answers = [self._judge(one, states, waited) for one in reading.asked]
        num_tokens = len(reading.tokens.ids)
        shares = _share(num_tokens, len(answers))
        return EngineResult(answers, shares, num_tokens, took.seconds, joules=took.joules)

    def _judge(
        self, asked: EngineRequest, states: TextStates | None, waited: float
    ) -> Answer | Problem:
        skill = self._skills.get(asked.task)
        if skill is None:
            return NOT_LOADED
        if states is None or (asked.seconds_left is not None and waited > asked.seconds_left):
            return EXPIRED
        return skill.answers([states])[0]


def _longest_wait(asked: Sequence[EngineRequest]) -> float | None:
    """For how many seconds somebody wants the text read; None for ever."""
    waits = [one.seconds_left for one in asked]
    return None if None in waits else max(wait for wait in waits if wait is not None)


def _unread(reading: _Reading, problem: Problem) -> EngineResult:
    num = len(reading.asked)
    return EngineResult([problem] * num, [0] * num, 0, 0.0)


def _share(num_tokens: int, num_questions: int) -> list[int]:
    """Share a text's tokens evenly among the questions about it; what is odd goes first."""
    return [(num_tokens + later) // num_questions for later in reversed(range(num_questions))]
