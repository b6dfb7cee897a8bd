"""What keeps a run over labelled rows from having figures, and what does not."""

from datetime import UTC, datetime

import pytest

from smallfirst.answers import Explanation, ExplanationMethod, LabelAnswer
from smallfirst.catalogue import Example
from smallfirst.evaluation.asking_why import AnswerPlace, reasons_in, telling
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scores import Scores, StepAbout
from smallfirst.evaluation.scoring_run import missing
from smallfirst.jobs import Attempt, Outcome, Problem, Result, Status, Tier

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROWS = [Row(2 * number, Example(text=f"text {number}", label="a")) for number in range(100)]


def result(status: Status, outcome: Outcome) -> Result:
    """A job that one step was tried on."""
    attempt = Attempt(
        step=0, tier=Tier.SLM, model="m", revision="1", outcome=outcome, reason="Nothing to read."
    )
    problem = Problem(code="model_error", message="said of the job")
    return Result(
        id="x", status=status, problem=problem, trail=(attempt,), submitted_at=NOW, finished_at=NOW
    )


GOOD = result(Status.ANSWERED, Outcome.ACCEPTED)
FAILED = result(Status.FAILED, Outcome.FAILED)
#: A job that ended as a dead letter, after another step had answered.
POISON = result(Status.FAILED, Outcome.ESCALATED)


@pytest.mark.parametrize("num_failed", [1, 5])
def test_a_text_that_a_model_cannot_read_ends_nothing(num_failed: int) -> None:
    """Up to one row in twenty may fail in its step, and the run has its figures."""
    assert not list(missing(ROWS, [[FAILED] * num_failed + [GOOD] * (100 - num_failed)]))
    assert not list(missing(ROWS[:10], [[FAILED] * 3 + [GOOD] * 7]))


def test_a_step_that_fails_often_has_no_figures() -> None:
    """More failures than that are the model's, and every row of them is named with its reason."""
    bad = list(missing(ROWS, [[GOOD] * 100, [FAILED] * 6 + [GOOD] * 94]))
    assert [(each.step, each.line) for each in bad] == [(1, 2 * number) for number in range(6)]
    assert bad[0].message == "Nothing to read."
    assert len(list(missing(ROWS[:2], [[FAILED] * 2]))) == 2


def test_a_job_that_ended_before_its_step_is_missing() -> None:
    """A dead letter, an expiry: the step was not tried, so nothing is known of it."""
    (bad,) = missing(ROWS, [[*[GOOD] * 99, POISON]])
    assert (bad.line, bad.message) == (198, "said of the job")


def test_only_who_tells_at_little_cost_is_asked_why() -> None:
    """A large model would be paid again for nothing."""
    tiers = (Tier.RULE, Tier.LINEAR, Tier.SLM, Tier.LLM)
    steps = tuple(StepAbout(number, tier, "m", "1") for number, tier in enumerate(tiers))
    chosen = [AnswerPlace(row, step) for row in (5, 2) for step in range(4)]
    asked = telling(Scores("topic", "USD", steps, ()), chosen)
    assert asked == [place for place in chosen if place.step < 3]


def test_a_result_that_tells_nothing_has_no_reasons() -> None:
    """As where the text is of one word, or the step failed this time."""
    explanation = Explanation(method=ExplanationMethod.WEIGHTS, label="a")
    answer = LabelAnswer(label="a", confidence=0.5)
    told = answer.model_copy(update={"explanation": explanation})
    assert reasons_in(FAILED) is None
    assert reasons_in(GOOD.model_copy(update={"answer": answer})) is None
    assert reasons_in(GOOD.model_copy(update={"answer": told})) == ((), explanation)
