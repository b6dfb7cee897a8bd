"""What travels beside a job inside the fleet: which step is next, what was tried, what was found.

Producers neither write nor read these; they are the router's note to the worker and back.
"""

from typing import Annotated, Literal

from pydantic import Field

from smallfirst.acceptance import Acceptance, Thresholds
from smallfirst.answers import Span
from smallfirst.audit.drawing import AuditOrder
from smallfirst.jobs import DEFAULT_PRODUCER, Attempt
from smallfirst.results import LAST_MS
from smallfirst.shadow.copies import Submitter
from smallfirst.step_options import NO_OPTIONS, StepOptions, mean_name
from smallfirst.wire import Wire

#: A moment of Redis's clock in milliseconds since 1970, as far as dates go.
Moment = Annotated[int, Field(ge=0, le=LAST_MS)]


class StepRequest(Wire):
    """The step to try: whom to ask, and what the answer must reach."""

    step: int = Field(ge=0, description="The place of the step in the cascade, from 0.")
    model: str = Field(description="The name of the model that is asked.")
    pool: str = Field(description="The name of the pool that serves it.")
    acceptance: Acceptance = Field(description="What the answer must reach.")
    options: StepOptions = Field(
        default=NO_OPTIONS, description="How the step wants the model to answer."
    )
    catalogue: str = Field(
        default="", description="The revision of the catalogue by which the router planned it."
    )
    promise: str = Field(
        default="", description="The hash of the task's promise in that catalogue; empty for none."
    )
    cautious: Thresholds | None = Field(
        default=None,
        description="The thresholds that are in force while the task's jobs have drifted; none:"
        " nothing is raised then.",
    )
    until_ms: Moment | None = Field(
        default=None,
        description="The time until which the job waits for a person, on Redis's clock; none for a"
        " step that asks a model.",
    )
    reviewers: int = Field(
        default=1, ge=1, description="The number of people who have to agree on the answer."
    )
    audit: AuditOrder | None = Field(
        default=None, description="How many accepted answers are checked blind; none: nothing is."
    )

    @property
    def name(self) -> str:
        """Who answers, as trails name it: the model, or the models whose mean it is."""
        return mean_name(self.options.models) or self.model


class RoutingSlip(Wire):
    """What a job takes along: the step to try now, and the trail so far.

    On its way to a pool `request` says what to do; on its way back the last attempt of the trail
    says what came of it.
    """

    v: Literal[1] = 1
    producer: Submitter = Field(
        description="The name of the producer that submitted the job; `@shadow` of a copy."
    )
    task: str = Field(description="The name of the task.")
    submitted_ms: Moment = Field(description="The time of submission, on Redis's clock.")
    expires_ms: Moment = Field(
        description="The time from which on nobody wants the answer, on Redis's clock."
    )
    parked_ms: Moment = Field(
        default=0, description="The time at which the job joined the backlog, on Redis's clock."
    )
    num_chars: int = Field(ge=1, description="The length of the text in characters.")
    num_tokens: int = Field(
        default=0, ge=0, description="About how many tokens the text has; 0 where nobody counted."
    )
    text_key: str = Field(
        default="", description="What tells the text from others; empty where nobody looked."
    )
    request: StepRequest | None = Field(
        default=None, description="The step to try; none before the first one."
    )
    is_unasked: bool = Field(
        default=False,
        description="Whether the job comes back because the step could not be asked; it is asked"
        " again.",
    )
    traceparent: str | None = Field(
        default=None, description="The span that the job's further spans are children of."
    )
    trail: tuple[Attempt, ...] = Field(default=(), description="The steps tried before.")
    kept_spans: tuple[Span, ...] = Field(
        default=(), description="The spans of earlier steps that stand."
    )

    @property
    def next_step(self) -> int:
        """The place of the step that is due."""
        if self.request is None:
            return 0
        return self.request.step if self.is_unasked else self.request.step + 1

    @property
    def due_ms(self) -> int:
        """When the job must be looked at: at its deadline, or before it when its wait ends."""
        if self.request is None or self.is_unasked or self.request.until_ms is None:
            return self.expires_ms
        return min(self.expires_ms, self.request.until_ms)

    @property
    def asked(self) -> StepRequest:
        """The step to try.

        Raises:
            ValueError: When there is none: the slip never stood on a backlog.
        """
        if self.request is None:
            raise ValueError("the routing slip names no step")
        return self.request


class BatchMessage(Wire):
    """What a Celery message carries: where the batch's entries are, not what they say."""

    v: Literal[1] = 1
    batch: str = Field(description="The name of the batch in logs and in Flower.")
    model: str = Field(description="The name of the model that is asked.")
    pool: str = Field(description="The name of the pool.")
    slice: int = Field(default=0, ge=0, description="The number of the slice that its jobs are in.")
    entries: dict[str, tuple[str, ...]] = Field(description="The ids of the entries, by priority.")
    starts: int | None = Field(
        default=None,
        ge=0,
        description="How often each of its jobs was started before; the same for all.",
    )


class DeadLetter(Wire):
    """Why a submission or a job was given up, without a word of its text."""

    producer: Submitter = Field(
        default=DEFAULT_PRODUCER, description="The name of the producer that submitted it."
    )
    id: str | None = Field(default=None, description="The job's id, where it could be made out.")
    task: str | None = Field(default=None, description="The name of the task.")
    reason: str = Field(description="A code, such as invalid, unknown_task, poison.")
    detail: str = Field(default="", description="The reason in a sentence.")
    size: int = Field(ge=0, description="The bytes of the raw submission.")
    digest: str = Field(
        description="The hash of the raw submission: `sha256:`, or `sha1:` where Redis took it, and"
        " hex digits."
    )
    is_refusal: bool = Field(
        default=False, description="Whether the id is free for a corrected job."
    )
