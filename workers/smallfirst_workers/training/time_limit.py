"""Giving up a fit that would take longer than it may, as soon as its speed is known."""

from collections.abc import Callable
from time import monotonic
from typing import Any

from transformers import TrainerCallback

from smallfirst_workers.errors import TooLongError

#: Steps after which a fit's speed is known. The longest texts come first, so that it is taken for
#: slower than it is rather than for faster.
SETTLED_STEPS = 20


class TimeLimit(TrainerCallback):
    """Ends a fit that would take longer than it may.

    Args:
        seconds: It may take, from its first step on.
        clock: Tells seconds that only rise.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = 0.0
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer\'s
        """Remember when it began, and at which step a resumed fit is."""
        self._began, self._first = self._clock(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer\'s
        """See whether it will be done in time.

        Raises:
            TooLongError: When it will not.
        """
        done = state.global_step - self._first
        if done < min(SETTLED_STEPS, state.max_steps - self._first):
            return
        elapsed = self._clock() - self._began
        needed = elapsed / done * (state.max_steps - self._first)
        if needed > self._seconds:
            raise TooLongError(needed, self._seconds)
