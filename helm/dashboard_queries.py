"""Queries of Prometheus that panels are made of: each reads one metric in one way."""

#: Whoever is looked at; `namespace` is what Prometheus's operator calls the place of a pod.
HERE = 'namespace="$namespace"'
RATE = "$__rate_interval"


def told(metric: str, *labels: str, by: str = "") -> str:
    """Read a gauge of the exporter, of which any number of replicas say the same."""
    inner = f"max by ({', '.join(labels) or 'namespace'}) ({metric}{{{HERE}}})"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def booked(metric: str, by: str, where: str = "") -> str:
    """Read how fast a counter of the exporter grows, whichever replica says so."""
    chosen = f"{HERE}, {where}" if where else HERE
    rate = f"rate({metric}{{{chosen}}}[{RATE}])"
    return f"sum by ({by}) (max by (task, step, tier, outcome) ({rate}))"


def grown(metric: str, by: str, where: str = "") -> str:
    """Read how fast a counter of routers or workers grows, all of them together."""
    chosen = f"{HERE}, {where}" if where else HERE
    return f"sum by ({by}) (rate({metric}{{{chosen}}}[{RATE}]))"


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
    chosen = booked("smallfirst_attempts_total", by, f'outcome="{outcome}"')
    return f"{chosen} / {booked('smallfirst_attempts_total', by)}"
