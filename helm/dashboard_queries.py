"""Queries of Prometheus that panels are made of: each reads one metric in one way."""

#: The fleet that is looked at, as PodMonitors label its series.
HERE = 'namespace="$namespace", release="$release"'
RATE = "$__rate_interval"
_OF_ATTEMPTS = "task, step, tier, outcome"
#: What can be narrowed to some tasks, and to some pools: how names of metrics that have that label
#: begin. A metric without the label would show nothing where somebody chooses.
_BY_LABEL = {
    "task": (
        "attempts",
        "worker_seconds",
        "cost",
        "tokens",
        "joules",
        "ended_jobs",
        "job_seconds",
        "confidence",
        "people_",
        "audit_",
        "drift_",
    ),
    "pool": (
        "jobs_",
        "oldest_job_age",
        "queue_batches",
        "workers",
        "batch",
        "positions",
        "job_wait",
        "fenced_jobs",
        "recovered_jobs",
        "republished_jobs",
        "lost_workers",
        "pool_",
    ),
}


def chosen(metric: str, where: str = "") -> str:
    """Choose a metric's series: of the fleet, and of the tasks or pools that somebody chose."""
    name = metric.removeprefix("smallfirst_")
    narrowed = [f'{label}=~"${label}"' for label, of in _BY_LABEL.items() if name.startswith(of)]
    return f"{metric}{{{', '.join((HERE, *narrowed, *filter(None, (where,))))}}}"


def told(metric: str, *labels: str, by: str = "") -> str:
    """Read a gauge of the exporter, of which any number of replicas say the same."""
    inner = f"max by ({', '.join(labels) or 'release'}) ({chosen(metric)})"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def told_growth(metric: str) -> str:
    """Read how fast a counter of the exporter grows that has no labels."""
    return f"max(rate({chosen(metric)}[{RATE}]))"


def running(metric: str, by: str) -> str:
    """Count the processes that say each thing of themselves."""
    return f"count by ({by}) ({chosen(metric)})"


def booked(metric: str, by: str, where: str = "", *, labels: str = _OF_ATTEMPTS) -> str:
    """Read how fast a counter of the exporter grows, whichever replica says so."""
    rate = f"rate({chosen(metric, where)}[{RATE}])"
    return f"sum by ({by}) (max by ({labels}) ({rate}))"


def spent(unit: str) -> str:
    """Read what pools spend in a second, by what for."""
    return booked(f"smallfirst_pool_{unit}_total", "pool, use", labels="pool, use")


def grown(metric: str, by: str, where: str = "") -> str:
    """Read how fast a counter of routers or workers grows, all of them together."""
    return f"sum by ({by}) (rate({chosen(metric, where)}[{RATE}]))"


def quantile(share: float, metric: str, by: str) -> str:
    """Read below what that share of a histogram's observations lie."""
    return f"histogram_quantile({share}, {grown(metric + '_bucket', f'le, {by}')})"


def mean(metric: str, by: str) -> str:
    """Read the mean of a histogram's observations."""
    return f"{grown(metric + '_sum', by)} / {grown(metric + '_count', by)}"


def per_attempt(metric: str, by: str, *, times: int) -> str:
    """Read how much of what is booked falls to so many attempts."""
    return f"{times} * {booked(metric, by)} / {booked('smallfirst_attempts_total', by)}"


def part_of(metric: str, by: str, where: str) -> str:
    """Read what share of what routers or workers counted has some label."""
    return f"{grown(metric, by, where)} / {grown(metric, by)}"


def share_of(outcome: str, by: str) -> str:
    """Read what share of the attempts had an outcome."""
    part = booked("smallfirst_attempts_total", by, f'outcome="{outcome}"')
    return f"{part} / {booked('smallfirst_attempts_total', by)}"
