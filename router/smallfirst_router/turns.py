"""Turns: how the routers of one process share the room of a pool's queue among their slices.

The queue is one, whichever slice a batch comes from. Each slice with jobs for a pool gets its share
of the room; where there is less than one batch for each, those go first that were served least.
"""

import threading
from collections import defaultdict
from time import monotonic

#: A slice that has not asked for so long does not wait any more, or its node is away.
WAITS_SECONDS = 1.0


class Turns:
    """Whose batches are next, by pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By pool and slice, when it last asked, and how many batches it was allowed.
        self._asked: dict[str, dict[object, float]] = defaultdict(dict)
        self._served: dict[str, dict[object, int]] = defaultdict(dict)

    def allow(self, pool: str, slice_name: object, room: int) -> int:
        """Say how many batches a slice with jobs for a pool may publish now.

        Args:
            pool: By name.
            slice_name: Of the slice.
            room: How many batches its queue has room for.
        """
        with self._lock:
            others = self._others(pool, slice_name)
            served = self._served[pool]
            least = min((served.get(each, 0) for each in others), default=0)
            # Who comes after a while has saved nothing up.
            mine = served[slice_name] = max(served.get(slice_name, 0), least)
            num_before = sum(served.get(each, 0) < mine for each in others)
            allowed = share_of(room, num_waiting=len(others) + 1, num_before=num_before)
            served[slice_name] += allowed
            return allowed

    def _others(self, pool: str, slice_name: object) -> list[object]:
        """The other slices that wait; and note that this one does."""
        now, asked = monotonic(), self._asked[pool]
        asked[slice_name] = now
        return [s for s, at in asked.items() if s != slice_name and now - at < WAITS_SECONDS]


def share_of(room: int, *, num_waiting: int, num_before: int) -> int:
    """Share room out among those who wait; of what is left over, the first get one more each.

    Args:
        room: To be shared.
        num_waiting: How many wait, who asks among them.
        num_before: How many of them come first.
    """
    if room <= 0:
        return 0
    whole, rest = divmod(room, num_waiting)
    return whole + (1 if num_before < rest else 0)
