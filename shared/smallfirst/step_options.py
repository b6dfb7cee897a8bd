"""Step options: how a step wants its model to answer.

They travel with the job from the router's catalogue to the engine, which looks nothing up in its
worker's own: that may be an older one.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from smallfirst.wire import Wire


class StepOptions(Wire):
    """What an engine is to do for an answer, beside what its task says."""

    think_tokens: int | None = Field(
        default=None, ge=1, description="The longest thought before the answer; none: no thought."
    )
    vote: int = Field(default=1, ge=1, description="How often the model answers.")
    adapter: str | None = Field(
        default=None, description="The LoRA adapter that answers; none: the model by itself."
    )
    models: tuple[str, ...] = Field(
        default=(),
        description="The models whose mean is the answer, the asked one among them; none: the"
        " asked model answers as it does best.",
    )


def mean_name(models: Sequence[str]) -> str:
    """What the mean of models is called in trails, reports and promises."""
    return "+".join(models)


#: Of a step that wants nothing in particular, as every step of a small model does.
NO_OPTIONS: Final = StepOptions()
