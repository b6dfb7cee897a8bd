"""What travels beside a job inside the fleet: which step is next, what was tried, what was found.

Producers neither write nor read these; they are the router's note to the worker and back.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from smallfirst.jobs import Attempt, Label, Probability, Span, Wire
from smallfirst.results import LAST_MS

#: A moment of Redis's clock in milliseconds since 1970, as far as dates go.
Moment = Annotated[int, Field(ge=0, le=LAST_MS)]


class Terms(Wire):
    """What a calibrated threshold was promised on; the worker judges by it."""

    revision: str = Field(description="Of the model; the answer of another one does not stand.")
    temperature: float = Field(
        default=1.0, gt=0.0, description="Applied to a label's distribution before it is compared."
    )
    accept_by_label: dict[Label, Probability] | None = Field(
        default=None,
        description="In place of `accept`, by the label answered; one that is not here never"
        " stands.",
    )


class StepOptions(Wire):
    """How a step wants its model to answer. The engine goes by these alone."""

    # As of a slip: an option that a newer router adds is none for an older worker.
    model_config = ConfigDict(extra="ignore")

    think_tokens: int | None = Field(
        default=None, ge=1, description="The longest thought before the answer; none: no thought."
    )
    vote: int = Field(default=1, ge=1, description="How often the model answers.")
    adapter: str | None = Field(
        default=None, description="The model's LoRA adapter to answer with; none: the bare model."
    )


#: Of a step that wants nothing in particular, as every step of a small model does.
NO_OPTIONS: Final = StepOptions()


class RoutingSlip(Wire):
    """One leg of a job's way: the step to try now, and the trail so far.

    On its way to a pool `model` and `accept` say what to do; on its way back the last attempt of
    the trail says what came of it.
    """

    # While a new version is rolled out, what it adds is no reason for the old one to fail a job.
    model_config = ConfigDict(extra="ignore")

    v: Literal[1] = 1
    task: str
    step: int = Field(ge=0, description="Place of the step in the cascade, from 0.")
    model: str
    pool: str
    accept: Probability = Field(description="The confidence the answer must reach.")
    terms: Terms | None = Field(
        default=None, description="Where that threshold is calibrated; none for a plain number."
    )
    options: StepOptions = NO_OPTIONS
    catalogue: str = Field(
        default="", description="The revision of the catalogue by which the router planned this."
    )
    submitted_ms: Moment = Field(description="Redis's clock.")
    parked_ms: Moment = Field(description="Redis's clock, when the job joined this backlog.")
    expires_ms: Moment = Field(description="Redis's clock; from then on nobody wants the answer.")
    num_chars: int = Field(ge=1, description="Of the text; its length before anyone tokenises it.")
    explain: bool = False
    is_unasked: bool = Field(
        default=False, description="Comes back because the step could not be asked; ask it again."
    )
    traceparent: str | None = Field(
        default=None, description="Of the span that the job's further ones are children of."
    )
    trail: tuple[Attempt, ...] = ()
    kept: tuple[Span, ...] = Field(default=(), description="Spans of earlier steps that stand.")


class BatchMessage(Wire):
    """What a Celery message carries: where the batch's entries are, not what they say."""

    v: Literal[1] = 1
    batch: str = Field(description="Names the batch in logs and in Flower.")
    model: str
    pool: str
    entries: dict[str, tuple[str, ...]] = Field(description="Entry ids by priority.")


class DeadLetter(Wire):
    """Why a submission or a job was given up, without a word of its text."""

    id: str | None = None
    task: str | None = None
    reason: str = Field(description="A code, such as invalid, unknown_task, poison.")
    detail: str = ""
    size: int = Field(ge=0, description="Bytes of the raw submission.")
    digest: str = Field(description="Of the raw submission: `sha256:` and hex digits.")
    is_refusal: bool = Field(default=False, description="The id is free for a corrected job.")
