"""Fair shares: whose jobs come next, where several producers' wait. Pure; no clock, no Redis.

Start-time fair queueing: each producer has a virtual time, which is what it was served, divided by
its weight; whoever is the furthest behind is next. Who comes after a while begins where the others
are, so that waiting saves nothing up, and a few jobs pass at once however much others have.

A deficit round robin shares as evenly over many rounds, and its newcomers wait for their turn in
this one; where there is room for two jobs at a time and a hundred producers wait, that is long.

Sources: P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", SIGCOMM 1996; M. Shreedhar,
G. Varghese, "Efficient Fair Queuing using Deficit Round Robin", SIGCOMM 1995; that new flows go
first: RFC 8290, section 4.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace

#: What a job costs besides its bytes: to read, decide on and write an empty one takes about as long
#: as so many bytes of text.
COST_PER_JOB = 2000
#: So many producers are served at once, where more wait: each costs round trips to Redis, however
#: few of its jobs are served.
PRODUCERS_AT_ONCE = 16
#: A share in the mean cost of a producer's jobs that the last ones have.
_NEWEST = 0.2


class FairShares:
    """Who was served how much of one thing that is scarce: a router's time, a pool's room."""

    def __init__(self) -> None:
        self._weights: dict[str, int] = {}
        #: The virtual time of whoever was served lately.
        self._served: dict[str, float] = {}
        self._mean_cost: dict[str, float] = {}
        #: Where newcomers begin: as far as whoever was the furthest behind.
        self._now = 0.0

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Go by these weights from now on, and forget producers that have none."""
        self._weights = dict(weights)
        for known in (self._served, self._mean_cost):
            for name in [name for name in known if name not in weights]:
                del known[name]

    @property
    def num_remembered(self) -> int:
        """How many producers something is known of."""
        return len(self._served)

    def allot(self, waiting: Mapping[str, int], num_jobs: int) -> dict[str, int]:
        """Say how many jobs of each producer are next, of those that wait, up to so many in all.

        A job is taken for as long as its producer's last ones were.
        """
        left = {name: count for name, count in waiting.items() if count > 0}
        self._move_on(left)
        heap = [
            (self._starts_at(name), name in self._served, count, name)
            for name, count in left.items()
        ]
        heapify(heap)
        stride, allotted = -(-num_jobs // PRODUCERS_AT_ONCE), defaultdict[str, int](int)
        while heap and num_jobs > 0:
            at, _, count, name = heap[0]
            taken = min(stride, count, num_jobs)
            allotted[name] += taken
            num_jobs -= taken
            if count > taken:
                behind = at + taken * self._step(name)
                heapreplace(heap, (behind, True, count - taken, name))
            else:
                heappop(heap)
        return dict(allotted)

    def charge(self, name: str, num_jobs: int, cost: float) -> None:
        """Note that so many jobs of a producer were served, and what they cost together."""
        if not num_jobs:
            return
        self._served[name] = self._starts_at(name) + cost / self._weight(name)
        mean = self._mean_cost.get(name, cost / num_jobs)
        self._mean_cost[name] = mean + _NEWEST * (cost / num_jobs - mean)

    def _move_on(self, names: Iterable[str]) -> None:
        """Let now be the time of whoever is the furthest behind; forget who is behind that."""
        self._now = min(map(self._starts_at, names), default=self._now)
        for name in [n for n, at in self._served.items() if at < self._now]:
            del self._served[name]

    def _starts_at(self, name: str) -> float:
        return max(self._now, self._served.get(name, self._now))

    def _step(self, name: str) -> float:
        return self._mean_cost.get(name, COST_PER_JOB) / self._weight(name)

    def _weight(self, name: str) -> int:
        return self._weights.get(name, 1)


def cost_of(sizes: Iterable[int]) -> int:
    """What jobs cost, by their sizes in bytes."""
    return sum(COST_PER_JOB + size for size in sizes)


def jain_index(shares: Sequence[float]) -> float:
    """Say how even shares are: 1 where all are the same, 1/n where one of n has everything.

    Source: R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness", DEC TR-301, 1984.
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0
