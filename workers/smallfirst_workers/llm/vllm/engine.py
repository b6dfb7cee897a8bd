"""The engine of the LLM tier: questions go into vLLM as they come, answers come out as they finish.

Several batches may be in it at once, from several threads; vLLM batches their requests step by
step. It knows nothing of Redis, Celery or cascades.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from smallfirst.catalogue import Example, Model, Task
from smallfirst.catalogue.model_files import content_hash, model_folder
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.engines import NO_MODELS, EngineRequest, EngineResult, LoadContext
from smallfirst_workers.errors import TaskError
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine
from smallfirst_workers.llm.vllm.generating import GenerationRequest, Generator
from smallfirst_workers.llm.vllm.unpacking import served_folder
from smallfirst_workers.problems import EXPIRED, NOT_LOADED, REFUSED, TOO_LONG
from smallfirst_workers.prompting.prompter import Prompter, TaskPrompt, prompt_key
from smallfirst_workers.shared_clock import SharedClock

log = structlog.get_logger()


@dataclass(frozen=True)
class RefusedTask:
    """A task that does not fit the model.

    Attributes:
        key: Hash of everything that the model would be told before a text.
        problem: Why it does not fit.
    """

    key: str
    problem: Problem


class LlmEngine:
    """A large model, loaded, and the tasks it was prepared for."""

    def __init__(
        self,
        name: str,
        revision: str,
        prompter: Prompter,
        vllm: AsyncEngine,
        *,
        clock: SharedClock | None = None,
    ) -> None:
        self.name = name
        self._revision = revision
        self._prompter = prompter
        self._vllm = vllm
        self._asker = Generator(prompter, vllm)
        self._prompts: dict[str, TaskPrompt] = {}
        self._refused: dict[str, RefusedTask] = {}
        self._clock = clock or SharedClock()

    @classmethod
    def load(cls, name: str, model: Model, context: LoadContext) -> "LlmEngine":
        """Start vLLM with a model; see `LoadEngine`."""
        cache = context.cache
        folder = served_folder(name, model_folder(model), cache)
        vllm = AsyncEngine(name)
        vllm.start(folder, model, cache=cache, has_metrics=context.has_metrics)
        try:
            prompter = Prompter.load(name, folder, max_tokens=vllm.max_tokens, cache=cache)
        except BaseException:
            vllm.stop()
            raise
        revision = f"{revision_of(model, folder)}+{vllm.precision}"
        return cls(name, revision, prompter, vllm, clock=context.clock)

    def revision_of(
        self,
        task: str,
        options: StepOptions = NO_OPTIONS,  # noqa: ARG002 - see `Engine`
    ) -> str:
        """Which version of the model answers, and of what it is told of the task."""
        known = self._prompts.get(task) or self._refused.get(task)
        return f"{self._revision}+{known.key}" if known else self._revision

    def prepare(
        self,
        tasks: Mapping[str, Task],
        models: Mapping[str, Model] = NO_MODELS,  # noqa: ARG002 - see `LoadedEngine`
    ) -> None:
        """Make ready for exactly these tasks.

        One that does not fit the model is refused alone: its jobs are told why, and all others are
        served.

        Raises:
            TaskError: When none fits, or one no longer does that is served; those prepared before
                go on being served.
        """
        prompts: dict[str, TaskPrompt] = {}
        refused: dict[str, TaskError] = {}
        for name, task in tasks.items():
            try:
                prompts[name] = self._prompt(name, task)
            except TaskError as err:
                refused[name] = err
        for name, error in refused.items():
            if not prompts or name in self._prompts:
                raise error
        self._prompts = prompts
        self._refused = {name: self._refuse(tasks[name], err) for name, err in refused.items()}

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Put all questions into the engine, and give each answer out as it is there.

        Raises:
            EngineDead: When the engine has died; what was given out stands.
        """
        return self._vllm.loop.in_turn(self._questions(asked), self._answer)

    def unload(self) -> None:
        """Stop the engine and its processes."""
        self._vllm.stop()

    def _refuse(self, task: Task, error: TaskError) -> "RefusedTask":
        log.error(
            "task.refused",
            model=self.name,
            task=error.task,
            problem=str(error),
            consequence="its jobs fail at this model; the model's other tasks are served",
        )
        return RefusedTask(prompt_key(task), Problem(code=REFUSED, message=str(error)))

    def _prompt(self, name: str, task: Task) -> TaskPrompt:
        if not KINDS[task.kind].can_be_written:
            raise TaskError(name, f"wants vectors, but models.{self.name} writes")
        return self._prompter.prepare(name, task)

    def _questions(
        self, asked: Sequence[EngineRequest]
    ) -> list[tuple[EngineRequest, GenerationRequest | Problem]]:
        """Write each question's prompt, or say why it cannot be asked."""
        shots = self._shots(asked)
        return [(one, self._question(one, shots.get(one, ()))) for one in asked]

    def _shots(self, asked: Sequence[EngineRequest]) -> dict[EngineRequest, tuple[Example, ...]]:
        """Choose examples by nearness, the texts of a task in one pass of the encoder."""
        chosen: dict[EngineRequest, tuple[Example, ...]] = {}
        for name in {one.task for one in asked}:
            prompt = self._prompts.get(name)
            if prompt is not None and prompt.nearest is not None:
                ours = [one for one in asked if one.task == name]
                near = prompt.nearest.to([one.text for one in ours], prompt.task.shots)
                chosen |= dict(zip(ours, near, strict=True))
        return chosen

    def _question(
        self, asked: EngineRequest, shots: Sequence[Example]
    ) -> GenerationRequest | Problem:
        if asked.task in self._refused:
            return self._refused[asked.task].problem
        prompt = self._prompts.get(asked.task)
        if prompt is None or not self._vllm.has_adapter(asked.options.adapter):
            return NOT_LOADED
        text = self._prompter.text_tokens(asked.text)
        if len(text) > self._prompter.max_text_tokens(prompt, asked.options):
            return TOO_LONG
        tokens = self._prompter.around(prompt, text, shots, asked.options)
        return GenerationRequest(prompt, asked.options, asked.text, tokens)

    async def _answer(self, put: tuple[EngineRequest, GenerationRequest | Problem]) -> EngineResult:
        """Answer one question, and tell what it took of the engine."""
        asked, question = put
        if isinstance(question, Problem):
            return EngineResult([question], [0], 0, 0.0)
        mark = self._clock.start(time.monotonic())
        try:
            async with asyncio.timeout(asked.seconds_left):
                answer, num_written = await self._asker.ask(question)
        except TimeoutError:
            answer, num_written = EXPIRED, 0
        finally:
            took = self._clock.stop(mark, time.monotonic())
        read = len(question.tokens) + num_written
        return EngineResult(
            [answer], [read], read, took.seconds, written=[num_written], joules=took.joules
        )


def revision_of(model: Model, folder: Path) -> str:
    """Which version of a model it is: the commit or the hash of its files, and its adapters'."""
    adapters = [content_hash(Path(model.adapters[name]))[:6] for name in sorted(model.adapters)]
    return "+".join([model.revision or content_hash(folder)[:12], *adapters])
