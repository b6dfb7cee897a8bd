"""References: what was counted of the rows that a promise was made on, to compare jobs with."""

from typing import Annotated

from pydantic import Field

from smallfirst.drift.bins import What
from smallfirst.kinds.entries import Entry


class QuantityReference(Entry):
    """How many rows fell into each bin of one quantity."""

    what: What = Field(
        description="The quantity: the `length` of texts in characters, the accepted `label`, a"
        " step's `confidence`, or its `escalation`: whether its answer was accepted or escalated."
    )
    step: int | None = Field(
        default=None,
        ge=0,
        description="The place of the step in the cascade; none for what no step is asked for.",
    )
    counts: dict[str, Annotated[int, Field(ge=0)]] = Field(
        min_length=2,
        description="The number of rows by bin: a length or a confidence by where its bin begins,"
        " `none` for no answer, and the empty name for labels beyond the first hundred.",
    )


class Reference(Entry):
    """What the rows were like, in the testing part: they chose nothing."""

    num_rows: int = Field(ge=1, description="The number of rows.")
    num_distinct: int = Field(
        ge=1, description="The number of those where rows that are alike count once."
    )
    quantities: tuple[QuantityReference, ...] = Field(
        description="What was counted; a step is counted on the rows that reached it."
    )
