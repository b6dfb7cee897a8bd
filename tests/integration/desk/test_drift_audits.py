"""What a desk says of the answers that are accepted while an alarm has more of them checked."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.drifting import KEYS, MORE, calibrated

from smallfirst.audit.reporting import AuditReport, read_reports
from smallfirst.catalogue import Promise
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.promises import promise_digest
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.ledger.alarms import Alarms, StandingAlarm
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.checks import CheckRecord
from smallfirst.ledger.slices import Slice
from smallfirst_desk.answers_kept import AnswersKept
from smallfirst_desk.auditing import Auditor
from smallfirst_desk.desk import Desk, Waits

HOUR = timedelta(hours=1)
SINCE_MS = 4711


@pytest.fixture
def desk(redis: Any, tmp_path: Path) -> tuple[Desk, Promise]:
    """A desk of a task whose alarm has more answers checked."""
    path, promise = calibrated(tmp_path, drift=MORE)
    watch, waits = CatalogueWatch(path), Waits(HOUR, HOUR)
    return Desk([Slice(redis, KEYS)], watch, waits, Bounds()), promise


def write_down(redis: Any, desk: Desk, num: int, *, num_wrong: int, alarm_ms: int | None) -> None:
    """End so many checks, the first of them as wrong; four times as many while an alarm stands."""
    task = desk.catalogue.tasks["topic"]
    order = audit_order(task, desk.catalogue.models)
    assert order is not None
    share = order.share if alarm_ms is None else 4 * order.share
    for number in range(num):
        record = CheckRecord(
            series=order.series,
            step=0,
            stratum=0,
            share=share,
            chance=share,
            alarm_ms=alarm_ms,
            is_wrong=number < num_wrong,
            person="ann",
            decided_ms=1,
            seconds=9.0,
            num_words=3,
            check=f"{number}-{alarm_ms or 0}",
            second_look=True,
        )
        redis.xadd(KEYS.audited("topic"), {"record": record.to_json()})
    redis.expire(KEYS.audited("topic"), 60)


def said(redis: Any, desk: Desk) -> AuditReport:
    """What a desk that has just started says."""
    Auditor(desk, AnswersKept(None)).tend()
    return read_reports(Audits(redis, KEYS).said(["topic"]))["topic"]


def stand(redis: Any, promise: Promise, since_ms: int = SINCE_MS) -> None:
    """Have the alarm stand."""
    alarm = StandingAlarm(promise=promise_digest(promise), since_ms=since_ms)
    Alarms(redis, KEYS).say({"topic": alarm})


def test_what_came_since_the_alarm_is_told_apart_and_breaks_the_promise_by_itself(
    redis: Any, desk: tuple[Desk, Promise]
) -> None:
    """All answers together would say so late: those before the alarm were seldom wrong."""
    fleet, promise = desk
    write_down(redis, fleet, 800, num_wrong=4, alarm_ms=None)
    write_down(redis, fleet, 100, num_wrong=25, alarm_ms=SINCE_MS)
    before = said(redis, fleet)
    assert (before.num_alarms, before.last_alarm_ms) == (0, None)
    assert (before.alarm, before.is_broken, before.num_checks) == (None, False, 900)
    assert before.rate == pytest.approx((4 + 25 / 4) / (800 + 100 / 4))
    stand(redis, promise)
    report = said(redis, fleet)
    assert report.alarm is not None
    assert (report.alarm.since_ms, report.alarm.num_checks) == (SINCE_MS, 100)
    assert report.alarm.rate == pytest.approx(0.25)
    assert report.alarm.lower is not None
    assert report.alarm.lower > promise.target
    assert report.is_broken
    assert report.rate == before.rate
    assert "blind audit 25 %" in report.alarm.in_words


def test_each_alarm_of_a_promise_has_less_to_go_wrong_than_the_one_before(
    redis: Any, desk: tuple[Desk, Promise]
) -> None:
    """By its number, which any desk goes on from, though no alarm stood in between."""
    fleet, promise = desk
    uppers = []
    for number in (1, 2, 3):
        since_ms = 1000 * number
        write_down(redis, fleet, 200, num_wrong=2, alarm_ms=since_ms)
        stand(redis, promise, since_ms)
        for _ in range(2):
            report = said(redis, fleet)
            assert (report.num_alarms, report.last_alarm_ms) == (number, since_ms)
        assert report.alarm is not None
        uppers.append(report.alarm.upper or 0.0)
        Alarms(redis, KEYS).say({})
        after = said(redis, fleet)
        assert (after.alarm, after.num_alarms, after.last_alarm_ms) == (None, number, since_ms)
    assert uppers == sorted(set(uppers))
    assert not after.is_broken


def test_an_alarm_that_nobody_counted_counts_by_its_checks(
    redis: Any, desk: tuple[Desk, Promise]
) -> None:
    """As where the desks before were of an older version; one of another promise does not."""
    fleet, promise = desk
    for since_ms in (1000, 2000):
        write_down(redis, fleet, 20, num_wrong=0, alarm_ms=since_ms)
    stand(redis, promise, 3000)
    assert said(redis, fleet).num_alarms == 3
    told = said(redis, fleet).model_copy(update={"series": "0" * 16, "num_alarms": 9})
    Audits(redis, KEYS).say("topic", told.to_json(), broken=None)
    assert said(redis, fleet).num_alarms == 3


def test_an_alarm_without_checks_says_nothing_yet(redis: Any, desk: tuple[Desk, Promise]) -> None:
    """Nor does one under another promise; and checks of an alarm before it are not its own."""
    fleet, promise = desk
    write_down(redis, fleet, 20, num_wrong=10, alarm_ms=SINCE_MS + 1)
    stand(redis, promise)
    report = said(redis, fleet)
    assert report.alarm is not None
    assert (report.alarm.num_checks, report.alarm.rate) == (0, None)
    assert report.alarm.in_words == "blind audit: nothing checked yet"
    stand(redis, promise.model_copy(update={"num_wrong": 3}))
    assert said(redis, fleet).alarm is None
