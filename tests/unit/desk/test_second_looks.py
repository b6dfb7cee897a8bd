"""How checks end that two people look at, and what is reckoned with until they do."""

from typing import Any

import pytest

from smallfirst.answers import LabelAnswer
from smallfirst.ledger.checks import Check, CheckRecord
from smallfirst.ledger.decisions import Decision
from smallfirst_desk.check_records import Known, Looked, answers_of, ending_of, record_of

LOOKED = Looked("1-0", Check(series="0" * 16, share=0.5), 0.25, "two words")
NOW_MS = 1_000_000


def decision(person: str, label: str, at_ms: int = NOW_MS) -> Decision:
    """What a person said."""
    answer = LabelAnswer(label=label, confidence=1.0)
    return Decision(person=person, answer=answer, decided_ms=at_ms, seconds=3.0, start=1)


def record(said: str, *, has_second_look: bool = True, machine: str = "m") -> CheckRecord:
    """How a check ends at which r0, r1 and so on say this."""
    decisions = [decision(f"r{n}", label) for n, label in enumerate(said)]
    differs = [label != machine for label in said]
    return record_of(LOOKED, decisions, differs, has_second_look=has_second_look)


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        ("m", (False, False)),
        ("a", (True, True)),
        ("am", (False, False)),
        ("aa", (True, False)),
        ("ab", (True, True)),
        ("abm", (False, False)),
        ("abc", (True, False)),
        ("aba", (True, False)),
    ],
)
def test_a_check_ends_as_its_people_say(said: str, ending: tuple[bool, bool]) -> None:
    """Wrong or not, and whether another person is to look; each person's own word is kept."""
    found = record(said)
    assert (found.is_wrong, found.is_open) == ending
    assert [each.person for each in found.by_person] == [f"r{n}" for n in range(len(said))]
    assert [each.is_wrong for each in answers_of(found)] == [label != "m" for label in said]


def test_without_a_second_look_the_first_word_counts() -> None:
    """Nobody else is asked."""
    found = record("a", has_second_look=False)
    assert (found.is_wrong, found.is_open, found.second_look) == (True, False, False)


def test_what_nobody_looks_at_again_counts_in_the_end_as_the_first_said() -> None:
    """Until then it is undecided; what has ended never is."""
    found = record("a")
    assert ending_of(found, NOW_MS - 1).is_undecided
    late = ending_of(found, NOW_MS)
    assert (late.is_undecided, late.is_wrong, late.weight) == (False, True, 2.0)
    mended = ending_of(record("am"), NOW_MS - 1)
    assert (mended.is_undecided, mended.is_wrong, mended.is_first_wrong) == (False, False, True)


def test_a_check_counts_once_as_it_ended() -> None:
    """However often it was written down in between; those of another slice are others."""
    known = Known(slices={0: ("-", [record("a"), record("ab"), record("abm")])})
    assert [each.is_wrong for each in known.records] == [False]
    known.slices[1] = ("-", [record("a")])
    assert len(known.records) == 2


def test_a_record_of_an_older_desk_is_one_persons_word() -> None:
    """It counts where one word does, and tells how that person answered."""
    new: dict[str, Any] = record("a").model_dump(exclude={"check", "answers", "is_open"})
    old = CheckRecord(**new | {"second_look": False})
    assert [(each.person, each.is_wrong) for each in old.by_person] == [("r0", True)]
    known = Known(slices={0: ("-", [old, old])})
    assert len(known.records) == 2
