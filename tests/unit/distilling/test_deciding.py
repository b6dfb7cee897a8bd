"""Which answers a candidate learns from: people's, and machines' that agree and are sure."""

from collections import Counter

import pytest

from smallfirst.catalogue import Example, Kind, ModelStep, Task
from smallfirst.distilling.deciding import (
    MACHINES_DIFFER,
    PEOPLE_DIFFER,
    SETTLED,
    TOO_FEW_AGREE,
    UNSAID,
    UNSURE,
    Labelled,
    Rules,
    leaked,
    own_answers,
    roles,
    settled,
    unlike_test,
)
from smallfirst.distilling.distilling import unrefused
from smallfirst.distilling.errors import LeakedRowsError, OwnAnswersError
from smallfirst.evaluation.rows import Row
from smallfirst.provenance.record import Provenance, Source

TASK = Task(kind=Kind.CLASSIFY, labels={"a": "", "b": ""}, cascade=(ModelStep(model="large"),))
PERSON = Provenance(source=Source.HUMAN, tier="human")


def by_llm(confidence: float | None = 0.9, *, model: str = "large") -> Provenance:
    """A large model's answer."""
    return Provenance(source=Source.LLM, tier="llm", model=model, confidence=confidence)


def row(text: str, label: str, by: Provenance, line: int = 1) -> Labelled:
    """A row of a file."""
    return Labelled(Row(line, Example(text=text, label=label)), by, f"{by.source}.jsonl")


def texts(rows: tuple[Labelled, ...]) -> list[str]:
    """The rows' texts."""
    return [each.row.example.text for each in rows]


def test_a_persons_answer_settles_a_text() -> None:
    """Whatever machines said of it; where they said otherwise, that is counted."""
    found = settled(
        [row("x", "a", PERSON), row("x", "b", by_llm()), row("X!", "a", by_llm())], TASK, Rules()
    )
    assert (texts(found.people), found.machines) == (["x"], ())
    assert (found.left_out, found.num_overruled) == (Counter({SETTLED: 2}), 1)


def test_people_who_differ_settle_nothing() -> None:
    """Nobody knows what is right, and a machine does not decide it."""
    rows = [row("x", "a", PERSON), row("x", "b", PERSON), row("x", "a", by_llm())]
    found = settled(rows, TASK, Rules())
    assert (found.people, found.machines) == ((), ())
    assert found.left_out == {PEOPLE_DIFFER: 2, SETTLED: 1}


def test_each_of_a_persons_rows_counts() -> None:
    """What comes often in the stream weighs as much here."""
    assert len(settled([row("x", "a", PERSON)] * 3, TASK, Rules()).people) == 3


def test_machines_that_differ_teach_nothing() -> None:
    """However sure one of them is."""
    rows = [row("x", "a", by_llm(0.99)), row("x", "b", by_llm(0.3, model="other"))]
    assert settled(rows, TASK, Rules()).left_out == {MACHINES_DIFFER: 2}


@pytest.mark.parametrize(("confidence", "reason"), [(0.79, UNSURE), (None, UNSAID)])
def test_machines_that_are_not_sure_teach_nothing(confidence: float | None, reason: str) -> None:
    """Or that do not say how sure they are; at the bound they are sure enough."""
    rows = [row("x", "a", by_llm(confidence)), row("y", "a", by_llm(0.8))]
    found = settled(rows, TASK, Rules())
    assert (texts(found.machines), found.left_out) == (["y"], {reason: 1})


def test_a_model_that_was_asked_twice_is_one_voice() -> None:
    """Only another model or revision bears an answer out."""
    twice = [row("x", "a", by_llm()), row("x", "a", by_llm())]
    two = [row("y", "a", by_llm()), row("y", "a", by_llm(model="other"))]
    found = settled([*twice, *two], TASK, Rules(min_agreeing=2))
    assert (texts(found.machines), found.left_out) == (["y", "y"], {TOO_FEW_AGREE: 2})


def test_a_text_that_was_written_for_its_label_needs_no_confidence() -> None:
    """Yet where another machine reads it otherwise, it teaches nothing."""
    synthetic = Provenance(source=Source.SYNTHETIC, tier="llm", model="large")
    rows = [row("x", "a", synthetic), row("y", "a", synthetic), row("y", "b", by_llm())]
    found = settled(rows, TASK, Rules())
    assert (texts(found.machines), found.left_out) == (["x"], {MACHINES_DIFFER: 2})


def test_people_weigh_more_and_judge_where_they_suffice() -> None:
    """A row of a machine counts as the part of one that was asked for, and only teaches."""
    people = [row(f"p {n}", "ab"[n % 2], PERSON) for n in range(10)]
    found = settled([*people, row("m", "a", by_llm())], TASK, Rules())
    chosen = roles(found, TASK, Rules(human_weight=4), fewest=10)
    assert (len(chosen.judging), texts(chosen.teaching)) == (10, ["m"])
    assert [each.row.example.weight for each in chosen.judging] == [None] * 10
    assert chosen.teaching[0].row.example.weight == 0.25
    too_few = roles(found, TASK, Rules(), fewest=11)
    assert (len(too_few.judging), too_few.teaching, too_few.is_by_people) == (11, (), False)


def test_people_judge_alone_where_they_know_each_label() -> None:
    """Of one that they hardly saw nothing would be promised, and nobody would be told why."""
    people = [row(f"p {n}", "b" if n < 4 else "a", PERSON) for n in range(40)]
    found = settled([*people, row("m", "b", by_llm())], TASK, Rules())
    assert not roles(found, TASK, Rules(), fewest=10).is_by_people


@pytest.mark.parametrize("model", ["words", "words+minilm", "topic-tuned-0123abcd"])
def test_a_models_own_answers_are_found(model: str) -> None:
    """By its name, in a mean of several, and under the name of an earlier training."""
    own = Provenance(source=Source.CASCADE, tier="slm", model=model, confidence=0.9)
    trained = frozenset({"words", "topic-tuned-00000000"})
    found = own_answers([row("x", "a", own), row("y", "a", by_llm(model="words"))], trained)
    assert [len(rows) for rows in found.values()] == [1]


def test_refused_rows_are_named_or_left_out() -> None:
    """By model or as leaked, and where they stand; never by their text."""
    own = Provenance(source=Source.CASCADE, tier="linear", model="words", confidence=0.9)
    bad = [row("secret", "a", own, line=7)]
    trained, test = frozenset({"words"}), [Row(1, Example(text="Hidden.", label="a"))]
    with pytest.raises(OwnAnswersError, match=r"'words'.*its own answers: cascade.jsonl:7"):
        unrefused(bad, test, trained, drops_refused=False)
    seen = [row("hidden", "a", by_llm(), line=9)]
    with pytest.raises(LeakedRowsError, match=r"leaked: llm.jsonl:9") as error:
        unrefused(seen, test, trained, drops_refused=False)
    assert "hidden" not in str(error.value)
    good = row("good", "a", by_llm(), line=11)
    assert unrefused([*bad, *seen, good], test, trained, drops_refused=True) == (good,)
    assert leaked([good], {seen[0].row.key}) == []


def test_rows_like_those_of_the_test_do_not_teach() -> None:
    """One of a template in the test gives the others away."""
    like = row("where is parcel 17 of my last order please", "a", by_llm())
    other = row("how do I close my account", "b", by_llm())
    assert unlike_test([like, other], ["Where is parcel 99 of my last order please"]) == (other,)


def test_nothing_is_settled_of_nothing() -> None:
    """No row is no error here: whoever reads the files tells."""
    found = settled([], TASK, Rules())
    assert (found.people, found.machines, found.left_out) == ((), (), {})
