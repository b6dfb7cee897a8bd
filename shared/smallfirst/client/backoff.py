"""How long to wait between two tries. Pure, but for its dice."""

import random
from collections.abc import Iterator


def pauses(*, first: float, longest: float) -> Iterator[float]:
    """Yield seconds for ever, each about twice the one before, up to `longest`.

    Chance makes each up to a half shorter, so that many clients do not come back at once.
    """
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret
        pause = min(2 * pause, longest)
