"""What a worker makes of a calibrated threshold."""

import pytest
from tests.support.shapes import NOW_MS, slip_for

from smallfirst.acceptance import FOREIGN, OTHER_REVISION, RAISED, Acceptance, Thresholds
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Attempt, Job, Outcome, Problem, Tier
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import read_parked_job
from smallfirst_workers.engines import EngineResult
from smallfirst_workers.outcomes import attempt_of

ANSWER = LabelAnswer(label="a", confidence=0.8, distribution={"a": 0.8, "b": 0.2})


def tried(acceptance: Acceptance, answer: LabelAnswer | Problem = ANSWER) -> Attempt:
    """What becomes of an answer that revision `r1` gave."""
    job = Job(id="a1", task="topic", text="where is it?")
    slip = slip_for(acceptance=acceptance)
    fields = {b"job": job.model_dump_json().encode(), b"slip": slip.to_json().encode()}
    held = read_parked_job(StreamEntry("backlog", "7-0", fields, starts=1))
    part = EngineResult([answer], [6], 6, 0.5, [0.0], windows=[1])
    return attempt_of(
        held, part, tier=Tier.SLM, revision="r1", price_per_hour=0.0, started_ms=NOW_MS
    )


@pytest.mark.parametrize(
    ("temperature", "outcome"), [(1.0, Outcome.ACCEPTED), (2.0, Outcome.ESCALATED)]
)
def test_the_temperature_counts_before_the_threshold(temperature: float, outcome: Outcome) -> None:
    """What is compared, and what the producer sees, is the tempered confidence."""
    attempt = tried(Acceptance(threshold=0.7, revision="r1", temperature=temperature))
    assert attempt.outcome is outcome
    assert isinstance(attempt.answer, LabelAnswer)
    assert attempt.confidence == attempt.answer.confidence == attempt.answer.distribution["a"]


def test_the_answer_of_another_revision_does_not_stand() -> None:
    """However sure it is, it goes to the next step, and the trail says why."""
    attempt = tried(Acceptance(revision="r0"))
    assert attempt.outcome is Outcome.ESCALATED
    assert attempt.reason == OTHER_REVISION
    assert attempt.answer == ANSWER


def test_a_step_that_failed_says_so_whatever_was_calibrated() -> None:
    """A problem of the model stays the reason, of another revision too."""
    attempt = tried(Acceptance(revision="r0"), Problem(code="x", message="It broke."))
    assert (attempt.outcome, attempt.reason) == (Outcome.FAILED, "It broke.")


@pytest.mark.parametrize(
    ("by_label", "outcome", "threshold"),
    [
        ({"a": 0.8, "b": 0.1}, Outcome.ACCEPTED, 0.8),
        ({"a": 0.81, "b": 0.1}, Outcome.ESCALATED, 0.81),
        ({"b": 0.1}, Outcome.ESCALATED, None),
    ],
)
def test_a_label_has_its_own_threshold(
    by_label: dict[str, float], outcome: Outcome, threshold: float | None
) -> None:
    """Where labels are promised apart, the label answered decides; one that is not named never."""
    attempt = tried(Acceptance(threshold=0.1, revision="r1", by_label=by_label))
    assert (attempt.outcome, attempt.threshold) == (outcome, threshold)


@pytest.mark.parametrize(
    ("foreign", "outcome", "reason"),
    [
        (0.9, Outcome.ACCEPTED, None),
        (0.91, Outcome.ESCALATED, FOREIGN),
        (None, Outcome.ESCALATED, FOREIGN),
    ],
)
def test_the_answer_to_a_foreign_text_does_not_stand(
    foreign: float | None, outcome: Outcome, reason: str | None
) -> None:
    """However sure it is; nor does one that does not say how foreign its text is."""
    answer = ANSWER.model_copy(update={"foreign": foreign})
    attempt = tried(Acceptance(threshold=0.5, foreign=0.9), answer)
    assert (attempt.outcome, attempt.reason) == (outcome, reason)
    assert attempt.answer == answer


@pytest.mark.parametrize(
    ("raised", "outcome", "threshold", "reason"),
    [
        (None, Outcome.ACCEPTED, 0.7, None),
        (Thresholds(threshold=0.8), Outcome.ACCEPTED, 0.8, None),
        (Thresholds(threshold=0.81), Outcome.ESCALATED, 0.81, RAISED),
        (Thresholds(threshold="never"), Outcome.ESCALATED, None, RAISED),
        (Thresholds(threshold=0.1, by_label={"a": 0.9}), Outcome.ESCALATED, 0.9, RAISED),
        (Thresholds(threshold=0.1, by_label={"b": 0.1}), Outcome.ESCALATED, None, RAISED),
    ],
)
def test_raised_thresholds_are_in_the_place_of_all_others(
    raised: Thresholds | None, outcome: Outcome, threshold: float | None, reason: str | None
) -> None:
    """The trail says what held back an answer that would have stood."""
    attempt = tried(Acceptance(threshold=0.7, raised=raised))
    assert (attempt.outcome, attempt.threshold, attempt.reason) == (outcome, threshold, reason)


def test_an_answer_that_would_not_have_stood_either_has_no_reason() -> None:
    """It was not sure enough for the promise itself; and a step that is asked stays asked."""
    acceptance = Acceptance(threshold=0.9, raised=Thresholds(threshold="never"))
    assert tried(acceptance).reason is None
    assert not acceptance.is_never
