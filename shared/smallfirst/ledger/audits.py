"""Audits on the ledger: how blind checks end, what is counted of them, and what is said of them.

How one gets there is `checks`; how people take it is `review`. What the counts mean is decided in
`smallfirst.audit`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis import Redis

from smallfirst.jobs import Outcome
from smallfirst.ledger.books import BOOKED_TTL_SECONDS
from smallfirst.ledger.checks import Check, CheckRecord, slip_of_check
from smallfirst.ledger.decisions import Note
from smallfirst.ledger.keys import DECIDED_CONSUMER, Keys
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst.people import checks_of

#: The most records of a task; an older one is dropped for a newer one.
MAX_RECORDS: Final = 20_000
#: For how long counts and records are kept after the last.
RECORDS_TTL_SECONDS: Final = 35 * 86_400
#: The field of a record of a check that has not ended.
OPEN_FIELD: Final = b"open"
#: The most checks that one call drops.
DROPPED_AT_ONCE: Final = 500
#: The most records that one call reads.
READ_AT_ONCE: Final = 2000


@dataclass(frozen=True)
class AuditCounts:
    """What is counted of a task's audit in one slice.

    Attributes:
        num_accepted: How many answers were accepted under the promise.
        cells: The same by step and stratum, `{step}:{stratum}`.
        num_drawn: How many checks were drawn since the audit began.
        num_dropped: How many of them nobody answered in time, or had no room.
        num_waiting: How many wait, golden rows among them.
    """

    num_accepted: int = 0
    cells: Mapping[str, int] = field(default_factory=dict)
    num_drawn: int = 0
    num_dropped: int = 0
    num_waiting: int = 0

    def __add__(self, other: "AuditCounts") -> "AuditCounts":
        names = self.cells.keys() | other.cells.keys()
        return AuditCounts(
            self.num_accepted + other.num_accepted,
            {name: self.cells.get(name, 0) + other.cells.get(name, 0) for name in names},
            self.num_drawn + other.num_drawn,
            self.num_dropped + other.num_dropped,
            self.num_waiting + other.num_waiting,
        )


class Audits:
    """The audits of one slice.

    Args:
        redis: Connected.
        keys: Of the slice.
        scripts: Of the ledger.
    """

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts | None = None) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._scripts = scripts or Scripts(redis)

    def drop_late(self, task: str) -> int:
        """Drop checks that nobody answered in time; say how many."""
        keys = self._keys
        names = [keys.review(checks_of(task)), keys.checks(task), keys.audit(task)]
        arguments = [keys.tag, task, DROPPED_AT_ONCE, DECIDED_CONSUMER]
        return int(self._scripts.run("drop_checks", names, arguments))

    def record(self, task: str, entry: str, record: CheckRecord) -> bool:
        """End a check that a person answered; False where another has done so."""
        keys = self._keys
        more = [DECIDED_CONSUMER, record.to_json(), MAX_RECORDS, RECORDS_TTL_SECONDS]
        names = [keys.checks(task), keys.audited(task)]
        return bool(self._scripts.run("record_check", names, [keys.tag, task, entry, *more]))

    def book_judged(self, task: str, record: CheckRecord, *, was_wrong: bool) -> None:
        """Book whether a step changed the answer before it for the better, as people found."""
        names = ["judged"]
        if was_wrong != record.is_wrong:
            names.append("better" if was_wrong else "worse")
        key = self._keys.booked_at(record.decided_ms)
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.hincrby(key, f"{task}:{record.step}:{Outcome.ACCEPTED}:{name}", 1)
        pipeline.expire(key, BOOKED_TTL_SECONDS)
        pipeline.execute()

    def records(self, task: str, after: str = "-") -> tuple[str, list[CheckRecord]]:
        """Read how checks ended, oldest first, of those after an entry.

        Returns:
            The last entry read, to go on from, and the records.
        """
        found: list[CheckRecord] = []
        while True:
            begin = after if after == "-" else f"({after}"
            rows = self._redis.xrange(self._keys.audited(task), begin, "+", READ_AT_ONCE)
            found += (each for _, fields in rows if (each := _record_in(fields)) is not None)
            if rows:
                after = rows[-1][0].decode()
            if len(rows) < READ_AT_ONCE:
                return after, found

    def note_of(self, task: str, record: CheckRecord) -> Note:
        """What to write down while another person is asked."""
        name, content = OPEN_FIELD.decode(), record.to_json()
        return Note(self._keys.audited(task), name, content, MAX_RECORDS, RECORDS_TTL_SECONDS)

    def num_records(self, task: str) -> int:
        """How many records are kept."""
        return int(self._redis.xlen(self._keys.audited(task)))

    def num_unmatched(self, task: str) -> int:
        """How many checks were drawn since this was asked last, by any desk."""
        return int(self._scripts.run("golden_due", [self._keys.audit(task)], []))

    def next_golden(self, task: str) -> int:
        """Count a golden row, from 0; so no two desks put the same one before people."""
        return int(self._redis.hincrby(self._keys.audit(task), "golden", 1)) - 1

    def add_golden(
        self, task: str, job: bytes, check: Check, *, num_chars: int, now_ms: int, until_ms: int
    ) -> bool:
        """Put a golden row before people; False where there is no room."""
        keys = self._keys
        slip = slip_of_check(task, num_chars, step=check.step, now_ms=now_ms, until_ms=until_ms)
        names = [keys.checks(task), keys.review(checks_of(task)), keys.audit(task)]
        arguments = [keys.tag, task, job, slip.to_json(), check.to_json(), until_ms]
        return bool(self._scripts.run("add_golden", names, arguments))

    def counts(self, task: str, series: str) -> AuditCounts:
        """Read what is counted under one promise."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hgetall(self._keys.accepted(task, series))
        pipeline.hmget(self._keys.audit(task), "drawn", "dropped")
        pipeline.xlen(self._keys.checks(task))
        accepted, (drawn, dropped), waiting = pipeline.execute()
        told = {name.decode(): value for name, value in accepted.items()}
        return AuditCounts(
            num_accepted=int(told.get("accepted", 0)),
            cells={name: int(value) for name, value in told.items() if ":" in name},
            num_drawn=int(drawn or 0),
            num_dropped=int(dropped or 0),
            num_waiting=int(waiting),
        )

    def say(self, task: str, said: str, *, broken: str | None) -> None:
        """Write down what is said of the error, and under which promise it is too high, if any."""
        key = self._keys.audit(task)
        self._redis.hset(key, mapping={"said": said, "broken": broken or ""})
        self._redis.expire(key, RECORDS_TTL_SECONDS)

    def said(self, tasks: Iterable[str]) -> dict[str, bytes]:
        """Read what is said of the errors of tasks, where anything is."""
        return self._each(tasks, "said")

    def broken(self, series: Mapping[str, str]) -> frozenset[str]:
        """Name the tasks whose promise an audit has broken, given each task's promise now."""
        found = self.broken_series(series)
        return frozenset(task for task, of in found.items() if of == series[task])

    def broken_series(self, tasks: Iterable[str]) -> dict[str, str]:
        """Tell of tasks which of their promises an audit has broken, where it has one."""
        return {task: of.decode() for task, of in self._each(tasks, "broken").items()}

    def _each(self, tasks: Iterable[str], name: str) -> dict[str, bytes]:
        names = list(tasks)
        pipeline = self._redis.pipeline(transaction=False)
        for task in names:
            pipeline.hmget(self._keys.audit(task), name)
        replies = pipeline.execute() if names else []
        return {task: reply[0] for task, reply in zip(names, replies, strict=True) if reply[0]}


def _record_in(fields: Mapping[bytes, bytes]) -> CheckRecord | None:
    """Read a record; None for what is none: it counts for nothing, and stops nobody.

    One of a check that has not ended stands in a field of its own: a desk that does not know such
    would count the check twice.
    """
    try:
        return CheckRecord.model_validate_json(fields.get(OPEN_FIELD) or fields[b"record"])
    except READING_ERRORS:
        return None
