"""Audits: which share of a task's accepted answers people look at blind, and what comes of it."""

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Discriminator, Field, Tag

from smallfirst.catalogue.choices import one_of
from smallfirst.catalogue.durations import Duration, between
from smallfirst.kinds import Example
from smallfirst.kinds.entries import Entry

#: The longest that a check is kept for people.
MAX_KEEP: Final = timedelta(days=30)


class WhenBroken(StrEnum):
    """What is done where an audit says that a promise does not hold."""

    WARN = "warn"
    STOP = "stop"


class Audit(Entry):
    """How accepted answers of a task are checked blind: people answer anew, unshown what stood.

    It decides no answer, so adding, changing or removing it voids no promise.
    """

    share: float = Field(
        gt=0.0,
        le=1.0,
        description="The share of the accepted answers that is put before people; those of which"
        " the machine was less sure come more often.",
    )
    keep: Annotated[Duration, between(timedelta(minutes=1), MAX_KEEP)] = Field(
        default=timedelta(days=7),
        description="The time that a check waits for a person, with the job's text, before it is"
        " dropped: 1m to 30d.",
    )
    when_broken: Annotated[
        WhenBroken, one_of(WhenBroken, "say so, or accept no answer until calibrated anew")
    ] = Field(
        default=WhenBroken.WARN,
        description="What is done when the whole interval of the error lies above the promise:"
        " `warn`, or `stop`: no machine's answer is accepted until the task is calibrated anew.",
    )
    golden: tuple[Example, ...] = Field(
        default=(),
        description="The golden rows: texts whose right answers are known, mixed among the checks"
        " to tell how often reviewers err; inline or as the path of a JSON Lines file relative to"
        " the catalogue.",
    )
    golden_share: float = Field(
        default=0.1,
        ge=0.0,
        le=0.5,
        description="The share of golden rows among all that reviewers answer blind.",
    )
    second_look: bool = Field(
        default=True,
        description="Whether a second person looks, blind, where the first one's answer differs"
        " from the machine's, and a third where these two differ from each other; else one person's"
        " word counts.",
    )


def _as_audit(value: Audit | float) -> Audit:
    """Read `audit: 0.01` as its share."""
    return value if isinstance(value, Audit) else Audit(share=value)


def _form_of(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "share" if is_number else "audit"


if TYPE_CHECKING:
    AnyAudit = Audit
else:
    #: A number alone is the share. It is read in JSON's own strict mode, lists and all, by which
    #: no validator may stand before it.
    AnyAudit = Annotated[
        Annotated[Audit, Tag("audit")] | Annotated[float, Field(gt=0.0, le=1.0), Tag("share")],
        Discriminator(_form_of),
        AfterValidator(_as_audit),
    ]
