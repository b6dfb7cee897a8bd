"""What a worker tells of itself: how full its batches are, how sure it is, how long jobs wait.

What came of jobs in the whole fleet is not here but at the exporter, which reads it from Redis.
"""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from smallfirst.jobs import Attempt
from smallfirst.ledger.settlements import Settlement
from smallfirst.telemetry.builds import Build
from smallfirst.telemetry.ended_jobs import EndedJobs

#: Powers of two, as batches grow; the last is the most that a pool may state.
JOBS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
#: From a pass of a small model over one text to a long answer of a large one.
SECONDS_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
#: Narrow where thresholds lie. Each one more is a series for every step in every worker.
CONFIDENCE_BUCKETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


class WorkerMetrics:
    """The metrics of one worker process.

    Args:
        pool: The pool that the worker serves; a label of each metric.
        revision: Gives the revision of the catalogue that the worker has read.
    """

    def __init__(self, pool: str, revision: Callable[[], str | None] = lambda: None) -> None:
        self._pool = pool
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(Build("worker", revision))
        self._batches = Counter(
            "smallfirst_batches",
            "Batches by what came of them: settled, given_back, failed, broken.",
            ["pool", "model", "outcome"],
            registry=self.registry,
        )
        self._batch_jobs = Histogram(
            "smallfirst_batch_jobs",
            "Jobs of a batch that this worker could claim.",
            ["pool", "model"],
            buckets=JOBS_BUCKETS,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "smallfirst_batch_seconds",
            "Seconds from taking a batch up to settling its last job.",
            ["pool", "model"],
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._positions = Counter(
            "smallfirst_positions",
            "Positions that passes computed, by kind: token or padding.",
            ["pool", "model", "kind"],
            registry=self.registry,
        )
        self._confidence = _confidences(self.registry)
        self._waited = Histogram(
            "smallfirst_job_wait_seconds",
            "Seconds from joining the pool's backlog to being claimed.",
            ["pool"],
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._ended = EndedJobs(self.registry)
        self._fenced = Counter(
            "smallfirst_fenced_jobs",
            "Answers that were dropped, since the job had ended before.",
            ["pool", "model"],
            registry=self.registry,
        )

    def count_attempt(self, task: str, attempt: Attempt) -> None:
        """Count one answer, or none, of a model."""
        self._waited.labels(self._pool).observe(attempt.waited_seconds or 0.0)
        if attempt.confidence is not None:
            self._confidence.labels(task, str(attempt.step)).observe(attempt.confidence)

    def count_endings(self, settlements: Sequence[Settlement]) -> None:
        """Count the jobs that end with these."""
        self._ended.count(settlements)

    def count_positions(self, model: str, *, tokens: int, positions: int) -> None:
        """Count what a pass computed: `positions` of it, of which `tokens` were no padding."""
        self._positions.labels(self._pool, model, "token").inc(tokens)
        self._positions.labels(self._pool, model, "padding").inc(max(0, positions - tokens))

    def count_batch(self, model: str, *, num_jobs: int, num_fenced: int, seconds: float) -> None:
        """Count a batch that came to its end."""
        self.count_outcome(model, "settled")
        self._batch_jobs.labels(self._pool, model).observe(num_jobs)
        self._batch_seconds.labels(self._pool, model).observe(seconds)
        self._fenced.labels(self._pool, model).inc(num_fenced)

    def count_outcome(self, model: str, outcome: str) -> None:
        """Count a batch by what came of it."""
        self._batches.labels(self._pool, model, outcome).inc()


def _confidences(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "smallfirst_confidence",
        "Confidence of the answers.",
        ["task", "step"],
        buckets=CONFIDENCE_BUCKETS,
        registry=registry,
    )
