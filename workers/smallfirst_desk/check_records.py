"""How blind checks end: what people said of one, as a record without its text. Pure.

And what an estimate of the error, or a report of people, needs of such records.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.agreement.deciding import is_check_wrong
from smallfirst.answers import UnknownAnswer
from smallfirst.audit.counting import Answered, estimate_of, first_golden
from smallfirst.audit.reporting import AlarmReport
from smallfirst.catalogue import Audit, Example, Kind, Task
from smallfirst.catalogue.likeness import text_key
from smallfirst.evaluation.rows import is_right
from smallfirst.kinds import KINDS
from smallfirst.ledger.checks import BlindAnswer, Check, CheckRecord
from smallfirst.ledger.decisions import Decision

if TYPE_CHECKING:  # numpy, for a desk without an audit
    from smallfirst.audit.estimating import ErrorEstimate


@dataclass
class Known:
    """What is known of a task's checks: of each slice the last record read, and all of them."""

    slices: dict[int, tuple[str, list[CheckRecord]]] = field(default_factory=dict)
    series: str = ""
    said_at: float = 0.0
    is_broken: bool = False

    @property
    def records(self) -> list[CheckRecord]:
        """The last of each check, of all slices, in the order of the decisions."""
        found = {
            (number, record.check or at): record
            for number, (_, records) in self.slices.items()
            for at, record in enumerate(records)
        }
        return sorted(found.values(), key=lambda record: record.decided_ms)


def is_wrong_of(check: Check, decision: Decision, task: Task) -> bool | None:
    """Whether what is checked is wrong, as calibration counts it; None where nobody can tell.

    Of a golden row it is the person who is right or wrong.
    """
    spec = KINDS[task.kind]
    if check.golden is not None:
        try:
            row = Example.model_validate_json(json.dumps(check.golden))
        except ValueError:
            return None
        gold = spec.gold_of(row)
        return None if gold is None else not is_right(decision.answer, gold)
    gold = spec.said_by(decision.answer)
    answer = check.answer
    if isinstance(answer, UnknownAnswer) or None in (gold, answer, spec.said_by(answer)):
        return None
    return not is_right(answer, gold)


@dataclass(frozen=True)
class Looked:
    """A check that people looked at.

    Attributes:
        entry: Of the check.
        check: What stands beside the text.
        chance: With which it was drawn.
        text: That they looked at.
    """

    entry: str
    check: Check
    chance: float
    text: str


def record_of(
    looked: Looked,
    decisions: Sequence[Decision],
    differs: Sequence[bool],
    *,
    has_second_look: bool,
) -> CheckRecord:
    """How a check ended, without its text; or that another person is to look.

    Args:
        looked: The check.
        decisions: Of all who looked, in order.
        differs: Whether each one's answer is another than the machine's, or than the golden row's.
        has_second_look: Whether others look where the first found it wrong.
    """
    first, check = decisions[0], looked.check
    keys = [answer_key(each.answer) for each in decisions]
    is_wrong = is_check_wrong(differs, keys) if has_second_look else differs[0]
    people = zip(decisions, differs, strict=True)
    return CheckRecord(
        series=check.series,
        step=check.step,
        stratum=check.stratum,
        model=check.model,
        revision=check.revision,
        share=check.share,
        alarm_ms=check.alarm_ms,
        chance=looked.chance,
        is_wrong=is_wrong is not False,
        golden="" if check.golden is None else text_key(looked.text),
        person=first.person,
        decided_ms=decisions[-1].decided_ms,
        seconds=first.seconds,
        num_words=len(looked.text.split()),
        check=looked.entry,
        second_look=has_second_look,
        is_open=is_wrong is None,
        answers=tuple(
            BlindAnswer(person=each.person, is_wrong=differs, seconds=each.seconds)
            for each, differs in people
        ),
    )


def ending_of(record: CheckRecord, since_ms: int) -> Answered:
    """What an estimate needs of a record.

    Where nobody has looked a second time although all of its time is over, the first one's word
    counts.

    Args:
        record: Of a check.
        since_ms: Another person may still look at what was answered after that.
    """
    return Answered(
        person=record.person,
        is_wrong=record.is_wrong,
        weight=record.share / record.chance,
        golden=record.golden,
        is_first_wrong=record.by_person[0].is_wrong,
        is_undecided=record.is_open and record.decided_ms > since_ms,
        share=record.share,
    )


def endings(records: Sequence[CheckRecord], since_ms: int) -> list[Answered]:
    """What an estimate needs of records; see `ending_of`."""
    return [ending_of(each, since_ms) for each in records]


def answers_of(record: CheckRecord) -> Iterator[Answered]:
    """What a report of people needs of a record: what each of them answered."""
    for each in record.by_person:
        yield Answered(
            person=each.person,
            is_wrong=each.is_wrong,
            golden=record.golden,
            seconds=each.seconds,
            num_words=record.num_words,
        )


def same_of(task: Task) -> float:
    """Of a person's errors on what a machine has wrong, which part is the machine's own error.

    Of two verdicts all; of labels that are confused evenly, one of the wrong ones; of answers of
    many forms, none.
    """
    if task.kind is Kind.JUDGE:
        return 1.0
    is_one_label = KINDS[task.kind].is_one_label and len(task.labels) > 1
    return 1.0 / (len(task.labels) - 1) if is_one_label else 0.0


@dataclass(frozen=True)
class Estimating:
    """How a task's error is estimated from records of checks.

    Attributes:
        golden: What people answered to golden rows.
        same: See `same_of`.
        has_second_look: Whether others look where the first found an answer wrong.
        since_ms: See `ending_of`.
    """

    golden: Sequence[Answered]
    same: float
    has_second_look: bool
    since_ms: int

    @classmethod
    def by(
        cls, records: Sequence[CheckRecord], task: Task, audit: Audit, since_ms: int
    ) -> "Estimating":
        """By the golden rows among records."""
        golden = first_golden(ending_of(each, since_ms) for each in records)
        return cls(golden, same_of(task), audit.second_look, since_ms)

    def of(self, records: Sequence[CheckRecord], confidence: float) -> "ErrorEstimate | None":
        """Estimate the error of the answers of which these are checks; None of no check."""
        return estimate_of(
            endings(records, self.since_ms),
            self.golden,
            same=self.same,
            has_second_look=self.has_second_look,
            confidence=confidence,
        )


def is_above(target: float | None, *told: "ErrorEstimate | AlarmReport | None") -> bool:
    """Whether the whole of some interval lies above what is promised."""
    lowers = [each.lower for each in told if each is not None and each.lower is not None]
    return target is not None and any(lower > target for lower in lowers)
