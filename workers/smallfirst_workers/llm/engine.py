"""The engine of the LLM tier: questions go into vLLM as they come, answers come out as they finish.

Several batches may be in it at once, from several threads; vLLM batches their requests step by
step. It knows nothing of Redis, Celery or cascades.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from smallfirst.catalogue import Kind, Model, Task
from smallfirst.jobs import Answer, LabelAnswer, Problem
from smallfirst.model_files import content_hash
from smallfirst_workers.engines import EXPIRED, Asked, Pass, Portion
from smallfirst_workers.errors import TaskError
from smallfirst_workers.llm.busy import BusyClock
from smallfirst_workers.llm.labels import LabelTree
from smallfirst_workers.llm.labels import Path as LabelPath
from smallfirst_workers.llm.prompting import Prompter, TaskPrompt
from smallfirst_workers.llm.prompts import answer_schema, answer_tokens
from smallfirst_workers.llm.vllm_loop import VllmLoop
from smallfirst_workers.llm.writings import Writing, read_writings

#: How freely the model writes when an answer that was none is asked for once more.
RETRY_TEMPERATURE = 0.7

_UNKNOWN_TASK = Problem(code="task_not_loaded", message="The model has not loaded this task.")
_TOO_LONG = Problem(
    code="too_long_for_model", message="The text is longer than the model's context."
)
_EXPIRED = Problem(code=EXPIRED, message="The deadline passed while the model was at it.")


class LlmEngine:
    """A large model, loaded, and the tasks it was prepared for."""

    def __init__(self, name: str, revision: str, prompter: Prompter, vllm: VllmLoop) -> None:
        self.name = name
        self._revision = revision
        self._prompter = prompter
        self._vllm = vllm
        self._prompts: dict[str, TaskPrompt] = {}
        self._busy = BusyClock()

    @classmethod
    def load(cls, name: str, model: Model, folder: Path, *, cache: Path) -> "LlmEngine":
        """Start vLLM with a model.

        Raises:
            ModelError: When it cannot be served.
        """
        vllm = VllmLoop(name)
        vllm.start(folder, model, cache=cache)
        prompter = Prompter.load(name, folder, max_tokens=vllm.max_tokens)
        revision = model.revision or content_hash(folder)[:12]
        return cls(name, revision, prompter, vllm)

    def revision_of(self, task: str) -> str:  # noqa: ARG002 - a prompt is no version of its own
        """Which version of the model answers."""
        return self._revision

    def prepare(self, tasks: Mapping[str, Task]) -> None:
        """Make ready for exactly these tasks.

        Raises:
            TaskError: When a task cannot be served; those prepared before go on being served.
        """
        self._prompts = {name: self._prompt(name, task) for name, task in tasks.items()}

    def answer(self, asked: Sequence[Asked]) -> Iterator[Portion]:
        """Put all questions into the engine, and give each answer out as it is there.

        Raises:
            EngineDead: When the engine has died; what was given out stands.
        """
        return self._vllm.loop.in_turn(asked, self._answer)

    def unload(self) -> None:
        """Stop the engine and its processes."""
        self._vllm.stop()

    def _prompt(self, name: str, task: Task) -> TaskPrompt:
        if task.kind is Kind.EMBED:
            raise TaskError(name, f"wants vectors, but models.{self.name} writes")
        return self._prompter.prepare(name, task)

    async def _answer(self, asked: Asked) -> Pass:
        """Answer one question, and tell what it took of the engine."""
        prompt = self._prompts.get(asked.task)
        if prompt is None:
            return Pass([_UNKNOWN_TASK], [0], 0, 0.0)
        text = self._prompter.text_tokens(asked.text)
        if len(text) > prompt.max_text_tokens:
            return Pass([_TOO_LONG], [0], 0, 0.0)
        tokens = prompt.around(text)
        mark = self._busy.start(time.monotonic())
        try:
            async with asyncio.timeout(asked.seconds_left):
                answer, written = await self._ask(prompt, tokens, asked.text)
        except TimeoutError:
            answer, written = _EXPIRED, 0
        finally:
            seconds = self._busy.stop(mark, time.monotonic())
        read = len(tokens) + written
        return Pass([answer], [read], read, seconds)

    async def _ask(
        self, prompt: TaskPrompt, tokens: Sequence[int], text: str
    ) -> tuple[Answer | Problem, int]:
        """Ask in the way of the task's kind; return the answer and how many tokens were written."""
        if prompt.labels is not None:
            return await self._score(prompt.labels, tokens), 0
        writings = await self._write(prompt.task, tokens)
        answer = read_writings(prompt.task, text, writings)
        if isinstance(answer, Problem):
            # Once more and no oftener: what fails twice is for the next step.
            writings += await self._write(prompt.task, tokens, temperature=RETRY_TEMPERATURE)
            answer = read_writings(prompt.task, text, writings[-1:])
        return answer, sum(len(writing.pieces) for writing in writings)

    async def _write(
        self, task: Task, tokens: Sequence[int], temperature: float = 0.0
    ) -> list[Writing]:
        return await self._vllm.write(
            tokens,
            max_tokens=answer_tokens(task),
            schema=answer_schema(task),
            temperature=temperature,
        )

    async def _score(self, labels: LabelTree, tokens: Sequence[int]) -> LabelAnswer:
        """Find every label's probability, beginning by beginning."""
        logprobs: dict[LabelPath, float] = {(): 0.0}
        while asking := labels.open_paths(logprobs):
            found = await asyncio.gather(
                *(self._vllm.next_logprobs([*tokens, *p], labels.branches[p]) for p in asking)
            )
            for path, nexts in zip(asking, found, strict=True):
                logprobs |= {(*path, token): logprobs[path] + lp for token, lp in nexts.items()}
        distribution = {
            label: round(probability, 6)
            for label, probability in labels.distribution(logprobs).items()
        }
        best = max(distribution, key=distribution.__getitem__)
        return LabelAnswer(label=best, confidence=distribution[best], distribution=distribution)
