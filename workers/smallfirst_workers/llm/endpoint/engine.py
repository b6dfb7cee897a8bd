"""The engine of models that run elsewhere: each question is a request to an endpoint.

It has the shape of the LLM tier's other engine, and needs neither vLLM nor torch. The texts of jobs
go to the endpoint that the catalogue names for the model, and nowhere else.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from smallfirst.answers import Answer
from smallfirst.catalogue import Model, Task
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.engines import NO_MODELS, EngineRequest, EngineResult, LoadContext
from smallfirst_workers.errors import EndpointDown, TaskError
from smallfirst_workers.llm.endpoint.completions import UNREADABLE, read_completion
from smallfirst_workers.llm.endpoint.endpoint import Endpoint
from smallfirst_workers.llm.endpoint.failures import Fault, RequestFailure
from smallfirst_workers.llm.endpoint.replies import Choice, Reply, Usage
from smallfirst_workers.llm.endpoint.requests import RequestTemplate, request_of, template_of
from smallfirst_workers.llm.event_loop import EventLoop
from smallfirst_workers.problems import EXPIRED, INVALID, NOT_LOADED
from smallfirst_workers.prompting.prompter import prompt_key
from smallfirst_workers.shared_clock import Share, SharedClock


@dataclass
class Bill:
    """What one question has taken so far: the worker's seconds, tokens read and written."""

    seconds: float = 0.0
    read: int = 0
    written: int = 0
    joules: float | None = None

    def take(self, share: Share) -> None:
        """Add what one request took of the worker."""
        self.seconds += share.seconds
        if share.joules is not None:
            self.joules = (self.joules or 0.0) + share.joules

    def add(self, usage: Usage) -> None:
        """Add what an endpoint says it used; one that does not say is taken to charge nothing."""
        self.read += usage.read
        self.written += usage.written


@dataclass(frozen=True)
class EndpointRequest:
    """What one request asks."""

    template: RequestTemplate
    options: StepOptions
    text: str


class EndpointEngine:
    """A model that runs elsewhere, and the tasks it is asked for."""

    def __init__(
        self, name: str, model: Model, endpoint: Endpoint, clock: SharedClock | None = None
    ) -> None:
        self.name = name
        self._model = model
        self._endpoint = endpoint
        self._loop = _loop()
        self._templates: dict[str, RequestTemplate] = {}
        self._clock = clock or SharedClock()
        self._asking: set[asyncio.Task[Answer | Problem]] = set()
        self._is_closed = False

    @classmethod
    def load(cls, name: str, model: Model, context: LoadContext) -> "EndpointEngine":
        """Make ready to ask; see `LoadEngine`. The endpoint need not be up.

        Raises:
            ModelError: When its key is missing.
        """
        return cls(name, model, Endpoint.open(name, model), context.clock)

    def revision_of(
        self,
        task: str,
        options: StepOptions = NO_OPTIONS,  # noqa: ARG002 - see `Engine`
    ) -> str:
        """What the model is called at its endpoint, and which version of the prompt it is given."""
        template = self._templates.get(task)
        return (
            f"{self._model.source}+{prompt_key(template.task)}" if template else self._model.source
        )

    def prepare(
        self,
        tasks: Mapping[str, Task],
        models: Mapping[str, Model] = NO_MODELS,  # noqa: ARG002 - see `LoadedEngine`
    ) -> None:
        """Make ready for exactly these tasks.

        Raises:
            TaskError: When a task cannot be served; those prepared before go on being served.
        """
        self._templates = {name: self._form(name, task) for name, task in tasks.items()}

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Send all questions, and give each answer out as it is there.

        Raises:
            EndpointDown: When the endpoint does not answer and the worker has to go; what was given
                out stands.
        """
        return self._loop.in_turn(asked, self._answer)

    def stop_waiting(self) -> None:
        """Give up questions that wait for an endpoint which is down: the worker has to go."""
        self._loop.post(self._stop_waiting())

    def unload(self) -> None:
        """Give up all questions, and close the connections."""
        self._loop.call(self._close())

    def _form(self, name: str, task: Task) -> RequestTemplate:
        if not KINDS[task.kind].can_be_written:
            raise TaskError(name, f"wants vectors, but models.{self.name} writes")
        if any(s.options.think_tokens for s in task.cascade if self.name in s.asks):
            rule = f"has a step with `think`, but models.{self.name} runs elsewhere: whether it"
            raise TaskError(name, f"{rule} thinks is settled there")
        return template_of(task)

    async def _answer(self, asked: EngineRequest) -> EngineResult:
        """Answer one question, and tell what it took."""
        template, bill = self._templates.get(asked.task), Bill()
        if template is None:
            return _pass_of(NOT_LOADED, bill, self._model)
        question = EndpointRequest(template, asked.options, asked.text)
        try:
            async with asyncio.timeout(asked.seconds_left):
                answer = await self._unless_closed(question, bill)
        except TimeoutError:
            answer = EXPIRED
        return _pass_of(answer, bill, self._model)

    async def _unless_closed(self, question: EndpointRequest, bill: Bill) -> Answer | Problem:
        """Ask, but for a model that is let go of: then the question is somebody else's.

        Raises:
            EndpointDown: When it is let go of, before or meanwhile.
        """
        if self._is_closed:
            raise EndpointDown(self.name)
        asking = asyncio.ensure_future(self._ask(question, bill))
        self._asking.add(asking)
        try:
            return await asking
        except asyncio.CancelledError:
            if self._is_closed:
                raise EndpointDown(self.name) from None
            raise
        finally:
            self._asking.discard(asking)

    async def _ask(self, question: EndpointRequest, bill: Bill) -> Answer | Problem:
        """Ask; once more and no oftener where what was written is no answer."""
        num = question.options.vote
        answer = await self._ask_once(question, bill, num=num, varied=num > 1)
        if answer == UNREADABLE:
            return await self._ask_once(question, bill, num=num, varied=num > 1)
        if isinstance(answer, Problem) and answer.code == INVALID:
            return await self._ask_once(question, bill, num=1, varied=True)
        return answer

    async def _ask_once(
        self, question: EndpointRequest, bill: Bill, *, num: int, varied: bool
    ) -> Answer | Problem:
        found = await self._complete(question, bill, num=num, varied=varied)
        if isinstance(found, RequestFailure):
            return _problem_of(found)
        choices = list(found.choices)
        if any(choices):
            choices += await self._missing(question, bill, num - len(choices))
        return read_completion(question.template, question.text, choices, num_asked=num)

    async def _missing(
        self, question: EndpointRequest, bill: Bill, num: int
    ) -> Sequence[Choice | None]:
        """Ask for the votes that an endpoint left out, one a request; what fails is no vote."""
        if num > 0 and num == question.options.vote - 1:
            self._endpoint.leave_out("n")
        asking = [self._complete(question, bill, num=1, varied=True) for _ in range(num)]
        found = await asyncio.gather(*asking)
        return [reply.choices[0] for reply in found if isinstance(reply, Reply)]

    async def _complete(
        self, question: EndpointRequest, bill: Bill, *, num: int, varied: bool
    ) -> Reply | RequestFailure:
        """Send one request, and book what it took."""
        model = self._model.source
        request = request_of(question.template, question.text, model=model, num=num, varied=varied)
        mark = self._clock.start(time.monotonic())
        try:
            found = await self._endpoint.ask(request)
        finally:
            bill.take(self._clock.stop(mark, time.monotonic()))
        if isinstance(found, Reply):
            bill.add(found.usage)
        return found

    async def _stop_waiting(self) -> None:
        self._endpoint.gate.stop_waiting()

    async def _close(self) -> None:
        self._is_closed = True
        for asking in self._asking:
            asking.cancel()
        await self._endpoint.close()


def _problem_of(failure: RequestFailure) -> Problem:
    if failure.fault is Fault.JOB:
        # Which of the two, only its message would say, and that may quote the text.
        message = f"The endpoint refused it, perhaps as too long: {failure.what}."
        return Problem(code="endpoint_refused", message=message)
    message = f"The endpoint failed at it, and not at others: {failure.what}."
    return Problem(code="endpoint_failed", message=message)


def _pass_of(answer: Answer | Problem, bill: Bill, model: Model) -> EngineResult:
    tokens = bill.read + bill.written
    prices = model.price_per_million_tokens
    charge = (
        (bill.read * prices.input + bill.written * prices.output) / 1_000_000 if prices else 0.0
    )
    return EngineResult(
        [answer],
        [tokens],
        tokens,
        bill.seconds,
        [charge],
        written=[bill.written],
        joules=bill.joules,
    )


@cache
def _loop() -> EventLoop:
    """Make the one loop of all endpoints of a process; it lives as long as the process does.

    A batch may just have been handed an engine that a new catalogue replaces: on a loop that was
    stopped its questions would wait for ever, and hold their entries for as long.
    """
    return EventLoop("remote")
