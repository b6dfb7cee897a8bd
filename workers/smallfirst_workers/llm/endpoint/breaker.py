"""The circuit breaker: whether an endpoint is to be asked now. Pure: every call says when it is.

```
closed ──failed too often──▶ open until a time ──the time comes──▶ half open: one request, the probe
   ▲                           ▲                                        │              │
   │                           └──────────────── it failed ─────────────┘              │
   └───────────────────────────────────────────────────────────── it succeeded ────────┘
```
Source: Nygard, Release It!, 2007, "Circuit Breaker".
"""

from dataclasses import dataclass, replace
from typing import Final

from smallfirst_workers.llm.endpoint.backoff import LONGEST_ASKED_SECONDS

#: Failures in a row, each after all its tries, that open a closed breaker.
MAX_FAILURES: Final = 5
#: How long it stays open, in seconds: the first time, doubled each time its probe fails, at most.
FIRST_SECONDS: Final = 1.0
LAST_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Breaker:
    """What is known of an endpoint.

    Attributes:
        num_failures: In a row.
        num_openings: In a row, without a success between them.
        num_successes: Ever.
        open_until: On the caller's clock, in seconds; None while closed.
        is_probing: Whether the one request of the half-open state is on its way.
    """

    num_failures: int = 0
    num_openings: int = 0
    num_successes: int = 0
    open_until: float | None = None
    is_probing: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether everybody may ask."""
        return self.open_until is None

    def admits(self, now: float) -> bool:
        """Whether one more may ask at this time."""
        return self.open_until is None or (now >= self.open_until and not self.is_probing)

    def seconds_to_wait(self, now: float) -> float | None:
        """How long until it may admit somebody; None where that hangs on the probe."""
        if self.open_until is None:
            return 0.0
        return None if self.is_probing else max(0.0, self.open_until - now)

    def entered(self) -> "Breaker":
        """Let one in who was admitted; unless closed, that is the probe."""
        return self if self.is_closed else replace(self, is_probing=True)

    def abandoned(self) -> "Breaker":
        """The probe was withdrawn before it told anything: the next may be one."""
        return replace(self, is_probing=False)

    def succeeded(self) -> "Breaker":
        """The endpoint answered."""
        return Breaker(num_successes=self.num_successes + 1)

    def failed(
        self, now: float, *, is_probe: bool, at_once: bool = False, asked: float | None = None
    ) -> "Breaker":
        """The endpoint did not answer.

        Args:
            now: The time.
            is_probe: Whether it was the probe that failed. What others, sent before it opened, have
                to tell is no news to an open breaker.
            at_once: Whether this one failure tells enough.
            asked: Seconds for which the endpoint asked to be left alone, in place of a guess.
        """
        if not self.is_closed and not is_probe:
            return self
        failures = self.num_failures + 1
        if self.is_closed and failures < MAX_FAILURES and not at_once:
            return replace(self, num_failures=failures)
        guess = min(LAST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.num_openings, 16))
        seconds = guess if asked is None else min(LONGEST_ASKED_SECONDS, max(FIRST_SECONDS, asked))
        return replace(
            self,
            num_failures=failures,
            num_openings=self.num_openings + 1,
            open_until=now + seconds,
            is_probing=False,
        )
