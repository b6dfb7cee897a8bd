"""Spending: how one probability of a false verdict is parted among intervals. Pure.

A promise is broken where the lower end of an interval lies above it. Where a drift's alarm has more
answers checked, there is an interval of what came since each alarm beside that of all answers, and
each of them may break it. So that a promise which is kept is broken by none of them but with a
probability of 5 %, they part it: half is for all answers, and of the other half 1 / (k (k + 1)) is
for the k-th alarm. That sums to 1 over all alarms that there will ever be.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

#: The confidence with which what is said holds, at all looks and in all intervals together.
CONFIDENCE: Final = 0.95
#: The part of what may go wrong that is for the interval of all answers.
OF_ALL: Final = 0.5
#: Beyond so many alarms, one a minute for two years, each has what this one has: a confidence is
#: told from 1 by so much.
_MOST: Final = 1_000_000


def confidence_of_all(*, has_alarms: bool) -> float:
    """With which confidence the interval of all answers holds.

    Args:
        has_alarms: Whether intervals of what came since an alarm may break the promise, too.
    """
    return 1.0 - (1.0 - CONFIDENCE) * (OF_ALL if has_alarms else 1.0)


def confidence_of_alarm(number: int) -> float:
    """With which confidence the interval of what came since an alarm holds.

    Args:
        number: The how manieth alarm it is under the promise; the first is 1.
    """
    told = min(number, _MOST)
    return 1.0 - (1.0 - CONFIDENCE) * (1.0 - OF_ALL) / (told * (told + 1))


@dataclass(frozen=True)
class Alarms:
    """The alarms that were counted under one promise.

    Attributes:
        num: How many.
        last_ms: When the last of them began.
    """

    num: int = 0
    last_ms: int | None = None

    def until(self, since_ms: int, others: Collection[int]) -> "Alarms":
        """Count one that stands; the same where it was counted before.

        Args:
            since_ms: When it began.
            others: When those began of which checks are known: as many there were at least, though
                nobody has counted them.
        """
        if since_ms == self.last_ms:
            return self
        num_others = len({each for each in others if each != since_ms})
        return Alarms(max(self.num, num_others) + 1, since_ms)
