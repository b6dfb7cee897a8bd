"""Writes the dashboards of Grafana that the chart installs: `files/dashboards/*.json`.

    python helm/dashboards.py

A test holds the files to this script, and every query to what a live fleet tells a Prometheus.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "smallfirst" / "files" / "dashboards"
#: Grafana's grid is 24 columns wide.
WIDTH, HEIGHT, COLUMNS = 8, 7, 3
#: Whoever is looked at; `namespace` is what Prometheus's operator calls the place of a pod.
HERE = 'namespace="$namespace"'
RATE = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One figure.

    Attributes:
        title: What it shows.
        queries: Legends and what stands behind them, in PromQL.
        unit: Of Grafana's: `short`, `s`, `percentunit`, `bytes`, `reqps`.
        about: What is worth knowing when one looks at it.
        kind: `timeseries`, `stat` or `heatmap`.
        is_stacked: Whether the lines add up.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    about: str = ""
    kind: str = "timeseries"
    is_stacked: bool = False


@dataclass(frozen=True)
class Dashboard:
    """One page of rows of panels."""

    uid: str
    title: str
    rows: Sequence[tuple[str, Sequence[Panel]]]


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


FLEET = Dashboard(
    uid="smallfirst-fleet",
    title="Smallfirst: the fleet",
    rows=(
        (
            "Now",
            (
                Panel(
                    "Jobs that wait",
                    [("jobs", told("smallfirst_jobs_unread", "pool", "stream"))],
                    kind="stat",
                ),
                Panel(
                    "The oldest job",
                    [
                        ("age", f"max(smallfirst_oldest_job_age_seconds{{{HERE}}})"),
                        ("ids ahead", f"max(smallfirst_job_ids_ahead_seconds{{{HERE}}})"),
                    ],
                    unit="s",
                    about="Its age is not known while ids of submissions are ahead of the clock.",
                    kind="stat",
                ),
                Panel(
                    "Dead letters",
                    [
                        ("letters", told("smallfirst_dead_letters")),
                        ("destroyed", told("smallfirst_destroyed_jobs_total", "producer")),
                    ],
                    about="smallfirst dead list says why, smallfirst dead replay sends them again."
                    " What was destroyed was trimmed away by somebody before it was settled.",
                    kind="stat",
                ),
                Panel(
                    "Producers that wait",
                    [("{{producer}}", told("smallfirst_producer_jobs", "producer", by="producer"))],
                    about="Jobs that no router has decided on yet.",
                ),
                Panel(
                    "Their oldest jobs",
                    [
                        (
                            "{{producer}}",
                            told(
                                "smallfirst_producer_oldest_job_age_seconds",
                                "producer",
                                by="producer",
                            ),
                        )
                    ],
                    unit="s",
                    about="Each has its share by weight; who submits more waits longer.",
                ),
            ),
        ),
        (
            "What comes of jobs",
            (
                Panel(
                    "Jobs that ended",
                    [("{{status}}", grown("smallfirst_ended_jobs_total", "status"))],
                    unit="reqps",
                    is_stacked=True,
                ),
                Panel(
                    "Which tier answers",
                    [
                        (
                            "{{tier}}",
                            booked("smallfirst_attempts_total", "tier", 'outcome="accepted"'),
                        )
                    ],
                    unit="reqps",
                    about="The smallest should carry most.",
                    is_stacked=True,
                ),
                Panel(
                    "Abstained",
                    [
                        (
                            "{{task}}",
                            part_of("smallfirst_ended_jobs_total", "task", 'status="abstained"'),
                        )
                    ],
                    unit="percentunit",
                    about="No step was sure enough.",
                ),
                Panel(
                    "Escalated",
                    [("{{task}} {{step}}", share_of("escalated", "task, step"))],
                    unit="percentunit",
                    about="A drift says that texts have changed, or a model has.",
                ),
                Panel(
                    "Failed attempts",
                    [("{{task}} {{step}}", share_of("failed", "task, step"))],
                    unit="percentunit",
                ),
                Panel(
                    "Refused submissions",
                    [
                        (
                            "refused",
                            grown(
                                "smallfirst_triaged_jobs_total", "decision", 'decision="refused"'
                            ),
                        )
                    ],
                    unit="reqps",
                ),
            ),
        ),
        (
            "People",
            (
                Panel(
                    "Jobs that wait for people",
                    [
                        (
                            "{{task}} {{state}}",
                            told("smallfirst_people_jobs", "task", "state", by="task, state"),
                        )
                    ],
                ),
                Panel(
                    "Their oldest, and the first wait to end",
                    [
                        (
                            "{{task}} oldest",
                            told("smallfirst_people_oldest_job_age_seconds", "task", by="task"),
                        ),
                        (
                            "{{task}} ends in",
                            told("smallfirst_people_first_end_seconds", "task", by="task"),
                        ),
                    ],
                    unit="s",
                    about="The end is that of a job that nobody has in hand.",
                ),
                Panel(
                    "The least that is left of a wait",
                    [
                        (
                            "{{task}}",
                            told("smallfirst_people_least_left_ratio", "task", by="task"),
                        )
                    ],
                    unit="percentunit",
                    about="At nought a job ends as `otherwise` says.",
                ),
                Panel(
                    "Answered by people",
                    [
                        (
                            "{{task}} {{outcome}}",
                            booked("smallfirst_attempts_total", "task, outcome", 'tier="human"'),
                        )
                    ],
                    unit="reqps",
                    about="Abstained: nobody came to it within its wait.",
                ),
            ),
        ),
        (
            "What it takes",
            (
                Panel(
                    "Worker seconds a second",
                    [
                        (
                            "{{task}} {{tier}}",
                            booked("smallfirst_worker_seconds_total", "task, tier"),
                        )
                    ],
                    about="So many workers are busy with it.",
                    is_stacked=True,
                ),
                Panel(
                    "Cost an hour",
                    [
                        (
                            "{{task}} {{tier}}",
                            f"3600 * {booked('smallfirst_cost_total', 'task, tier')}",
                        )
                    ],
                    about="In the catalogue's currency.",
                    is_stacked=True,
                ),
                Panel(
                    "Cost of a million attempts",
                    [
                        (
                            "{{task}} {{tier}}",
                            per_attempt("smallfirst_cost_total", "task, tier", times=1_000_000),
                        )
                    ],
                ),
            ),
        ),
        (
            "Accepted answers, checked blind",
            (
                Panel(
                    "Error among accepted answers",
                    [
                        ("{{task}}", told("smallfirst_audit_error_ratio", "task", by="task")),
                        (
                            "{{task}} at least",
                            told("smallfirst_audit_error_lower_ratio", "task", by="task"),
                        ),
                        (
                            "{{task}} at most",
                            told("smallfirst_audit_error_upper_ratio", "task", by="task"),
                        ),
                        (
                            "{{task}} promised",
                            told("smallfirst_audit_promised_ratio", "task", by="task"),
                        ),
                    ],
                    "percentunit",
                    "Of all answers accepted under the present promise. The interval holds at all"
                    " looks together.",
                ),
                Panel(
                    "Blind checks",
                    [
                        ("{{task}} done", told("smallfirst_audit_checks", "task", by="task")),
                        ("{{task}} wait", told("smallfirst_audit_waiting", "task", by="task")),
                        (
                            "{{task}} dropped",
                            told("smallfirst_audit_dropped_checks_total", "task", by="task"),
                        ),
                        (
                            "{{task}} promise broken",
                            told("smallfirst_audit_promise_broken", "task", by="task"),
                        ),
                    ],
                ),
                Panel(
                    "Reviewers' own errors",
                    [
                        (
                            "{{task}}",
                            told("smallfirst_audit_reviewer_error_ratio", "task", by="task"),
                        )
                    ],
                    "percentunit",
                    "On golden rows; taken off the error.",
                ),
            ),
        ),
    ),
)

POOLS = Dashboard(
    uid="smallfirst-pools",
    title="Smallfirst: pools, workers, Redis",
    rows=(
        (
            "What waits, and who works",
            (
                Panel(
                    "Unread, by pool",
                    [
                        (
                            "{{pool}}",
                            told("smallfirst_jobs_unread", "pool", "stream", by="pool"),
                        )
                    ],
                    about="@router stands for the routers' own two streams.",
                    is_stacked=True,
                ),
                Panel(
                    "In hand, by pool",
                    [
                        (
                            "{{pool}}",
                            told("smallfirst_jobs_pending", "pool", "stream", by="pool"),
                        ),
                        (
                            "{{pool}}, not started",
                            told("smallfirst_jobs_queued", "pool", "stream", by="pool"),
                        ),
                    ],
                ),
                Panel(
                    "Processes that live",
                    [("{{pool}}", told("smallfirst_workers", "pool", by="pool"))],
                ),
                Panel(
                    "From the backlog to the start",
                    [
                        (
                            "{{pool}}, half",
                            quantile(0.5, "smallfirst_job_wait_seconds", "pool"),
                        ),
                        (
                            "{{pool}}, 95 of 100",
                            quantile(0.95, "smallfirst_job_wait_seconds", "pool"),
                        ),
                    ],
                    unit="s",
                ),
                Panel(
                    "A batch, 95 of 100",
                    [
                        (
                            "{{pool}} {{model}}",
                            quantile(0.95, "smallfirst_batch_seconds", "pool, model"),
                        )
                    ],
                    unit="s",
                ),
                Panel(
                    "Batches that wait for a worker",
                    [("{{pool}}", told("smallfirst_queue_batches", "pool", by="pool"))],
                ),
            ),
        ),
        (
            "How well batches are used",
            (
                Panel(
                    "How full batches leave the router",
                    [("{{pool}} {{model}}", mean("smallfirst_batch_fill", "pool, model"))],
                    unit="percentunit",
                    about="Low where nobody waits; under load, where texts differ in length.",
                ),
                Panel(
                    "Jobs in a batch",
                    [("{{pool}} {{model}}", mean("smallfirst_batch_jobs", "pool, model"))],
                ),
                Panel(
                    "Padding",
                    [
                        (
                            "{{pool}} {{model}}",
                            part_of("smallfirst_positions_total", "pool, model", 'kind="padding"'),
                        )
                    ],
                    unit="percentunit",
                    about="Positions that are computed and hold no token.",
                ),
            ),
        ),
        (
            "How sure",
            (
                Panel(
                    "Confidence",
                    [("{{le}}", grown("smallfirst_confidence_bucket", "le"))],
                    kind="heatmap",
                ),
                Panel(
                    "Median confidence",
                    [("{{task}} {{step}}", quantile(0.5, "smallfirst_confidence", "task, step"))],
                    unit="percentunit",
                ),
                Panel(
                    "The least sure tenth",
                    [("{{task}} {{step}}", quantile(0.1, "smallfirst_confidence", "task, step"))],
                    unit="percentunit",
                ),
            ),
        ),
        (
            "What was rescued",
            (
                Panel(
                    "Workers that died",
                    [("{{pool}}", grown("smallfirst_lost_workers_total", "pool"))],
                ),
                Panel(
                    "Jobs taken over",
                    [
                        ("{{pool}}", grown("smallfirst_recovered_jobs_total", "pool")),
                        ("{{pool}} waited", grown("smallfirst_republished_jobs_total", "pool")),
                    ],
                ),
                Panel(
                    "Batches that did not settle, answers that came too late",
                    [
                        (
                            "{{pool}} {{outcome}}",
                            grown(
                                "smallfirst_batches_total", "pool, outcome", 'outcome!="settled"'
                            ),
                        ),
                        ("{{pool}} fenced", grown("smallfirst_fenced_jobs_total", "pool")),
                    ],
                ),
            ),
        ),
        (
            "Router and Redis",
            (
                Panel(
                    "A router's round, 95 of 100",
                    [("{{pod}}", quantile(0.95, "smallfirst_round_seconds", "pod"))],
                    unit="s",
                ),
                Panel(
                    "Redis's memory",
                    [
                        ("used", f"max(smallfirst_redis_memory_bytes{{{HERE}}})"),
                        ("bound", f"max(smallfirst_redis_max_memory_bytes{{{HERE}}})"),
                    ],
                    unit="bytes",
                ),
                Panel(
                    "Redis answers",
                    [("up", f"max(smallfirst_redis_up{{{HERE}}})")],
                    kind="stat",
                ),
            ),
        ),
    ),
)
DASHBOARDS = (FLEET, POOLS)


def page(dashboard: Dashboard) -> dict[str, Any]:
    """Lay a dashboard out as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in dashboard.rows:
        place = {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        panels += [_panel(panel, number, top + 1) for number, panel in enumerate(row)]
        top += 1 + HEIGHT * -(-len(row) // COLUMNS)
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["smallfirst"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, top: int) -> dict[str, Any]:
    place = {"x": WIDTH * (number % COLUMNS), "y": top + HEIGHT * (number // COLUMNS)}
    source = {"type": "prometheus", "uid": "${datasource}"}
    is_heatmap = panel.kind == "heatmap"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": {**place, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": source,
                "expr": query,
                "legendFormat": legend,
                "format": "heatmap" if is_heatmap else "time_series",
            }
            for place, (legend, query) in enumerate(panel.queries)
        ],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    stacking = {"mode": "normal" if panel.is_stacked else "none"}
    custom = {"fillOpacity": 30 if panel.is_stacked else 5, "stacking": stacking}
    return {"unit": panel.unit, "min": 0, "custom": custom}


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "namespace",
            "type": "query",
            "label": "Namespace",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "query": "label_values(smallfirst_redis_up, namespace)",
            "refresh": 2,
        },
    ]


def written(dashboard: Dashboard) -> str:
    """Give a dashboard's file."""
    return json.dumps(page(dashboard), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.uid}.json").write_text(written(dashboard), "utf-8")


if __name__ == "__main__":
    main()
