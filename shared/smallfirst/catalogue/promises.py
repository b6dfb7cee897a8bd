"""Promises: what calibration found out about a cascade, as a file beside the catalogue keeps it.

`calibration/TASK.json` says which thresholds the words `accept: calibrated` stand for, what was
promised of them, and of which cascade. It is void as soon as that cascade is another one.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smallfirst.acceptance import Acceptance, Thresholds
from smallfirst.answers import Label, Probability
from smallfirst.catalogue.references import Reference
from smallfirst.jobs import Name, Tier
from smallfirst.kinds.entries import Entry

#: Where promises stand, beside the catalogue.
FOLDER: Final = "calibration"

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class StepPromise(Entry):
    """What was found out about one step, and how its answers are judged by it."""

    tier: Tier
    model: str = Field(description="The model's name in the catalogue; `rules` for a rule.")
    spec: Digest = Field(description="The hash of what the catalogue said of the step.")
    acceptance: Acceptance = Field(description="What an answer must reach, and of which revision.")
    share_answered: Probability = Field(
        description="The share of all rows that this step answered."
    )
    num_tested: int = Field(
        ge=0, description="The number of its accepted answers in the testing part."
    )
    num_wrong: int = Field(ge=0, description="The number of those that were wrong.")
    error_bound: Probability = Field(
        description="The highest error rate of the step that these counts allow: a description,"
        " and no part of the promise."
    )


class ForeignPromise(Entry):
    """What is promised of texts that no label fits."""

    target: float = Field(
        gt=0.0, lt=1.0, description="The largest share of foreign texts that may be accepted."
    )
    limit: Probability = Field(
        description="The limit of the steps that say `foreign: calibrated`; 1 flags nothing."
    )
    num_rows: int = Field(ge=1, description="The number of foreign rows that it was tested on.")
    num_distinct: int = Field(
        ge=1, description="The number of those where rows that are alike count once."
    )
    num_accepted: int = Field(ge=0, description="The number of those that were accepted.")
    share_bound: Probability = Field(
        description="The highest share of foreign texts accepted that these counts allow."
    )


class WordsOutside(Entry):
    """What a linear model over words came to that no step of the cascade asks."""

    num_rows: int = Field(
        ge=1, description="The number of rows of the testing part that it answered, left out."
    )
    share_right: Probability = Field(
        description="The share of these that it answered rightly, where it accepts as many answers"
        " as the cascade."
    )
    share_right_of_cascade: Probability = Field(
        description="The share of these that the cascade answered rightly."
    )
    seconds: float = Field(
        ge=0.0, description="The seconds of a processor that a text took, of many at once."
    )
    is_cheapest: bool = Field(
        description="Whether it is within one point of the cascade, and cheaper than each step that"
        " is."
    )


class EqualSingle(Entry):
    """Which step alone would have been as good as the whole cascade, and the cheapest such."""

    step: int | None = Field(
        default=None,
        ge=0,
        description="The step's place in the cascade; none: no single step is within one point.",
    )
    words: WordsOutside | None = Field(
        default=None,
        description="What a linear model over words came to, fitted to the rows and the task's"
        " examples; none: a step asks one, the kind of task has none, or there was too little to"
        " learn from.",
    )


class Cautious(Entry):
    """What answers must reach while the task's jobs have drifted."""

    target: float = Field(
        gt=0.0,
        lt=1.0,
        description="The largest share of accepted answers that may be wrong by these thresholds,"
        " with the same confidence, as the same rows bear it: half of what is promised.",
    )
    share_answered: Probability = Field(
        description="The share of all rows that is answered by them."
    )
    thresholds: tuple[Thresholds, ...] = Field(
        min_length=1,
        description="The thresholds of each step, in order; `never` where the rows bear none.",
    )


class Promise(Entry):
    """What is promised of a task's cascade: the content of `calibration/TASK.json`."""

    version: Literal[1] = Field(default=1, description="The version of this format.")
    task: Name
    target: float = Field(
        gt=0.0, lt=1.0, description="The largest share of accepted answers that may be wrong."
    )
    confidence: float = Field(
        gt=0.0, lt=1.0, description="The probability with which the promise holds."
    )
    is_per_label: bool = Field(
        default=False, description="Whether the target holds for the answers of each label."
    )
    labels_never_accepted: tuple[Label, ...] = Field(
        default=(),
        description="The labels for which the rows could not support the promise: no step that is"
        " calibrated accepts them.",
    )
    num_rows: int = Field(ge=1, description="The number of labelled rows.")
    num_tested: int = Field(ge=1, description="The number of those that the promise was tested on.")
    num_distinct: int = Field(
        ge=1, description="The number of those where rows that are alike count once."
    )
    num_accepted: int = Field(
        ge=1, description="The number of accepted answers in the testing part."
    )
    num_wrong: int = Field(ge=0, description="The number of those that were wrong.")
    error_bound: Probability = Field(
        description="The highest error rate among accepted answers that these counts allow."
    )
    share_answered: Probability = Field(
        description="The share of all rows that is answered; the rest is abstained from."
    )
    cost_per_job: float = Field(ge=0.0, description="The mean cost of a job, over all steps asked.")
    currency: str
    abstention_cost: float = Field(
        ge=0.0, description="The cost that an unanswered job was counted with."
    )
    data: Digest = Field(
        description="The hash of the rows and their right answers, by which they were split."
    )
    num_refused: int = Field(
        default=0,
        ge=0,
        description="The number of calibrations of this task that were refused before, with this"
        " cascade: a promise that was tried for until it passed is weaker than it says.",
    )
    foreign: ForeignPromise | None = Field(
        default=None,
        description="What is promised of texts that no label fits, with the same confidence; none:"
        " nothing.",
    )
    equal_single: EqualSingle | None = Field(
        default=None,
        description="The cheapest single step of equal quality, on the testing part, where each"
        " accepts as many answers as the cascade; none: a version made this promise that did not"
        " tell. It is no part of the promise.",
    )
    reference: Reference | None = Field(
        default=None,
        description="What the rows were like, with which a task's `drift` compares jobs; none: a"
        " version made this promise that did not count. It is no part of the promise.",
    )
    cautious: Cautious | None = Field(
        default=None,
        description="The thresholds by which a task accepts while its `drift` raises them; none: a"
        " version made this promise that chose none. They are no part of the promise.",
    )
    made_at: Annotated[datetime, Field(strict=False)] = Field(
        description="The time of the calibration, in UTC."
    )
    steps: tuple[StepPromise, ...] = Field(
        min_length=1, description="The steps of the cascade, in order."
    )


def promise_text(promise: Promise) -> str:
    """A promise as its file has it."""
    return promise.model_dump_json(indent=2, exclude_none=True) + "\n"


def promise_digest(promise: Promise) -> str:
    """By which records tell a promise: the first 16 hex digits of the SHA-256 of its file."""
    return hashlib.sha256(promise_text(promise).encode()).hexdigest()[:16]


def promise_path(catalogue_path: Path, task: str) -> Path:
    """Where the promise of a task stands."""
    return catalogue_path.parent / FOLDER / f"{task}.json"
