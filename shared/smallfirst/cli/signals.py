"""What Ctrl-C and a polite kill do to a fleet in the foreground: once drains it, twice ends it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from smallfirst.local import LocalFleet

#: A terminal that goes away says the last of them.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def drained_by_signals(fleet: LocalFleet) -> Iterator[None]:
    """Turn the first signal into a KeyboardInterrupt here, and every other into haste.

    Open the fleet inside, so that the interrupt leaves it by its own way out.
    """
    came: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1 and not fleet.is_stopping:
            raise KeyboardInterrupt
        fleet.hurry()

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
