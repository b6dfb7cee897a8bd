"""Asking a large model one question: think, write or score, vote. All in tokens.

It knows the ways of the task's kind and of the step. What the tokens of a prompt are is
`prompter`'s business, what a completion says that of `parsing`, what several say that of `votes`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from smallfirst.answers import Answer, LabelAnswer, rounded_distribution
from smallfirst.jobs import Problem
from smallfirst.kinds.completions import Completion
from smallfirst.kinds.votes import mean_label
from smallfirst.step_options import StepOptions
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine
from smallfirst_workers.prompting.label_tree import LabelTree
from smallfirst_workers.prompting.label_tree import Path as LabelPath
from smallfirst_workers.prompting.parsing import read_writings
from smallfirst_workers.prompting.prompter import Prompter, TaskPrompt
from smallfirst_workers.prompting.prompts import THOUGHT_CLOSES, answer_schema, answer_tokens

#: How freely the model writes when it is to write something else than before: votes, thoughts that
#: vote, and an answer that was none and is asked for once more.
#: Source: 0.7 as in Wang et al., 2022 (see `votes`).
VARIED = 0.7


#: An answer or why there is none, and the tokens that the model wrote for it, with thoughts and
#: lost votes.
Generated = tuple[Answer | Problem, int]


@dataclass(frozen=True)
class GenerationRequest:
    """One question as the model will read it.

    Attributes:
        prompt: Of its task.
        options: How its step wants the answer.
        text: What it is about.
        tokens: The whole prompt, up to where the model has to answer.
    """

    prompt: TaskPrompt
    options: StepOptions
    text: str
    tokens: tuple[int, ...]


class Generator:
    """Puts questions to a running engine."""

    def __init__(self, prompter: Prompter, vllm: AsyncEngine) -> None:
        self._prompter = prompter
        self._vllm = vllm

    async def ask(self, question: GenerationRequest) -> Generated:
        """Ask in the way of the task's kind and of the step.

        Raises:
            EngineDead: When the engine has died.
        """
        options = question.options
        if options.think_tokens is None:
            begun = (*question.tokens, *self._prompter.no_thought)
            return await self._answer(question, [begun], options.vote)
        beginnings, num_thought = await self._think(question, options.think_tokens)
        answer, num_written = await self._answer(question, beginnings, 1)
        return answer, num_written + num_thought

    async def _think(
        self, question: GenerationRequest, max_tokens: int
    ) -> tuple[list[tuple[int, ...]], int]:
        """Let the model reason, as often as there are votes; return the prompts that go on."""
        opened = (*question.tokens, *self._prompter.thought_opens)
        thoughts = await self._vllm.write(
            opened,
            max_tokens=max_tokens,
            temperature=VARIED if question.options.vote > 1 else 0.0,
            num=question.options.vote,
            stop=THOUGHT_CLOSES.strip(),
            ends=self._prompter.ends,
            adapter=question.options.adapter,
        )
        # What it thought is tokenised as a stranger's words: it may have copied some.
        beginnings = [(*opened, *self._prompter.thought_tokens(each.text)) for each in thoughts]
        return beginnings, sum(len(each.pieces) for each in thoughts)

    async def _answer(
        self, question: GenerationRequest, beginnings: Sequence[tuple[int, ...]], num: int
    ) -> Generated:
        if question.prompt.labels is not None:
            scored = [self._score(question, question.prompt.labels, b) for b in beginnings]
            return mean_label(await asyncio.gather(*scored)), 0
        return await self._written(question, beginnings, num)

    async def _written(
        self, question: GenerationRequest, beginnings: Sequence[tuple[int, ...]], num: int
    ) -> Generated:
        """Read what the model wrote; once more and no oftener where that is no answer."""
        temperature = VARIED if num > 1 else 0.0
        written = await asyncio.gather(
            *(self._write(question, begun, temperature, num) for begun in beginnings)
        )
        writings = [writing for some in written for writing in some]
        answer = self._read(question, writings)
        if isinstance(answer, Problem):
            writings += await self._write(question, beginnings[0], VARIED, 1)
            answer = self._read(question, writings[-1:])
        return answer, sum(len(writing.pieces) for writing in writings)

    def _read(
        self, question: GenerationRequest, writings: Sequence[Completion]
    ) -> Answer | Problem:
        said = [self._prompter.said(writing) for writing in writings]
        return read_writings(question.prompt.task, question.text, said)

    async def _write(
        self, question: GenerationRequest, tokens: Sequence[int], temperature: float, num: int
    ) -> list[Completion]:
        return await self._vllm.write(
            tokens,
            max_tokens=answer_tokens(question.prompt.task),
            schema=answer_schema(question.prompt.task),
            temperature=temperature,
            num=num,
            ends=self._prompter.ends,
            adapter=question.options.adapter,
        )

    async def _score(
        self, question: GenerationRequest, labels: LabelTree, tokens: Sequence[int]
    ) -> LabelAnswer:
        """Find every label's probability, beginning by beginning."""
        logprobs: dict[LabelPath, float] = {(): 0.0}
        adapter = question.options.adapter
        while asking := labels.open_paths(logprobs):
            found = await asyncio.gather(
                *(
                    self._vllm.next_logprobs([*tokens, *p], labels.branches[p], adapter=adapter)
                    for p in asking
                )
            )
            for path, nexts in zip(asking, found, strict=True):
                logprobs |= labels.extended(path, nexts, logprob=logprobs[path])
        exact = labels.distribution(logprobs)
        if not exact:
            return LabelAnswer(label=labels.labels[0], confidence=0.0)
        distribution = rounded_distribution(exact)
        best = max(distribution, key=distribution.__getitem__)
        return LabelAnswer(label=best, confidence=distribution[best], distribution=distribution)
