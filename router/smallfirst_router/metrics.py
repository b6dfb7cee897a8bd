"""What a router tells of itself: what it decided, how full batches are, what it rescued."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from smallfirst.ledger.settlements import Settlement
from smallfirst.telemetry.builds import Build
from smallfirst.telemetry.ended_jobs import EndedJobs

#: Shares of what a batch may hold.
FILL_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: A round waits up to a quarter of a second for jobs.
ROUND_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: What triage calls an end, by the verb that the ledger carries out.
DECISIONS = {
    "result": "ended",
    "move": "parked",
    "wait": "waiting",
    "refuse": "refused",
    "cancel": "cancelled",
}


class RouterMetrics:
    """The metrics of one router process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._build = Build("router")
        self.registry.register(self._build)
        self._decisions = Counter(
            "smallfirst_triaged_jobs",
            "Decisions on jobs, new or back from a step: ended, parked, waiting for room, refused,"
            " cancelled.",
            ["decision"],
            registry=self.registry,
        )
        self._ended = EndedJobs(self.registry)
        self._fill = Histogram(
            "smallfirst_batch_fill",
            "Share of what a batch may hold, in jobs or in tokens, whichever is fuller.",
            ["pool", "model"],
            buckets=FILL_BUCKETS,
            registry=self.registry,
        )
        self._recovered = Counter(
            "smallfirst_recovered_jobs",
            "Jobs taken over from a worker or router that died, or whose message was lost.",
            ["pool"],
            registry=self.registry,
        )
        self._republished = Counter(
            "smallfirst_republished_jobs",
            "Jobs sent to the queue again that had waited in it for long: the pool is slow.",
            ["pool"],
            registry=self.registry,
        )
        self._ahead = Gauge(
            "smallfirst_job_ids_ahead_seconds",
            "Seconds by which the ids of submissions are ahead of the clock; 0 up to a minute.",
            registry=self.registry,
        )
        self._ahead_by_slice: dict[int | str, float] = {}
        self._lost = Counter(
            "smallfirst_lost_workers",
            "Workers that fell silent without signing off.",
            ["pool"],
            registry=self.registry,
        )
        self._rounds = Histogram(
            "smallfirst_round_seconds",
            "Seconds of one round of the router: chores, reading, triage, dispatch.",
            buckets=ROUND_BUCKETS,
            registry=self.registry,
        )

    def tell_catalogue(self, revision: Callable[[], str]) -> None:
        """Tell of the catalogue from now on, by what gives its revision."""
        self._build.revision = revision

    def count_decisions(self, settlements: Sequence[Settlement]) -> None:
        """Count what triage decided, and the jobs that it ended."""
        for settlement in settlements:
            self._decisions.labels(DECISIONS[settlement.verb]).inc()
        self.count_endings(settlements)

    def count_endings(self, settlements: Sequence[Settlement]) -> None:
        """Count the jobs that end with these."""
        self._ended.count(settlements)

    def count_batch(self, pool: str, model: str, *, fill: float) -> None:
        """Count a batch that was published, by the share of it that is used."""
        self._fill.labels(pool, model).observe(fill)

    def count_recovered(self, pool: str, num_jobs: int) -> None:
        """Count jobs that were taken over."""
        self._recovered.labels(pool).inc(num_jobs)

    def count_republished(self, pool: str, num_jobs: int) -> None:
        """Count jobs that waited in the queue for so long that they are sent again."""
        self._republished.labels(pool).inc(num_jobs)

    def tell_ahead(self, seconds: float, *, slice_number: int | str = 0) -> None:
        """Tell how far the ids of a slice's submissions are ahead of the clock."""
        self._ahead_by_slice[slice_number] = seconds
        self._ahead.set(max(self._ahead_by_slice.values()))

    def count_lost(self, pool: str, num_workers: int) -> None:
        """Count workers that died."""
        self._lost.labels(pool).inc(num_workers)

    def count_round(self, seconds: float) -> None:
        """Count one round."""
        self._rounds.observe(seconds)
