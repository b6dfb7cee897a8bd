"""The dashboard of the whole fleet: what waits, who answers, at what cost, and how well."""

from helm.dashboard_layout import COST, Dashboard, Panel
from helm.dashboard_queries import booked, grown, part_of, per_attempt, quantile, share_of, told

_QUANTITY = ("task", "quantity", "step")


def _drift(name: str) -> str:
    """Read what is said of each quantity of a task."""
    return told(f"smallfirst_drift_{name}", *_QUANTITY, by=", ".join(_QUANTITY))


FLEET = Dashboard(
    uid="smallfirst-fleet",
    title="Smallfirst: the fleet",
    rows=(
        (
            "Now",
            (
                Panel(
                    "Jobs that wait",
                    "Submissions that no router has read, and jobs that wait for a pool "
                    "or for the next step.",
                    [("jobs", told("smallfirst_jobs_unread", "pool", "stream"))],
                    kind="stat",
                ),
                Panel(
                    "The oldest job",
                    "Its age is not known while ids of submissions are ahead of the clock.",
                    [
                        ("age", told("smallfirst_oldest_job_age_seconds")),
                        ("ids ahead", told("smallfirst_job_ids_ahead_seconds")),
                    ],
                    unit="s",
                    kind="stat",
                ),
                Panel(
                    "Dead letters",
                    "smallfirst dead list says why, smallfirst dead replay sends them again."
                    " What was destroyed was trimmed away by somebody before it was settled.",
                    [
                        ("kept", told("smallfirst_dead_letters")),
                        ("written", told("smallfirst_dead_letters_written_total")),
                        ("destroyed", told("smallfirst_destroyed_jobs_total", "producer")),
                    ],
                    kind="stat",
                ),
                Panel(
                    "Records that wait",
                    "Results that the keeper of the audit log has not taken up; from 100,000 of a "
                    "slice on, results have no record. 0 where no log is kept.",
                    [
                        ("waiting", told("smallfirst_audit_log_waiting_records")),
                        ("lost", told("smallfirst_audit_log_lost_records_total")),
                    ],
                    kind="stat",
                ),
                Panel(
                    "Producers that wait",
                    "Jobs that no router has decided on yet.",
                    [("{{producer}}", told("smallfirst_producer_jobs", "producer", by="producer"))],
                ),
                Panel(
                    "Their oldest jobs",
                    "Each has its share by weight; who submits more waits longer.",
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
                ),
            ),
        ),
        (
            "What comes of jobs",
            (
                Panel(
                    "Jobs that ended",
                    "Results by status. What is answered and abstained is as it should "
                    "be; expired and failed is not.",
                    [("{{status}}", grown("smallfirst_ended_jobs_total", "status"))],
                    unit="cps",
                    is_stacked=True,
                ),
                Panel(
                    "From submission to result",
                    "However a job ended. Read off buckets: 0.3, 1, 3, 10, 30, 60, 300, 3600"
                    " and 86400 s.",
                    [
                        ("{{task}}, half", quantile(0.5, "smallfirst_job_seconds", "task")),
                        ("{{task}}, 99 of 100", quantile(0.99, "smallfirst_job_seconds", "task")),
                    ],
                    unit="s",
                ),
                Panel(
                    "Which tier answers",
                    "The smallest should carry most.",
                    [
                        (
                            "{{tier}}",
                            booked("smallfirst_attempts_total", "tier", 'outcome="accepted"'),
                        )
                    ],
                    unit="cps",
                    is_stacked=True,
                ),
                Panel(
                    "Abstained",
                    "No step was sure enough.",
                    [
                        (
                            "{{task}}",
                            part_of("smallfirst_ended_jobs_total", "task", 'status="abstained"'),
                        )
                    ],
                    unit="percentunit",
                ),
                Panel(
                    "Escalated",
                    "A drift says that texts have changed, or a model has.",
                    [("{{task}} {{step}}", share_of("escalated", "task, step"))],
                    unit="percentunit",
                ),
                Panel(
                    "Failed attempts",
                    "Share of the attempts in which a model gave an error, and no answer.",
                    [("{{task}} {{step}}", share_of("failed", "task, step"))],
                    unit="percentunit",
                ),
                Panel(
                    "Refused submissions",
                    "What was no job, or none that the catalogue serves; smallfirst dead list says "
                    "why.",
                    [
                        (
                            "refused",
                            grown(
                                "smallfirst_triaged_jobs_total", "decision", 'decision="refused"'
                            ),
                        )
                    ],
                    unit="cps",
                ),
            ),
        ),
        (
            "People",
            (
                Panel(
                    "Jobs that wait for people",
                    "Waiting, in somebody's hands, or decided and not final yet.",
                    [
                        (
                            "{{task}} {{state}}",
                            told("smallfirst_people_jobs", "task", "state", by="task, state"),
                        )
                    ],
                ),
                Panel(
                    "Their oldest, and the first wait to end",
                    "The end is that of a job that nobody has in hand.",
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
                ),
                Panel(
                    "The least that is left of a wait",
                    "At nought a job ends as `otherwise` says.",
                    [
                        (
                            "{{task}}",
                            told("smallfirst_people_least_left_ratio", "task", by="task"),
                        )
                    ],
                    unit="percentunit",
                ),
                Panel(
                    "Answered by people",
                    "Abstained: nobody came to it within its wait.",
                    [
                        (
                            "{{task}} {{outcome}}",
                            booked("smallfirst_attempts_total", "task, outcome", 'tier="human"'),
                        )
                    ],
                    unit="cps",
                ),
            ),
        ),
        (
            "What it takes",
            (
                Panel(
                    "Worker seconds a second",
                    "So many workers are busy with it.",
                    [
                        (
                            "{{task}} {{tier}}",
                            booked("smallfirst_worker_seconds_total", "task, tier"),
                        )
                    ],
                    unit="short",
                    is_stacked=True,
                ),
                Panel(
                    "Cost an hour",
                    "By the prices in the catalogue, in its currency.",
                    [
                        (
                            "{{task}} {{tier}}",
                            f"3600 * {booked('smallfirst_cost_total', 'task, tier')}",
                        )
                    ],
                    unit=COST,
                    is_stacked=True,
                ),
                Panel(
                    "Cost of a million attempts",
                    "By the prices in the catalogue; the seconds of a worker that is "
                    "idle cost nothing here.",
                    [
                        (
                            "{{task}} {{tier}}",
                            per_attempt("smallfirst_cost_total", "task, tier", times=1_000_000),
                        )
                    ],
                    unit=COST,
                ),
                Panel(
                    "Tokens a second",
                    "Those that models read, and those that they wrote.",
                    [
                        (
                            "{{task}} {{tier}}, {{kind}}",
                            booked(
                                "smallfirst_tokens_total",
                                "task, tier, kind",
                                labels="task, step, tier, outcome, kind",
                            ),
                        )
                    ],
                    unit="cps",
                    is_stacked=True,
                ),
                Panel(
                    "Power of attempts",
                    "Where workers can read a meter; 0 where they cannot.",
                    [
                        (
                            "{{task}} {{tier}}",
                            booked("smallfirst_joules_total", "task, tier"),
                        )
                    ],
                    unit="watt",
                    is_stacked=True,
                ),
            ),
        ),
        (
            "Accepted answers, checked blind",
            (
                Panel(
                    "Error among accepted answers",
                    "Of all answers accepted under the present promise. The interval holds at all"
                    " looks together.",
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
                    unit="percentunit",
                ),
                Panel(
                    "Blind checks",
                    "Done under the present promise, waiting for people, and dropped "
                    "since nobody came; broken is 0 or 1.",
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
                    "On golden rows; taken off the error.",
                    [
                        (
                            "{{task}}",
                            told("smallfirst_audit_reviewer_error_ratio", "task", by="task"),
                        )
                    ],
                    unit="percentunit",
                ),
            ),
        ),
        (
            "Jobs beside the rows they were calibrated on",
            (
                Panel(
                    "Proof of drift",
                    "By quantity: lengths, labels, confidence, escalation. At 1 it is proven that"
                    " jobs have changed; an alarm wants a large change besides.",
                    [
                        ("{{task}} {{quantity}} {{step}}", _drift("evidence_ratio")),
                        ("{{task}} {{quantity}} {{step}} alarm", _drift("alarm")),
                    ],
                ),
                Panel(
                    "Population stability index",
                    "Below 0.1 a change is small, from 0.25 on large.",
                    [("{{task}} {{quantity}} {{step}}", _drift("stability_index"))],
                ),
                Panel(
                    "What drift has in force",
                    "1 while a task's thresholds are raised, or more of its answers checked, since"
                    " its jobs have drifted.",
                    [
                        (
                            "{{task}} {{alarm}}",
                            told("smallfirst_drift_in_force", "task", "alarm", by="task, alarm"),
                        )
                    ],
                ),
            ),
        ),
    ),
)
