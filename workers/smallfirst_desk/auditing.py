"""Auditing: ends blind checks, mixes golden rows among them, and says what they tell of the error.

A thread does so beside the pages. Any number of desks may: each check is recorded once, and what
is said is the same whoever says it last.
"""

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import reduce
from hashlib import blake2b
from operator import add
from secrets import token_hex
from typing import Final

import structlog
from pydantic import JsonValue
from redis.exceptions import NoPermissionError

from smallfirst.audit.counting import reviewers_of
from smallfirst.audit.drawing import AuditOrder
from smallfirst.audit.reporting import AlarmReport, AuditReport, read_reports
from smallfirst.audit.spending import Alarms, confidence_of_alarm, confidence_of_all
from smallfirst.catalogue import Audit, Catalogue, Example, Task
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.drifts import Alarm
from smallfirst.catalogue.promises import promise_digest
from smallfirst.jobs import Job
from smallfirst.ledger.alarms import StandingAlarm, of_promises
from smallfirst.ledger.audits import AuditCounts, Audits
from smallfirst.ledger.checks import CHANCE_FIELD, CHECK_FIELD, Check, CheckRecord
from smallfirst.ledger.decisions import Decision, all_of, read_decision
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst_desk.answers_kept import AnswersKept
from smallfirst_desk.candidates import judge_checked
from smallfirst_desk.check_records import (
    Estimating,
    Known,
    Looked,
    answers_of,
    endings,
    is_above,
    is_wrong_of,
    record_of,
)
from smallfirst_desk.desk import Desk

log = structlog.get_logger()

#: How often counts are told anew where nobody answered anything.
_AGAIN_SECONDS: Final = 30.0


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
        self._known: dict[str, Known] = {}

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
        review = self._desk.reviews[number]
        decisions = all_of(review.earlier(entry.stream, entry.entry), decision)
        looked = Looked(entry.entry, check, chance, held.job.text)
        record = self._record_of(held.job.task, looked, decisions)
        if record is None:
            log.warning(
                "check.foreign",
                task=held.job.task,
                consequence="it counts for nothing: the task has changed since",
            )
            return True
        if record.is_open:
            note = self._desk.audits[number].note_of(held.job.task, record)
            review.ask_another(entry, raw, decision.person, note)
            return False
        self._end(number, held, looked, decisions, record)
        return True

    def _record_of(
        self, name: str, looked: Looked, decisions: Sequence[Decision]
    ) -> CheckRecord | None:
        """How a check ended; None where nobody can tell, since its task has changed."""
        task = self._desk.catalogue.tasks.get(name)
        if task is None:
            return None
        found = [is_wrong_of(looked.check, each, task) for each in decisions]
        if None in found:
            return None
        has_second_look = task.audit is not None and task.audit.second_look
        differs = [is_wrong is True for is_wrong in found]
        return record_of(looked, decisions, differs, has_second_look=has_second_look)

    def _end(
        self,
        number: int,
        held: HeldJob,
        looked: Looked,
        decisions: Sequence[Decision],
        record: CheckRecord,
    ) -> None:
        """Keep a check's row, record how it ended, and count what follows; each once.

        Raises:
            OSError: When its row cannot be written; then nothing is recorded yet.
        """
        task, check, last = held.job.task, looked.check, decisions[-1]
        if check.golden is None:
            self._answers.keep_blind(held, decisions, check, looked.chance)
        if self._desk.audits[number].record(task, looked.entry, record):
            log.info("check.answered", person=last.person, task=task)
            self._book_judged(number, task, check, last, record)
            if check.golden is None:
                self._judge_candidate(number, held, record, decisions)

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
        known = self._known.setdefault(name, Known())
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

    def _read(self, audits: Audits, name: str, known: Known, number: int) -> bool:
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

    def _report(self, task: Task, audit: Audit, name: str, known: Known) -> AuditReport:
        records, now_ms = known.records, self._desk.clock_ms()
        since_ms = now_ms - round(audit.keep.total_seconds() * 1000)
        counted = [each for each in records if each.second_look is audit.second_look]
        own = [each for each in counted if not each.golden and each.series == known.series]
        estimating = Estimating.by(counted, task, audit, since_ms)
        alarms, alarm = self._since_alarm(name, task, own, estimating, known.series)
        has_alarms = alarms.num > 0 or _may_check_more(task)
        found = estimating.of(own, confidence_of_all(has_alarms=has_alarms))
        counts = reduce(
            add, (audits.counts(name, known.series) for audits in self._desk.audits), AuditCounts()
        )
        target = task.promise.target if task.promise else None
        return AuditReport(
            series=known.series,
            at_ms=now_ms,
            num_accepted=counts.num_accepted,
            num_checks=len(own),
            num_waiting=counts.num_waiting,
            num_drawn=counts.num_drawn,
            num_dropped=counts.num_dropped,
            num_golden=len(estimating.golden),
            target=target,
            is_broken=known.is_broken or is_above(target, found, alarm),
            num_undecided=sum(each.is_undecided for each in endings(own, since_ms)),
            reviewers=reviewers_of([each for record in records for each in answers_of(record)]),
            rate=found.rate if found else None,
            lower=found.lower if found else None,
            upper=found.upper if found else None,
            disagreement=found.disagreement if found else None,
            slips=found.slips if found else None,
            alarm=alarm,
            num_alarms=alarms.num,
            last_alarm_ms=alarms.last_ms,
        )

    def _since_alarm(
        self, name: str, task: Task, own: Sequence[CheckRecord], estimating: Estimating, series: str
    ) -> tuple[Alarms, AlarmReport | None]:
        """What checks say that were drawn since an alarm raised the share; None where none does.

        All answers of a promise tell late of those that have changed: what came before outweighs
        them. Which alarm of the promise it is, too, is told, and how many there were: each has less
        of what may go wrong than the one before.
        """
        counted, alarm = self._alarms_of(name, series), self._standing(name, task)
        if alarm is None:
            return counted, None
        began = {each.alarm_ms for each in own if each.alarm_ms is not None}
        counted = counted.until(alarm.since_ms, began)
        theirs = [each for each in own if each.alarm_ms == alarm.since_ms]
        found = estimating.of(theirs, confidence_of_alarm(counted.num))
        return counted, AlarmReport(
            since_ms=alarm.since_ms,
            num_checks=len(theirs),
            rate=found.rate if found else None,
            lower=found.lower if found else None,
            upper=found.upper if found else None,
        )

    def _standing(self, name: str, task: Task) -> StandingAlarm | None:
        """The alarm that stands of a task and has more of its answers checked."""
        promises = {name: promise_digest(task.promise)} if task.promise else {}
        if not _may_check_more(task):
            return None
        # Rules of an older version do not let a desk read it: that alone is not told then.
        with suppress(NoPermissionError):
            return of_promises(self._desk.alarms.standing(), promises).get(name)
        return None

    def _alarms_of(self, name: str, series: str) -> Alarms:
        """The alarms that any desk has counted under a promise, as the last report has it."""
        said = (read_reports(audits.said([name])).get(name) for audits in self._desk.audits)
        told = [
            Alarms(each.num_alarms, each.last_alarm_ms)
            for each in said
            if each is not None and each.series == series
        ]
        return max(told, key=lambda each: (each.num, each.last_ms or 0), default=Alarms())


def _may_check_more(task: Task) -> bool:
    """Whether alarms of the task's promise have more of its answers checked."""
    is_asked = task.drift is not None and task.drift.alarm is Alarm.AUDIT_MORE
    return is_asked and task.promise is not None


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


def golden_row(rows: Sequence[Example], number: int) -> Example:
    """The golden row of a number: all of them in one order, then all in another, without end."""
    turn, place = divmod(number, len(rows))

    def rank(index: int) -> bytes:
        return blake2b(f"{turn}:{index}".encode(), digest_size=8).digest()

    return rows[sorted(range(len(rows)), key=rank)[place]]


def _written(row: Example) -> JsonValue:
    written: JsonValue = row.model_dump(mode="json", exclude_none=True, exclude={"id"})
    return written
