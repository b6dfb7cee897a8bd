"""Auditing: ends blind checks, mixes golden rows among them, and says what they tell of the error.

A thread does so beside the pages. Any number of desks may: each check is recorded once, and what
is said is the same whoever says it last.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from hashlib import blake2b
from operator import add
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import JsonValue
from redis.exceptions import NoPermissionError

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.agreement.deciding import is_check_wrong
from smallfirst.answers import UnknownAnswer
from smallfirst.audit.counting import Answered, estimate_of, first_golden, reviewers_of
from smallfirst.audit.drawing import AuditOrder
from smallfirst.audit.reporting import AlarmReport, AuditReport
from smallfirst.catalogue import Audit, Catalogue, Example, Kind, Task
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.drifts import Alarm
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.promises import promise_digest
from smallfirst.evaluation.rows import is_right
from smallfirst.jobs import Job
from smallfirst.kinds import KINDS
from smallfirst.ledger.alarms import StandingAlarm
from smallfirst.ledger.audits import AuditCounts, Audits
from smallfirst.ledger.checks import (
    CHANCE_FIELD,
    CHECK_FIELD,
    BlindAnswer,
    Check,
    CheckRecord,
)
from smallfirst.ledger.decisions import Decision, all_of, read_decision
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst_desk.answers_kept import AnswersKept
from smallfirst_desk.candidates import judge_checked
from smallfirst_desk.desk import Desk

if TYPE_CHECKING:  # numpy, for a desk without an audit
    from smallfirst.audit.estimating import ErrorEstimate

log = structlog.get_logger()

#: Estimates the error from what came of checks.
_Estimating = Callable[[Sequence[CheckRecord]], "ErrorEstimate | None"]
#: How often counts are told anew where nobody answered anything.
_AGAIN_SECONDS: Final = 30.0


@dataclass
class _Known:
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


class Auditor:
    """The audits of one desk's fleet.

    Args:
        desk: Whose slices and catalogue they are.
        answers: Keeps what was answered.
        chances: Decides which checks a golden row joins.
    """

    def __init__(
        self, desk: Desk, answers: AnswersKept, chances: random.Random | None = None
    ) -> None:
        self._desk = desk
        self._answers = answers
        self._chances = chances or random.SystemRandom()
        self._known: dict[str, _Known] = {}

    def end_check(self, number: int, entry: StreamEntry, raw: bytes) -> bool:
        """Record what people answered to a check, or to a golden row, and keep it as a row.

        Or ask another person. What cannot be read is left, and dropped by a router when its time is
        over.

        Args:
            number: Of the slice.
            entry: The check.
            raw: What was decided.

        Returns:
            Whether nobody else is asked.

        Raises:
            OSError: When its row cannot be written; then nothing is recorded yet.
        """
        read = _read_check(entry, raw)
        if read is None:
            return True
        held, decision, check, chance = read
        task = self._desk.catalogue.tasks.get(held.job.task)
        review, audits = self._desk.reviews[number], self._desk.audits[number]
        decisions = all_of(review.earlier(entry.stream, entry.entry), decision)
        found = None if task is None else [is_wrong_of(check, each, task) for each in decisions]
        if task is None or found is None or None in found:
            log.warning(
                "check.foreign",
                task=held.job.task,
                consequence="it counts for nothing: the task has changed since",
            )
            return True
        has_second_look = task.audit is not None and task.audit.second_look
        record = record_of(
            Looked(entry.entry, check, chance, held.job.text),
            decisions,
            [is_wrong is True for is_wrong in found],
            has_second_look=has_second_look,
        )
        if record.is_open:
            note = audits.note_of(held.job.task, record)
            review.ask_another(entry, raw, decision.person, note)
            return False
        if check.golden is None:
            self._answers.keep_blind(held, decisions, check, chance)
        if audits.record(held.job.task, entry.entry, record):
            log.info("check.answered", person=decision.person, task=held.job.task)
            self._book_judged(number, held.job.task, check, decision, record)
            if check.golden is None:
                self._judge_candidate(number, held, record, decisions)
        return True

    def _judge_candidate(
        self, number: int, held: HeldJob, record: CheckRecord, decisions: Sequence[Decision]
    ) -> None:
        """Count what people said of a candidate that was asked the same in shadow."""
        if self._desk.catalogue.candidate_of(held.job.task) is not None:
            job = (held.slip.producer, held.job.id)
            judge_checked(self._desk.shadows[number], job, record, decisions)

    def _book_judged(
        self, number: int, task: str, check: Check, decision: Decision, record: CheckRecord
    ) -> None:
        """Book what asking the step was worth, where another had answered before it."""
        if check.before is None or check.golden is not None:
            return
        before = check.model_copy(update={"answer": check.before})
        was_wrong = is_wrong_of(before, decision, self._desk.catalogue.tasks[task])
        if was_wrong is not None:
            self._desk.audits[number].book_judged(task, record, was_wrong=was_wrong)

    def tend(self) -> None:
        """Mix golden rows among what was drawn, and say what was found, where either is due."""
        catalogue = self._desk.catalogue
        for name, task in catalogue.tasks.items():
            order = audit_order(task, catalogue.models)
            if task.audit is None or order is None:
                continue
            for audits in self._desk.audits:
                self._mix(audits, name, task.audit, order)
            self._say(catalogue, name, order)

    def _mix(self, audits: Audits, name: str, audit: Audit, order: AuditOrder) -> None:
        """Let golden rows join new checks, each by chance, so that nobody knows which it is."""
        if not audit.golden or not audit.golden_share:
            return
        num_drawn = audits.num_unmatched(name)
        beside = audit.golden_share / (1.0 - audit.golden_share)
        for _ in range(sum(self._chances.random() < beside for _ in range(num_drawn))):
            row = golden_row(audit.golden, audits.next_golden(name))
            now_ms = self._desk.clock_ms()
            job = Job(id=token_hex(8), task=name, text=row.text)
            audits.add_golden(
                name,
                job.to_json().encode(),
                Check(series=order.series, share=order.share, golden=_written(row)),
                num_chars=len(row.text),
                now_ms=now_ms,
                until_ms=now_ms + order.keep_seconds * 1000,
            )

    def _say(self, catalogue: Catalogue, name: str, order: AuditOrder) -> None:
        known = self._known.setdefault(name, _Known())
        is_new = [self._read(audits, name, known, n) for n, audits in enumerate(self._desk.audits)]
        is_new.append(known.series != order.series)
        if not any(is_new) and time.monotonic() < known.said_at + _AGAIN_SECONDS:
            return
        if known.series != order.series:
            known.series, known.is_broken = order.series, self._was_broken(name, order.series)
        task = catalogue.tasks[name]
        assert task.audit is not None
        report = self._report(task, task.audit, name, known)
        known.is_broken = report.is_broken
        known.said_at = time.monotonic()
        for audits in self._desk.audits:
            audits.say(name, report.to_json(), broken=order.series if report.is_broken else None)

    def _read(self, audits: Audits, name: str, known: _Known, number: int) -> bool:
        """Read how checks of a slice ended since the last time; whether any did.

        All of them, where older ones are gone: as many were dropped for newer ones, or all.
        """
        last, records = known.slices.get(number, ("-", []))
        last, found = audits.records(name, last)
        records = records + found
        if audits.num_records(name) < len(records):
            known.slices[number] = audits.records(name)
            return True
        known.slices[number] = last, records
        return bool(found)

    def _was_broken(self, name: str, series: str) -> bool:
        """Whether it was said before: what was ruled out once, is."""
        return any(name in audits.broken({name: series}) for audits in self._desk.audits)

    def _report(self, task: Task, audit: Audit, name: str, known: _Known) -> AuditReport:
        records, now_ms = known.records, self._desk.clock_ms()
        since_ms = now_ms - round(audit.keep.total_seconds() * 1000)
        counted = [each for each in records if each.second_look is audit.second_look]
        golden = first_golden(ending_of(each, since_ms) for each in counted)
        own = [each for each in counted if not each.golden and each.series == known.series]
        checks = endings(own, since_ms)
        counts = reduce(
            add, (audits.counts(name, known.series) for audits in self._desk.audits), AuditCounts()
        )
        estimated = partial(
            estimate_of, golden=golden, same=same_of(task), has_second_look=audit.second_look
        )
        found = estimated(checks)
        alarm = self._since_alarm(name, task, own, lambda some: estimated(endings(some, since_ms)))
        target = task.promise.target if task.promise else None
        lowers = [each.lower for each in (found, alarm) if each and each.lower is not None]
        is_above = target is not None and any(lower > target for lower in lowers)
        return AuditReport(
            series=known.series,
            at_ms=now_ms,
            num_accepted=counts.num_accepted,
            num_checks=len(checks),
            num_waiting=counts.num_waiting,
            num_drawn=counts.num_drawn,
            num_dropped=counts.num_dropped,
            num_golden=len(golden),
            target=target,
            is_broken=known.is_broken or is_above,
            num_undecided=sum(each.is_undecided for each in checks),
            reviewers=reviewers_of([each for record in records for each in answers_of(record)]),
            rate=found.rate if found else None,
            lower=found.lower if found else None,
            upper=found.upper if found else None,
            disagreement=found.disagreement if found else None,
            slips=found.slips if found else None,
            alarm=alarm,
        )

    def _since_alarm(
        self, name: str, task: Task, own: Sequence[CheckRecord], estimated: _Estimating
    ) -> AlarmReport | None:
        """What checks say that were drawn since an alarm raised the share; None where none does.

        All answers of a promise tell late of those that have changed: what came before outweighs
        them.
        """
        if task.drift is None or task.drift.alarm is not Alarm.AUDIT_MORE:
            return None
        alarm: StandingAlarm | None = None
        # Rules of an older version do not let a desk read it: that alone is not told then.
        with suppress(NoPermissionError):
            alarm = self._desk.alarms.standing().get(name)
        if alarm is None or task.promise is None or alarm.promise != promise_digest(task.promise):
            return None
        theirs = [each for each in own if each.alarm_ms == alarm.since_ms]
        found = estimated(theirs)
        return AlarmReport(
            since_ms=alarm.since_ms,
            num_checks=len(theirs),
            rate=found.rate if found else None,
            lower=found.lower if found else None,
            upper=found.upper if found else None,
        )


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


def _read_check(entry: StreamEntry, raw: bytes) -> tuple[HeldJob, Decision, Check, float] | None:
    """Read a check that was decided, and with which chance it was drawn; None for what is none."""
    try:
        return (
            read_parked_job(entry),
            read_decision(raw),
            Check.model_validate_json(entry.fields[CHECK_FIELD]),
            float(entry.fields[CHANCE_FIELD]),
        )
    except READING_ERRORS:
        log.warning("check.unreadable", entry=entry.entry, consequence="it counts for nothing")
        return None


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


def golden_row(rows: Sequence[Example], number: int) -> Example:
    """The golden row of a number: all of them in one order, then all in another, without end."""
    turn, place = divmod(number, len(rows))

    def rank(index: int) -> bytes:
        return blake2b(f"{turn}:{index}".encode(), digest_size=8).digest()

    return rows[sorted(range(len(rows)), key=rank)[place]]


def _written(row: Example) -> JsonValue:
    written: JsonValue = row.model_dump(mode="json", exclude_none=True, exclude={"id"})
    return written
