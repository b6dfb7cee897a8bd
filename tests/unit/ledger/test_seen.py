"""What is counted of jobs that are settled, and how it is read."""

from typing import Any

from tests.support.shapes import attempt_for, result_for, slip_for

from smallfirst.acceptance import RAISED
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Attempt, Outcome, Tier
from smallfirst.ledger.routing_slips import StepRequest
from smallfirst.ledger.seen import Quantity, SeenJobs, seen_of
from smallfirst.ledger.settlements import Basis, Cancel, Finish, Move, Settlement

PROMISE = "0123456789abcdef"
OWN = f"topic:{PROMISE}"


def attempt_of(step: int, confidence: float | None, **more: Any) -> Attempt:
    """An attempt of one step."""
    answer = None if confidence is None else LabelAnswer(label="yes", confidence=confidence)
    return attempt_for(step=step, confidence=confidence, answer=answer, **more)


def finish_of(*trail: Attempt, num_spent: int, promise: str = PROMISE, text: str = "") -> Finish:
    """The end of a job, of whose trail the last attempts were made here."""
    result = result_for(trail=trail)
    basis = Basis(text or "x" * 100, "", promise)
    spent = trail[len(trail) - num_spent :]
    return Finish(entry="1-1", producer="default", result=result, spent=spent, basis=basis)


def move_of(*trail: Attempt, num_spent: int, promise: str = PROMISE) -> Move:
    """A job that goes on."""
    slip = slip_for(trail=trail, num_chars=40)
    request = StepRequest.model_validate({**dict(slip.asked), "promise": promise})
    moved = slip.model_copy(update={"request": request})
    spent = trail[len(trail) - num_spent :]
    return Move(entry="1-1", job_id="a", job=b"{}", slip=moved, to="x", spent=spent)


def counted(*settlements: Settlement) -> dict[str, int]:
    """What a process counts of them."""
    seen = SeenJobs()
    seen.count(settlements)
    return dict(seen.take())


def test_an_accepted_answer_counts_its_length_label_confidence_and_step() -> None:
    """Each once."""
    assert counted(finish_of(attempt_of(0, 0.95), num_spent=1)) == {
        f"{OWN}:length::64": 1,
        f"{OWN}:label::yes": 1,
        f"{OWN}:confidence:0:0.9": 1,
        f"{OWN}:escalation:0:accepted": 1,
    }


def test_a_job_s_length_counts_with_its_first_attempt_alone() -> None:
    """Who tries a later step counts that step, and the label where it stands."""
    unsure = attempt_of(0, 0.6, outcome=Outcome.ESCALATED)
    assert counted(move_of(unsure, num_spent=1)) == {
        f"{OWN}:length::32": 1,
        f"{OWN}:confidence:0:0.5": 1,
        f"{OWN}:escalation:0:escalated": 1,
    }
    assert counted(finish_of(unsure, attempt_of(1, 1.0), num_spent=1)) == {
        f"{OWN}:label::yes": 1,
        f"{OWN}:confidence:1:0.999": 1,
        f"{OWN}:escalation:1:accepted": 1,
    }


def test_a_rule_has_no_confidence_and_a_failure_nothing_but_its_text() -> None:
    """A rule's answer is certain or none; what a broken engine says is not the text's."""
    rule = attempt_of(0, None, tier=Tier.RULE, outcome=Outcome.ESCALATED)
    failed = attempt_of(1, None, outcome=Outcome.FAILED)
    found = counted(move_of(rule, num_spent=1), finish_of(failed, num_spent=1))
    assert found == {
        f"{OWN}:length::32": 1,
        f"{OWN}:length::64": 1,
        f"{OWN}:escalation:0:escalated": 1,
    }


def test_without_a_promise_and_of_people_nothing_is_counted() -> None:
    """There is nothing to compare with; nor is a person a step that was calibrated."""
    person = attempt_of(1, 1.0, tier=Tier.HUMAN)
    cancel = Cancel(entry="1-1", producer="default", result=result_for())
    assert counted(finish_of(attempt_of(0, 0.9), num_spent=1, promise="")) == {}
    assert counted(finish_of(attempt_of(0, 0.9), person, num_spent=1), cancel) == {}
    assert counted(move_of(attempt_of(0, 0.9), num_spent=1, promise="")) == {}
    assert counted(finish_of(attempt_of(0, 0.9), num_spent=0)) == {}


def test_no_text_is_in_what_is_counted() -> None:
    """A job's text is told by its length alone."""
    found = counted(finish_of(attempt_of(0, 0.9), num_spent=1, text="a secret of somebody"))
    assert "secret" not in str(found)


def test_what_is_kept_in_memory_has_a_bound() -> None:
    """Beyond it attempts of kinds that are new are passed over, and known ones count."""
    seen = SeenJobs(max_kinds=1)
    new, known = attempt_of(1, 0.9), attempt_of(5, 0.9)
    for last in (known, new, known):
        seen.count([finish_of(known, last, num_spent=1)])
    found = seen.take()
    assert f"{OWN}:escalation:1:accepted" not in found
    assert found[f"{OWN}:escalation:5:accepted"] == 2
    assert seen.take() == {}


def test_what_another_version_counted_is_passed_over() -> None:
    """Labels may hold colons; what has no bin, no step or no number is nobody's."""
    found = seen_of(
        {
            f"{OWN}:label::a: b".encode(): b"3",
            f"{OWN}:escalation:1:accepted".encode(): b"-2",
            f"{OWN}:escalation:one:accepted".encode(): b"1",
            b"topic:odd": b"1",
            f"{OWN}:length::0".encode(): b"many",
            b"\xff:a:b:1:c": b"1",
        }
    )
    assert found == {
        Quantity("topic", PROMISE, "label", None): {"a: b": 3},
        Quantity("topic", PROMISE, "escalation", 1): {"accepted": 0},
    }


def test_while_thresholds_are_raised_jobs_count_as_if_they_were_not() -> None:
    """What would have stood counts as accepted, with its label; what is asked after it does not."""
    held_back = attempt_of(0, 0.95, outcome=Outcome.ESCALATED, reason=RAISED)
    as_usual = counted(finish_of(attempt_of(0, 0.95), num_spent=1))
    after = attempt_of(1, 0.9)
    assert counted(finish_of(held_back, after, num_spent=2)) == as_usual
    assert counted(finish_of(held_back, after, num_spent=1)) == {}
    moved = counted(move_of(held_back, num_spent=1))
    assert moved[f"{OWN}:escalation:0:accepted"] == moved[f"{OWN}:label::yes"] == 1
    unsure = attempt_of(0, 0.3, outcome=Outcome.ESCALATED)
    assert counted(move_of(unsure, num_spent=1))[f"{OWN}:escalation:0:escalated"] == 1
