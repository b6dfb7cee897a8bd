"""The dashboard of the whole fleet: what waits, who answers, at what cost, and how well."""

from helm.dashboard_layout import Dashboard, Panel
from helm.dashboard_queries import booked, grown, part_of, per_attempt, quantile, share_of, told

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
                        ("age", told("smallfirst_oldest_job_age_seconds")),
                        ("ids ahead", told("smallfirst_job_ids_ahead_seconds")),
                    ],
                    unit="s",
                    about="Its age is not known while ids of submissions are ahead of the clock.",
                    kind="stat",
                ),
                Panel(
                    "Dead letters",
                    [
                        ("kept", told("smallfirst_dead_letters")),
                        ("written", told("smallfirst_dead_letters_written_total")),
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
                    "From submission to result",
                    [
                        ("{{task}}, half", quantile(0.5, "smallfirst_job_seconds", "task")),
                        ("{{task}}, 99 of 100", quantile(0.99, "smallfirst_job_seconds", "task")),
                    ],
                    unit="s",
                    about="However a job ended. Read off buckets: 0.3, 1, 3, 10, 30, 60, 300, 3600"
                    " and 86400 s.",
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
