"""Drawing: which accepted answers are checked, each with a known chance above nothing. Pure.

An accepted answer falls into a stratum by how sure the machine was. The less sure, the higher its
rate; and however sure, a part of the share is drawn evenly, so that no weight is beyond a bound:

    chance = share * (EVEN + (1 - EVEN) * rate / mean rate of what was accepted lately)

The mean chance is the share: where a large share would draw the least sure with more than
certainty, a larger part is drawn evenly, and of a share of 1 all. settle.lua works this out, where
the mean rate is known; here stands what it is told. The draw is a number that hangs on the job
alone, so that whoever settles a job a second time draws as the first did.
"""

from bisect import bisect_right
from hashlib import blake2b
from typing import Final

from pydantic import Field

from smallfirst.wire import Wire

#: The part of the share that is drawn evenly: no answer weighs more than 1 / EVEN.
EVEN: Final = 0.65
#: Doubt (one minus the confidence) at which the next stratum begins: half decades.
EDGES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
#: How often an answer of each stratum is drawn, against the others: its usual doubt to the power of
#: 0.35. The square root would be the best where people never err (Neyman 1934, On the two different
#: aspects of the representative method); their errors come as often among the surest answers, which
#: speaks for drawing evenly. What that costs either way is in benchmarks/audit_simulated.py.
RATES: Final = (0.07, 0.11, 0.17, 0.25, 0.36, 0.54, 0.73)
_KEY: Final = b"smallfirst audit"
_CHANCES: Final = 2**53


class AuditOrder(Wire):
    """What whoever settles a job is told: how many of its task's accepted answers are checked."""

    share: float = Field(gt=0.0, le=1.0, description="The share of accepted answers to check.")
    keep_seconds: int = Field(ge=1, description="The seconds that a check waits for a person.")
    series: str = Field(
        pattern=r"^[0-9a-f]{16}$",
        description="The hash of the promise and the steps; another one begins a new count.",
    )
    stops: bool = Field(
        default=False,
        description="Whether no answer is accepted any more once an audit has broken the promise.",
    )
    alarm_ms: int | None = Field(
        default=None,
        ge=0,
        description="The time since which an alarm raises the share, in ms of Redis's clock; none:"
        " no alarm does.",
    )

    def raised(self, times: float, alarm_ms: int) -> "AuditOrder":
        """The same while an alarm stands: so many times as many answers are checked, or all."""
        share = min(1.0, self.share * times)
        return self.model_copy(update={"share": share, "alarm_ms": alarm_ms})


def stratum_of(confidence: float | None) -> int:
    """The stratum of an answer, 0 for the surest; an answer that says nothing is unsure."""
    doubt = 1.0 if confidence is None else 1.0 - confidence
    # Confidences have six digits: a doubt of a thousandth is one.
    return bisect_right(EDGES, round(doubt, 9))


def draw_of(producer: str, job_id: str, submitted_ms: int) -> float:
    """A number from 0 to 1, exclusive, that tells whether a job is checked; evenly spread.

    The moment of submission is Redis's own, so that nobody chooses an id that is never checked.
    """
    said = f"{producer}\0{job_id}\0{submitted_ms}".encode("utf-8", "surrogatepass")
    digest = blake2b(said, key=_KEY, digest_size=8).digest()
    return (int.from_bytes(digest) % _CHANCES) / _CHANCES


def highest_chance(share: float, stratum: int) -> float:
    """The highest chance that an answer of a stratum can come to have, whatever came before."""
    return min(1.0, share * (EVEN + (1.0 - EVEN) * RATES[stratum] / RATES[0]))


def chance_of(share: float, stratum: int, mean_rate: float) -> float:
    """The chance of an answer, given the mean rate of what was accepted lately; see settle.lua."""
    even, highest = EVEN, RATES[-1] / mean_rate
    if share * (even + (1.0 - even) * highest) > 1.0:
        even = (highest - 1.0 / share) / (highest - 1.0)
    return min(1.0, share * (even + (1.0 - even) * RATES[stratum] / mean_rate))
