"""What routers and workers count alike: the jobs that they end, how, and after how long.

Routers and workers end tens of thousands of jobs a second together, most of them many at once. So
this keeps its numbers itself, and writes them as Prometheus reads them when it is asked: that takes
2 µs a job, where prometheus_client's counter took 4, and its histogram 7 more.

The histogram has classic buckets. prometheus_client 0.26 observes no native ones, and its server
does not speak protobuf, the one form in which Prometheus takes them.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from smallfirst.jobs import Status
from smallfirst.ledger.settlements import Finish, Settlement
from smallfirst.shadow.copies import SHADOW

#: Bounds in seconds: a rule at once, a batch, a long answer, a person on another day. Each one more
#: is a series for every task in every process. The objective of the chart is one of these.
JOB_SECONDS_BUCKETS = (0.3, 1, 3, 10, 30, 60, 300, 3600, 86400)
_WRITTEN_BOUNDS = (*(str(float(bound)) for bound in JOB_SECONDS_BUCKETS), "+Inf")
_LABELS = ("task", "status")
#: What else ends, failed or expired, has no bucket but the last one: it came too late however long
#: it took, so that nothing is in time that should not be, and nine series less are made.
_AS_IT_SHOULD_BE = frozenset({Status.ANSWERED, Status.ABSTAINED})


class _Times:
    """How long the jobs of one task took that ended one way."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        #: How many lie between a bound and the one before it.
        self.counts = [0] * len(_WRITTEN_BOUNDS)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one job; of a clock that was set back, as if it took no time."""
        self.counts[bisect_left(JOB_SECONDS_BUCKETS, seconds)] += 1
        self.seconds += max(0.0, seconds)


class EndedJobs(Collector):
    """The jobs that one process has ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        #: A process ends jobs in several threads, and is read in another.
        self._lock = threading.Lock()
        self._times: dict[tuple[str, str], _Times] = {}
        registry.register(self)

    def count(self, settlements: Sequence[Settlement]) -> None:
        """Count the jobs that end with these.

        Neither a task that a producer made up is among them, nor a copy for a candidate in shadow.
        """
        with self._lock:
            for settlement in settlements:
                if isinstance(settlement, Finish) and _is_counted(settlement):
                    result = settlement.result
                    ended = (str(result.task), result.status)
                    times = self._times.get(ended) or self._times.setdefault(ended, _Times())
                    times.add((result.finished_at - result.submitted_at).total_seconds())

    def collect(self) -> Iterator[Metric]:
        """Give both metrics, as they are at this moment."""
        ended = CounterMetricFamily(
            "smallfirst_ended_jobs",
            "Jobs by how they ended; a router or a worker ends each.",
            labels=_LABELS,
        )
        took = HistogramMetricFamily(
            "smallfirst_job_seconds",
            "Seconds from a job's submission to its result, both on Redis's clock.",
            labels=_LABELS,
        )
        with self._lock:
            for (task, status), times in self._times.items():
                labels = (task, str(status))
                sums = list(accumulate(times.counts))
                ended.add_metric(labels, sums[-1])
                buckets = list(zip(_WRITTEN_BOUNDS, map(float, sums), strict=True))
                told = buckets if status in _AS_IT_SHOULD_BE else buckets[-1:]
                took.add_metric(labels, told, times.seconds)
        yield from (ended, took)


def _is_counted(settlement: Finish) -> bool:
    return settlement.result.task is not None and settlement.producer != SHADOW
