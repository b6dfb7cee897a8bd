"""What travels beside a job inside the fleet: which step is next, what was tried, what was found.

Producers neither write nor read these; they are the router's note to the worker and back.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from smallfirst.jobs import Attempt, Label, Probability, Span, Wire
from smallfirst.results import LAST_MS

#: A moment of Redis's clock in milliseconds since 1970, as far as dates go.
Moment = Annotated[int, Field(ge=0, le=LAST_MS)]


class Terms(Wire):
    """What a calibrated threshold was promised on; the worker judges by it."""

    revision: str = Field(
        description="The model's revision; an answer of another one does not stand."
    )
    temperature: float = Field(
        default=1.0,
        gt=0.0,
        description="The temperature that is applied to a label's distribution before it is"
        " compared.",
    )
    accept_by_label: dict[Label, Probability] | None = Field(
        default=None,
        description=(
            "The thresholds in place of `accept`, by the label answered; an answer of a label"
            " that is not here never stands."
        ),
    )


class RoutingSlip(Wire):
    """One leg of a job's way: the step to try now, and the trail so far.

    On its way to a pool `model` and `accept` say what to do; on its way back the last attempt of
    the trail says what came of it.
    """

    # While a new version is rolled out, what it adds is no reason for the old one to fail a job.
    model_config = ConfigDict(extra="ignore")

    v: Literal[1] = 1
    task: str
    step: int = Field(ge=0, description="The step's place in the cascade, from 0.")
    model: str
    pool: str
    accept: Probability = Field(description="The confidence the answer must reach.")
    terms: Terms | None = Field(
        default=None, description="The terms of a calibrated threshold; none for a plain number."
    )
    submitted_ms: Moment = Field(description="The time of submission, on Redis's clock.")
    parked_ms: Moment = Field(
        description="The time at which the job joined this backlog, on Redis's clock."
    )
    expires_ms: Moment = Field(
        description="The time from which on nobody wants the answer, on Redis's clock."
    )
    num_chars: int = Field(
        ge=1, description="The number of characters of the text, known before anyone tokenises it."
    )
    explain: bool = False
    is_unasked: bool = Field(
        default=False,
        description="Whether the job comes back because the step could not be asked; it is asked"
        " again.",
    )
    traceparent: str | None = Field(
        default=None,
        description="The trace context of the span that the job's further ones are children of.",
    )
    trail: tuple[Attempt, ...] = ()
    kept: tuple[Span, ...] = Field(default=(), description="The spans of earlier steps that stand.")


class BatchMessage(Wire):
    """What a Celery message carries: where the batch's entries are, not what they say."""

    v: Literal[1] = 1
    batch: str = Field(description="The batch's name in logs and in Flower.")
    model: str
    pool: str
    entries: dict[str, tuple[str, ...]] = Field(description="The entry ids by priority.")


class DeadLetter(Wire):
    """Why a submission or a job was given up, without a word of its text."""

    id: str | None = None
    task: str | None = None
    reason: str = Field(description="A code, such as invalid, unknown_task, poison.")
    detail: str = ""
    size: int = Field(ge=0, description="The number of bytes of the raw submission.")
    digest: str = Field(
        description="The digest of the raw submission: `sha256:` and hexadecimal digits."
    )
    is_refusal: bool = Field(
        default=False, description="Whether the id is free for a corrected job."
    )
