"""The dashboard of what computes: pools, workers, routers, Redis."""

from helm.dashboard_layout import Dashboard, Panel
from helm.dashboard_queries import grown, mean, part_of, quantile, told

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
                        ("used", told("smallfirst_redis_memory_bytes")),
                        ("bound", told("smallfirst_redis_max_memory_bytes")),
                    ],
                    unit="bytes",
                ),
                Panel(
                    "Redis answers",
                    [("up", told("smallfirst_redis_up"))],
                    kind="stat",
                ),
            ),
        ),
    ),
)
