"""What audits say of tasks, as metrics: the error among accepted answers, and what was promised."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from smallfirst.audit.reporting import AuditReport

_GAUGES: Mapping[str, tuple[str, Callable[[AuditReport], float | None]]] = {
    "error_ratio": ("The estimated share of accepted answers that are wrong.", lambda r: r.rate),
    "error_lower_ratio": ("The lower end of the interval of that share.", lambda r: r.lower),
    "error_upper_ratio": ("The upper end of the interval of that share.", lambda r: r.upper),
    "promised_ratio": (
        "The share of accepted answers that is promised to be wrong at most.",
        lambda r: r.target,
    ),
    "promise_broken": (
        "Whether the whole interval lay above the promise at some time since it was made.",
        lambda r: float(r.is_broken),
    ),
    "reviewer_error_ratio": (
        "The share of golden rows that reviewers answer wrongly.",
        lambda r: r.slips,
    ),
    "checks": (
        "Accepted answers that were checked blind under the present promise.",
        lambda r: r.num_checks,
    ),
    "waiting": ("Texts that wait to be answered blind.", lambda r: r.num_waiting),
}


def audit_metrics(reports: Mapping[str, AuditReport]) -> Iterator[Metric]:
    """Tell what audits say, by task; what is not known yet has no sample."""
    for name, (words, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(f"smallfirst_audit_{name}", words, labels=["task"])
        for task, report in reports.items():
            if (told := value(report)) is not None:
                gauge.add_metric([task], float(told))
        yield gauge
    words = "Checks that nobody answered in time, or that had no room."
    dropped = CounterMetricFamily("smallfirst_audit_dropped_checks", words, labels=["task"])
    for task, report in reports.items():
        dropped.add_metric([task], float(report.num_dropped))
    yield dropped
