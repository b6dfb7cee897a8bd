"""The dashboard of what computes: pools, workers, routers, Redis."""

from helm.dashboard_layout import COST, Dashboard, Panel
from helm.dashboard_queries import (
    chosen,
    grown,
    mean,
    part_of,
    quantile,
    running,
    spent,
    told,
    told_growth,
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
                    "@router stands for the routers' own two streams.",
                    [
                        (
                            "{{pool}}",
                            told("smallfirst_jobs_unread", "pool", "stream", by="pool"),
                        )
                    ],
                    is_stacked=True,
                ),
                Panel(
                    "In hand, by pool",
                    "What a router has dispatched: in the queue, not started, or being worked on.",
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
                    "Who has said so within 7 seconds; @router stands for the routers.",
                    [("{{pool}}", told("smallfirst_workers", "pool", by="pool"))],
                ),
                Panel(
                    "From the backlog to the start",
                    "The wait for a worker; where it grows, the pool needs more of them.",
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
                    "From taking a batch to settling its last job.",
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
                    "At most two for each live worker: routers form the others when there is room.",
                    [("{{pool}}", told("smallfirst_queue_batches", "pool", by="pool"))],
                ),
            ),
        ),
        (
            "How well batches are used",
            (
                Panel(
                    "How full batches leave the router",
                    "Low where nobody waits; under load, where texts differ in length.",
                    [("{{pool}} {{model}}", mean("smallfirst_batch_fill", "pool, model"))],
                    unit="percentunit",
                ),
                Panel(
                    "Jobs in a batch",
                    "Those that the worker could claim; where jobs wait and batches "
                    "are small, texts are long.",
                    [("{{pool}} {{model}}", mean("smallfirst_batch_jobs", "pool, model"))],
                ),
                Panel(
                    "Padding",
                    "Positions that are computed and hold no token.",
                    [
                        (
                            "{{pool}} {{model}}",
                            part_of("smallfirst_positions_total", "pool, model", 'kind="padding"'),
                        )
                    ],
                    unit="percentunit",
                ),
            ),
        ),
        (
            "How sure",
            (
                Panel(
                    "Confidence",
                    "Answers a second by how sure the model was; a shift says that texts "
                    "have changed, or the model.",
                    [("{{le}}", grown("smallfirst_confidence_bucket", "le"))],
                    unit="cps",
                    kind="heatmap",
                ),
                Panel(
                    "Median confidence",
                    "Half of the answers of a step are surer than that.",
                    [("{{task}} {{step}}", quantile(0.5, "smallfirst_confidence", "task, step"))],
                    unit="percentunit",
                ),
                Panel(
                    "The least sure tenth",
                    "One in ten answers is less sure than that; near the threshold, many are "
                    "escalated.",
                    [("{{task}} {{step}}", quantile(0.1, "smallfirst_confidence", "task, step"))],
                    unit="percentunit",
                ),
            ),
        ),
        (
            "What the pools' time goes to",
            (
                Panel(
                    "Seconds a second, by use",
                    "So many workers ask models for jobs, work in vain, handle batches, are idle or"
                    " load; @router stands for the routers, in seconds of their processors.",
                    [("{{pool}} {{use}}", spent("seconds"))],
                    unit="short",
                    is_stacked=True,
                ),
                Panel(
                    "Cost an hour, by use",
                    "What is asked is charged to jobs; all else is paid for and charged to nobody.",
                    [("{{pool}} {{use}}", f"3600 * {spent('cost')}")],
                    unit=COST,
                    is_stacked=True,
                ),
                Panel(
                    "Power, by use",
                    "Where workers can read a meter; 0 where they cannot.",
                    [("{{pool}} {{use}}", spent("joules"))],
                    unit="watt",
                    is_stacked=True,
                ),
            ),
        ),
        (
            "What was rescued",
            (
                Panel(
                    "Workers that died",
                    "Workers a second that fell silent without signing off: killed, "
                    "out of memory, or cut off.",
                    [("{{pool}}", grown("smallfirst_lost_workers_total", "pool"))],
                    unit="cps",
                ),
                Panel(
                    "Jobs taken over",
                    "Jobs a second that had been in the hands of somebody who died, "
                    "or waited so long in a queue that they were sent again.",
                    [
                        ("{{pool}}", grown("smallfirst_recovered_jobs_total", "pool")),
                        ("{{pool}} waited", grown("smallfirst_republished_jobs_total", "pool")),
                    ],
                    unit="cps",
                ),
                Panel(
                    "Batches that did not settle, answers that came too late",
                    "Given back, failed or broken batches; answers to jobs that had ended before.",
                    [
                        (
                            "{{pool}} {{outcome}}",
                            grown(
                                "smallfirst_batches_total", "pool, outcome", 'outcome!="settled"'
                            ),
                        ),
                        ("{{pool}} fenced", grown("smallfirst_fenced_jobs_total", "pool")),
                    ],
                    unit="cps",
                ),
            ),
        ),
        (
            "Router and Redis",
            (
                Panel(
                    "A router's round, 95 of 100",
                    "Reading, deciding, dispatching; near a quarter of a second is a "
                    "router that waits for work.",
                    [("{{pod}}", quantile(0.95, "smallfirst_round_seconds", "pod"))],
                    unit="s",
                ),
                Panel(
                    "Redis's memory",
                    "Of the fullest server. At its bound Redis refuses submissions; "
                    "nothing that was accepted is lost.",
                    [
                        ("used", told("smallfirst_redis_memory_bytes")),
                        ("bound", told("smallfirst_redis_max_memory_bytes")),
                    ],
                    unit="bytes",
                ),
                Panel(
                    "Redis answers",
                    "Whether the exporter reached Redis at its last scrape: 1 or 0.",
                    [("up", told("smallfirst_redis_up"))],
                    kind="stat",
                ),
                Panel(
                    "Redis and its disk",
                    "1 is well: an append-only file is kept, its last write succeeded, and so did "
                    "the last snapshot. At 0 what was confirmed may be lost in a restart.",
                    [
                        ("append-only file", told("smallfirst_redis_aof_enabled")),
                        ("its last write", told("smallfirst_redis_aof_write_ok")),
                        ("last snapshot", told("smallfirst_redis_rdb_save_ok")),
                    ],
                ),
                Panel(
                    "What Redis had no room or time for",
                    "Keys thrown away, which is never to be: jobs may be among them. And waits for "
                    "a slow disk, each of which makes everybody wait.",
                    [
                        ("evicted keys", told_growth("smallfirst_redis_evicted_keys_total")),
                        (
                            "waits for the disk",
                            told_growth("smallfirst_redis_aof_delayed_fsync_total"),
                        ),
                    ],
                    unit="cps",
                ),
            ),
        ),
        (
            "What runs",
            (
                Panel(
                    "Versions",
                    "Processes by component and version; two of one component are an upgrade under "
                    "way, or one that stuck.",
                    [
                        (
                            "{{component}} {{version}}, Python {{python}}",
                            running("smallfirst_build_info", "component, version, python"),
                        )
                    ],
                    is_stacked=True,
                ),
                Panel(
                    "Catalogues",
                    "Processes by the revision of the catalogue that they have read; one that "
                    "stays at an older one has refused the new one, and its log says why.",
                    [
                        (
                            "{{component}} {{revision}}",
                            running("smallfirst_catalogue_info", "component, revision"),
                        )
                    ],
                    is_stacked=True,
                ),
                Panel(
                    "Restarts within an hour",
                    "Each process that began anew under the same pod's name; what was in its hands "
                    "is another's by then.",
                    [
                        (
                            "{{pod}}",
                            f"sum by (pod) (changes({chosen('process_start_time_seconds')}[1h]))",
                        )
                    ],
                ),
            ),
        ),
    ),
)
