"""Whose the engine's seconds are, when many requests run in it at once.

At any moment the engine works for all requests under way, so each is charged an equal share of that
moment. The shares of all requests sum to the seconds in which there was any work.
"""


class SharedClock:
    """Adds up shares of time. It keeps no clock of its own: every call says when it is.

    The share of one request is what `total` grew by while it ran: the sum of dt / n(t), where n(t)
    is how many ran at t.
    """

    def __init__(self) -> None:
        self._running = 0
        self._since = 0.0
        self._total = 0.0

    def start(self, now: float) -> float:
        """Begin a request at `now` (seconds); return the mark to end it with."""
        self._advance(now)
        self._running += 1
        return self._total

    def stop(self, mark: float, now: float) -> float:
        """End the request that began with `mark`; return its seconds."""
        self._advance(now)
        self._running -= 1
        return self._total - mark

    def _advance(self, now: float) -> None:
        if self._running:
            self._total += (now - self._since) / self._running
        self._since = now
