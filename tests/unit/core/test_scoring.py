"""The report: results and gold, summed up as rows."""

import json
import math
import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, Span, SpansAnswer, VectorAnswer
from smallfirst.cli.report import Histogram, Report
from smallfirst.jobs import Attempt, Outcome, Result, Status, Tier
from smallfirst.kinds import Gold
from smallfirst.kinds.scoring import Score

START = datetime(2026, 11, 23, tzinfo=UTC)


def attempt(
    step: int, tier: Tier, outcome: Outcome, *, seconds: float = 0.0, cost: float = 0.0
) -> Attempt:
    """One step tried, by a model named after its tier."""
    return Attempt(
        step=step,
        tier=tier,
        model=f"the-{tier}",
        revision="1",
        outcome=outcome,
        seconds=seconds,
        cost=cost,
    )


def result(
    *trail: Attempt,
    status: Status = Status.ANSWERED,
    answer: Answer | None = None,
    seconds: float = 1.0,
    task: str = "topic",
) -> Result:
    """A job's end, after so many seconds."""
    finished = START + timedelta(seconds=seconds)
    return Result(
        id="job-1",
        task=task,
        status=status,
        answer=answer,
        trail=trail,
        submitted_at=START,
        finished_at=finished,
    )


def by_rule(confidence: float = 1.0, label: str = "billing") -> Result:
    """A job that a rule answered."""
    answer = LabelAnswer(label=label, confidence=confidence)
    return result(attempt(0, Tier.RULE, Outcome.ACCEPTED, seconds=0.001), answer=answer)


def by_slm(confidence: float = 0.8, label: str = "billing", seconds: float = 1.0) -> Result:
    """A job that a rule passed on and a small model answered."""
    return result(
        attempt(0, Tier.RULE, Outcome.ESCALATED, seconds=0.001),
        attempt(1, Tier.SLM, Outcome.ACCEPTED, seconds=0.02, cost=0.5),
        answer=LabelAnswer(label=label, confidence=confidence),
        seconds=seconds,
    )


def test_a_job_counts_in_the_row_of_the_step_that_answered() -> None:
    """A row holds the jobs its step answered, their share of the task, and how sure it was."""
    report = Report()
    for end in (by_rule(), by_slm(0.7), by_slm(0.9), by_slm(0.8)):
        report.add(end)
    rule, slm = report.rows()
    assert (rule.tier, rule.model, rule.jobs, rule.share) == (Tier.RULE, "the-rule", 1, 0.25)
    assert (slm.tier, slm.step, slm.jobs, slm.share) == (Tier.SLM, 1, 3, 0.75)
    assert slm.mean_confidence == pytest.approx(0.8)


def test_what_a_step_spent_in_vain_is_its_own() -> None:
    """Seconds and cost stand with the step that spent them, so the rows add up to the whole."""
    report = Report()
    report.add(by_slm())
    unsure = attempt(1, Tier.SLM, Outcome.ABSTAINED, seconds=0.03, cost=0.25)
    report.add(result(unsure, status=Status.ABSTAINED))
    rule, slm, abstained = report.rows()
    assert (rule.jobs, rule.tried, rule.mean_confidence) == (0, 1, None)
    assert (slm.jobs, slm.tried, slm.cost) == (1, 2, 0.75)
    assert slm.worker_seconds == pytest.approx(0.05)
    assert (abstained.status, abstained.jobs, abstained.cost) == (Status.ABSTAINED, 1, 0.0)
    assert sum(row.cost for row in report.rows()) == report.cost


def test_ends_without_an_answer_have_rows_after_the_steps() -> None:
    """Each way to end without an answer is a row of its own, without confidence or score."""
    report = Report()
    for status in (Status.FAILED, Status.ABSTAINED, Status.FAILED):
        report.add(result(status=status), gold="billing")
    report.add(by_rule())
    rows = report.rows()
    assert [(row.status, row.jobs) for row in rows] == [
        (Status.ANSWERED, 1),
        (Status.ABSTAINED, 1),
        (Status.FAILED, 2),
    ]
    assert all(row.score is None and row.tier is None for row in rows[1:])
    assert report.count(Status.FAILED) == 2


def test_what_a_newer_version_wrote_has_its_row() -> None:
    """A status, a tier and a kind of answer that are not known here are counted under their own."""
    report = Report()
    written = json.loads(by_slm().to_json())
    written["trail"][-1]["tier"] = "linear"
    written["answer"] = {"kind": "table", "confidence": 0.5}
    newer = [written, {**written, "status": "postponed", "trail": []}]
    for end in newer:
        report.add(Result.model_validate_json(json.dumps(end)), gold="billing")
    report.add(result(status=Status.FAILED))
    assert [str(row.tier or row.status) for row in report.rows()] == [
        "rule",
        "linear",
        "failed",
        "postponed",
    ]
    assert report.as_json()["statuses"] == {"answered": 1, "failed": 1, "postponed": 1}
    assert report.score("topic").value is None


def test_tasks_do_not_mix() -> None:
    """Rows and shares are of one task."""
    report = Report()
    report.add(by_rule())
    report.add(result(task="pii", status=Status.FAILED))
    assert [(row.task, row.share) for row in report.rows()] == [("pii", 1.0), ("topic", 1.0)]


@pytest.mark.parametrize(
    ("answer", "gold", "measure", "value"),
    [
        (LabelAnswer(label="a", confidence=1.0), "a", "accuracy", 1.0),
        (LabelAnswer(label="a", confidence=1.0), "b", "accuracy", 0.0),
        (LabelsAnswer(labels=("a", "b"), confidence=1.0), frozenset("ba"), "exact set", 1.0),
        (LabelsAnswer(labels=("a",), confidence=1.0), frozenset("ab"), "exact set", 0.0),
        (LabelsAnswer(labels=(), confidence=1.0), frozenset[str](), "exact set", 1.0),
        (SpansAnswer(spans=(), confidence=1.0), frozenset[str](), "span F1", 1.0),
        (SpansAnswer(spans=(), confidence=1.0), frozenset({(0, 4, "name")}), "span F1", 0.0),
        (SpansAnswer(spans=(), confidence=1.0), "a", None, None),
        (SpansAnswer(spans=(), confidence=1.0), frozenset("a"), None, None),
        (VectorAnswer(vector=(1.0,)), "a", None, None),
    ],
)
def test_an_answer_is_compared_by_the_measure_of_its_kind(
    answer: Answer, gold: Gold, measure: str | None, value: float | None
) -> None:
    """Labels must be equal, sets exact, spans exact; gold of another kind is left alone."""
    score = Score()
    score.add(answer, gold)
    assert (score.measure, score.value) == (measure, value)


def test_spans_are_scored_over_all_texts_together() -> None:
    """Span F1 is micro: 2 right of 3 said and 3 wanted, in two texts, is 2/3; labels must agree."""
    score = Score()
    said = (Span(start=0, end=4, label="name"), Span(start=9, end=12, label="phone"))
    gold = frozenset({(0, 4, "name"), (9, 12, "date")})
    score.add(SpansAnswer(spans=said, confidence=0.5), gold)
    one = Span(start=3, end=5, label="name")
    score.add(SpansAnswer(spans=(one,), confidence=0.5), frozenset({(3, 5, "name")}))
    assert score.value == pytest.approx(2 / 3)
    assert score.num_scored == 2


def test_a_task_is_scored_over_all_its_steps() -> None:
    """A task's score counts every accepted answer; what was abstained from does not count."""
    report = Report()
    report.add(by_rule(label="billing"), gold="billing")
    report.add(by_slm(label="billing"), gold="return")
    report.add(result(status=Status.ABSTAINED), gold="return")
    assert report.score("topic").value == 0.5
    assert [row.score for row in report.rows()] == [1.0, 0.0, None]


def test_quantiles_are_within_one_percent() -> None:
    """A histogram's quantiles differ from the exact ones by at most 1 %, from 1 ms to a day."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - a random run prints its seed
    values = sorted(math.exp(random.Random(seed).uniform(-7, 11)) for _ in range(4000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for share in (0.01, 0.5, 0.95, 1.0):
        exact = values[math.ceil(share * len(values)) - 1]
        assert histogram.quantile(share) == pytest.approx(exact, rel=0.0102)


def test_an_empty_report_has_nothing_to_say() -> None:
    """Without results there are no rows and no quantiles, and nothing divides by zero."""
    report = Report()
    assert report.rows() == []
    assert report.quantile(0.5) is None
    assert report.as_json()["jobs"] == 0


def test_a_report_does_not_grow_with_the_results() -> None:
    """Twenty thousand more results leave the memory of a report where it was."""
    report = Report()
    ends = [by_slm(seconds=1.1**n) for n in range(120)]
    for end in ends:
        report.add(end, gold="billing")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for n in range(20_000):
        report.add(ends[n % len(ends)], gold="billing")
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.num_jobs == 20_120
    assert after - before < 20_000


def test_json_leaves_out_what_a_row_does_not_have() -> None:
    """A row in JSON has no nulls: what is absent does not apply."""
    report = Report()
    report.add(by_rule(), gold="billing")
    report.add(result(status=Status.FAILED))
    summary = report.as_json()
    assert summary["statuses"] == {"answered": 1, "failed": 1}
    assert summary["scores"] == {"topic": {"measure": "accuracy", "score": 1.0, "num_scored": 1}}
    assert "tier" not in summary["rows"][1]
    assert None not in [value for row in summary["rows"] for value in row.values()]
