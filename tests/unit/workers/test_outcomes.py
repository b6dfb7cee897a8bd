"""Whether an answer stands, and how its entry ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.shapes import NOW_MS, slip_for

from smallfirst.acceptance import Acceptance
from smallfirst.answers import Answer, LabelAnswer, Span, SpansAnswer
from smallfirst.jobs import Attempt, Job, Outcome, Problem, Result, Status, Tier
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.settlements import Finish, Move
from smallfirst_workers.engines import EngineResult
from smallfirst_workers.outcomes import attempt_of, expire, settlement_of
from smallfirst_workers.problems import EXPIRED, INVALID


def held_job(*, accept: float = 0.8, kept_spans: tuple[Span, ...] = ()) -> HeldJob:
    """Make a job in a worker's hands, as the router parked it."""
    job = Job(id="a1", task="topic", text="where is it?", metadata={"team": "b"}, reply_to="me")
    slip = slip_for(
        step=1,
        acceptance=Acceptance(threshold=accept),
        submitted_ms=NOW_MS - 5000,
        parked_ms=NOW_MS - 4000,
        kept_spans=kept_spans,
    )
    fields = {b"job": job.model_dump_json().encode(), b"slip": slip.to_json().encode()}
    return read_parked_job(StreamEntry("backlog", "7-0", fields, starts=1))


def tried(held: HeldJob, answer: Answer | Problem) -> Attempt:
    """Record one step on the job."""
    part = EngineResult([answer], [6], 6, 0.5, [0.001], windows=[2])
    return attempt_of(
        held,
        part,
        tier=Tier.SLM,
        revision="abc",
        price_per_hour=7.2,
        started_ms=NOW_MS - 1000,
    )


def settled(held: HeldJob, attempt: Attempt) -> Finish | Move:
    """End the entry after one attempt."""
    return settlement_of(held, attempt, escalations="esc", now_ms=NOW_MS)


def result_of(settlement: Finish | Move) -> Result:
    """The result, as its producer reads it."""
    assert isinstance(settlement, Finish)
    return Result.model_validate_json(settlement.result.to_json())


def test_an_answer_that_is_sure_enough_is_the_result() -> None:
    """At the threshold itself an answer stands, and its result says who gave it and why."""
    held = held_job(accept=0.8)
    answer = LabelAnswer(label="delivery", confidence=0.8)
    attempt = tried(held, answer)

    settlement = settled(held, attempt)

    result = result_of(settlement)
    assert (settlement.verb, settlement.entry, settlement.reply_to) == ("result", "7-0", "me")
    assert (result.status, result.answer, result.tier) == (Status.ANSWERED, answer, Tier.SLM)
    assert result.trail == (attempt.model_copy(update={"answer": None}),)
    assert result.metadata == {"team": "b"}
    assert result.fingerprint == held.job.fingerprint


def test_an_unsure_answer_goes_back_with_its_trail() -> None:
    """Just below the threshold the job returns to the router, which knows the next step."""
    held = held_job(accept=0.8)

    settlement = settled(held, tried(held, LabelAnswer(label="delivery", confidence=0.7999)))

    assert isinstance(settlement, Move)
    slip = settlement.slip
    assert (settlement.verb, settlement.to, settlement.job) == ("move", "esc", held.raw)
    assert [attempt.outcome for attempt in slip.trail] == [Outcome.ESCALATED]
    assert slip.trail[0].answer == LabelAnswer(label="delivery", confidence=0.7999)
    assert slip.next_step == 2


def test_a_failed_step_goes_back_with_its_reason() -> None:
    """A model that could not read a text leaves the job to the next step."""
    held = held_job()

    settlement = settled(held, tried(held, Problem(code="model_error", message="no tokens")))

    assert isinstance(settlement, Move)
    [attempt] = settlement.slip.trail
    assert (attempt.outcome, attempt.reason, attempt.answer) == (Outcome.FAILED, "no tokens", None)


def test_a_model_that_had_no_answer_was_not_sure() -> None:
    """An answer that was none is no failure: the next step is asked, and the trail says why."""
    attempt = tried(held_job(), Problem(code=INVALID, message="no JSON object"))

    assert (attempt.outcome, attempt.reason) == (Outcome.ESCALATED, "no JSON object")


def test_spans_that_stood_before_are_part_of_the_answer() -> None:
    """A rule's span stays, and a model's guess that overlaps it is dropped."""
    card = Span(start=0, end=4, label="card")
    held = held_job(kept_spans=(card,))
    name = Span(start=6, end=9, label="person", confidence=0.9)
    overlapping = Span(start=2, end=6, label="person", confidence=0.9)
    answer = SpansAnswer(spans=(overlapping, name), confidence=0.9)

    result = result_of(settled(held, tried(held, answer)))

    assert isinstance(result.answer, SpansAnswer)
    assert result.answer.spans == (card, name)


def test_an_attempt_tells_what_it_took() -> None:
    """Waiting time, worker seconds, tokens and cost stand in the trail."""
    attempt = tried(held_job(), LabelAnswer(label="delivery", confidence=0.9))
    assert (attempt.waited_seconds, attempt.seconds) == (3.0, 0.5)
    assert (attempt.tokens, attempt.windows) == (6, 2)
    assert (attempt.cost, attempt.threshold) == (0.002, 0.8)


def test_what_came_too_late_says_so() -> None:
    """A job past its time ends as expired, and no model sees it."""
    result = expire(held_job(), now_ms=NOW_MS).result
    assert result.status is Status.EXPIRED
    assert result.problem is not None
    assert "before a model saw" in result.problem.message


def test_what_a_model_was_at_is_not_said_to_be_unseen() -> None:
    """A job whose time was up in the midst of an attempt has that attempt, and what it cost."""
    held = held_job()
    attempt = tried(held, EXPIRED)
    result = expire(held, now_ms=NOW_MS, attempt=attempt).result
    assert result.problem is not None
    assert (result.problem.code, result.trail) == ("expired", (attempt,))
    assert "before a model saw" not in result.problem.message


@given(
    st.lists(st.integers(0, 512), min_size=1, max_size=64),
    st.floats(0.0, 100.0),
)
def test_the_shares_of_a_pass_are_the_whole_pass(tokens: list[int], seconds: float) -> None:
    """What a pass took is booked once, no more and no less, whatever was in it."""
    charges = [0.01] * len(tokens)
    answers = [LabelAnswer(label="a", confidence=1.0)] * len(tokens)
    parts = EngineResult([*answers], tokens, 0, seconds, charges).parts()
    assert sum(part.seconds for part in parts) == pytest.approx(seconds)
    assert [part.tokens for part in parts] == [[count] for count in tokens]
    assert [part.charges for part in parts] == [[charge] for charge in charges]
