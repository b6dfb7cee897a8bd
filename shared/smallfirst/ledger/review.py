"""Review: the jobs of a slice that wait for people, leased to one person at a time.

It owns what a desk does on the ledger: listing without texts, leasing, renewing, skipping,
deciding, taking back, settling. Who may see which task, and how a page looks, is the desk's. All
times are Redis's own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any

from redis import Redis

from smallfirst.agreement.measuring import PairRecord
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.decisions import (
    MAX_PAIRS,
    PAIRS_TTL_SECONDS,
    Decided,
    Decision,
    Decisions,
    Note,
    all_of,
    decided_by,
    finish_with,
    pair_of,
    read_decision,
)
from smallfirst.ledger.entries import StreamEntry, held_entry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.keys import DECIDED_CONSUMER, POOL_GROUP, Keys
from smallfirst.ledger.ledger import PERSON_LEASE, Ledger
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.settlements import Settlement
from smallfirst.ledger.unreadable import READING_ERRORS, unreadable
from smallfirst.people import people_of, task_of_checks

#: The most jobs that a search for the next one looks at: those before it are others' or skipped.
LOOKED_AT = 5000
#: How long a job that a person passed over is not offered to that person.
SKIPPED_FOR = timedelta(hours=1)
#: The most decisions that one round settles.
SETTLED_AT_ONCE = 100
#: How long it is known at least what a person has answered and another is asked: no wait is longer.
ANSWERED_TTL_SECONDS = 31 * 86_400
#: What stands before a person's pseudonym in the name of a holder; no worker's begins so.
_BEFORE_PERSON = "@person/"


class Refusal(StrEnum):
    """Why a job could not be leased, renewed or decided.

    Attributes:
        HELD: Somebody else has it in hand.
        LOST: The lease ended, and somebody else has started the job since.
        ANSWERED: It was answered already; the answer is about to be settled.
        DUE: Its wait is over; it ends as the catalogue says.
        ENDED: It is over: answered, cancelled, expired.
        GIVEN: This person has answered it, and another is asked.
        FREE: It is nobody's, and only one's own was asked for.
        NONE: There is none, or none that is free.
    """

    HELD = "held"
    LOST = "lost"
    ANSWERED = "answered"
    DUE = "due"
    ENDED = "ended"
    GIVEN = "given"
    FREE = "free"
    NONE = "none"


@dataclass(frozen=True)
class Place:
    """Where a job is that waits for a person: by this a page names it, and no word of the job."""

    slice: int
    stream: str
    entry: str

    @property
    def member(self) -> str:
        """Its name among the jobs of its task."""
        return f"{self.stream.rpartition(':')[2]}:{self.entry}"


@dataclass(frozen=True)
class Leased:
    """One job in a person's hands.

    Attributes:
        place: Where it is.
        held: The job, with what is known of it.
        start: Which start of it this is; an answer to an earlier one is fenced out.
        now_ms: Redis's clock when it was leased.
        due_ms: When its wait ends.
    """

    place: Place
    held: HeldJob
    start: int
    now_ms: int
    due_ms: int


@dataclass(frozen=True)
class Waiting:
    """One job that waits, without its text.

    Attributes:
        place: Where it is.
        job_id: The job's id, as its producer chose it.
        slip: What is known of it.
        due_ms: When its wait ends.
        person: The pseudonym of whoever has it in hand; None for nobody.
    """

    place: Place
    job_id: str
    slip: RoutingSlip
    due_ms: int
    person: str | None = None


@dataclass(frozen=True)
class TaskLoad:
    """What of one task waits for people.

    Attributes:
        now_ms: Redis's clock.
        num_jobs: All that are not settled.
        num_held: In a person's hands.
        num_decided: Answered, and not settled yet.
        first_due_ms: When the first wait ends of a job that nobody has in hand; None for none.
        oldest_ms: Since when the oldest waits.
        listed: The most urgent.
    """

    now_ms: int
    num_jobs: int = 0
    num_held: int = 0
    num_decided: int = 0
    first_due_ms: int | None = None
    oldest_ms: int | None = None
    listed: tuple[Waiting, ...] = ()

    @property
    def num_free(self) -> int:
        """How many wait for somebody."""
        return max(0, self.num_jobs - self.num_held - self.num_decided)

    def __add__(self, other: "TaskLoad") -> "TaskLoad":
        dues = [each for each in (self.first_due_ms, other.first_due_ms) if each is not None]
        oldest = [each for each in (self.oldest_ms, other.oldest_ms) if each is not None]
        listed = sorted((*self.listed, *other.listed), key=lambda each: each.due_ms)
        return TaskLoad(
            now_ms=max(self.now_ms, other.now_ms),
            num_jobs=self.num_jobs + other.num_jobs,
            num_held=self.num_held + other.num_held,
            num_decided=self.num_decided + other.num_decided,
            first_due_ms=min(dues, default=None),
            oldest_ms=min(oldest, default=None),
            listed=tuple(listed),
        )


class Review:
    """The jobs of one slice that wait for people.

    Args:
        redis: Connected.
        keys: Of the slice.
        lease: For which a person has a job unless it is renewed; `PERSON_LEASE` at most.
        undo: For which a decision may be taken back.
        bounds: Of the fleet.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        lease: timedelta,
        undo: timedelta,
        bounds: Bounds | None = None,
    ) -> None:
        self._keys = keys
        self._scripts = Scripts(redis)
        self._bounds = bounds or Bounds()
        self._undo_ms = round(undo.total_seconds() * 1000)
        self._lease_ms = round(PERSON_LEASE.total_seconds() * 1000)
        self._idle_ms = max(0, round((PERSON_LEASE - lease).total_seconds() * 1000))
        self._decisions = Decisions(redis, keys)
        self._settler = Ledger(redis, keys, DECIDED_CONSUMER, self._bounds)

    def load(self, task: str, person: str = "", *, listed: int = 0) -> TaskLoad:
        """Count what of a task waits, and list the most urgent without their texts.

        Of what a person has answered, where another is asked, that person is told nothing.
        """
        streams = self._keys.people(task)
        arguments = [POOL_GROUP, self._lease_ms, DECIDED_CONSUMER, listed, *streams]
        keys = [self._keys.review(task), *streams.values(), self._keys.answered(task, person)]
        now, jobs, held, decided, first, oldest, rows = self._scripts.run("review", keys, arguments)
        return TaskLoad(
            now_ms=int(now),
            num_jobs=int(jobs),
            num_held=int(held),
            num_decided=int(decided),
            first_due_ms=int(float(first)) if first else None,
            oldest_ms=min((_written_ms(entry) for entry in oldest), default=None),
            listed=tuple(self._waiting(task, rows)),
        )

    def _waiting(self, task: str, rows: Sequence[Any]) -> Iterator[Waiting]:
        streams = {str(priority): stream for priority, stream in self._keys.people(task).items()}
        for priority, entry, due, holder, idle, flat in rows:
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            try:
                slip = RoutingSlip.model_validate_json(fields[b"slip"])
                job_id = fields[b"id"].decode()
            except READING_ERRORS:
                continue
            place = self.place(streams[priority.decode()], entry.decode())
            is_held = int(idle) < self._lease_ms or holder.decode() == DECIDED_CONSUMER
            person = _person_of(holder.decode()) if is_held and holder else None
            yield Waiting(place, job_id, slip, int(float(due)), person)

    def place(self, stream: str, entry: str) -> Place:
        """Name a job of this slice."""
        return Place(int(self._keys.slice), stream, entry)

    def place_of(self, task: str, priority: str, entry: str) -> Place | None:
        """Name a job of a task by what a page's address says of it; None where it is none."""
        streams = {str(each): stream for each, stream in self._keys.people(task).items()}
        return self.place(streams[priority], entry) if priority in streams else None

    def lease(
        self, task: str, person: str, place: Place | None = None, *, only_own: bool = False
    ) -> Leased | Refusal:
        """Take the most urgent job that is free, or a certain one.

        A job that this person has in hand already is that person's still, under the same start;
        with `only_own`, no other is given.
        """
        before = self._keys.backlogs_of(people_of(task)).removesuffix("*")
        arguments = [
            self._keys.tag,
            before,
            POOL_GROUP,
            _holder(person),
            self._lease_ms,
            self._idle_ms,
            DECIDED_CONSUMER,
            place.member if place else "",
            LOOKED_AT,
            "1" if only_own else "0",
        ]
        skipped, answered = self._keys.skipped(task, person), self._keys.answered(task, person)
        keys = [self._keys.review(task), skipped, answered]
        state, *found = self._scripts.run("lease", keys, arguments)
        if state != b"leased":
            return Refusal(_REFUSED.get(state.decode(), state.decode()))
        return self._leased(person, *found)

    def _leased(
        self, person: str, now: Any, due: Any, stream: bytes, entry: bytes, start: Any, flat: Any
    ) -> Leased | Refusal:
        row = (entry, start, flat, _holder(person).encode())
        held = held_entry(stream.decode(), row)
        place = self.place(held.stream, held.entry)
        try:
            job = read_parked_job(held)
        except READING_ERRORS:
            self._settler.settle(held.stream, POOL_GROUP, [unreadable(held, int(now))])
            return Refusal.ENDED
        return Leased(place, job, int(start), int(now), int(float(due)))

    def renew(self, task: str, person: str, place: Place, start: int) -> Refusal | None:
        """Begin the lease of an open page afresh; None where that was done."""
        member = place.member
        arguments = [POOL_GROUP, _holder(person), place.entry, start, self._idle_ms, member]
        keys = [place.stream, self._keys.review(task)]
        said = self._scripts.run("renew_lease", keys, arguments).decode()
        return None if said == "kept" else Refusal(said)

    def skip(self, task: str, person: str, place: Place, start: int) -> bool:
        """Pass a job over, for another to take; whether it was this person's."""
        return self._let_go(task, person, place, start, is_skipped=True)

    def release(self, task: str, person: str, place: Place, start: int) -> bool:
        """Let go of a job; it may be offered to the same person again."""
        return self._let_go(task, person, place, start, is_skipped=False)

    def _let_go(
        self, task: str, person: str, place: Place, start: int, *, is_skipped: bool
    ) -> bool:
        arguments = [
            POOL_GROUP,
            _holder(person),
            place.entry,
            start,
            self._lease_ms,
            place.member if is_skipped else "",
            round(SKIPPED_FOR.total_seconds()),
        ]
        keys = [place.stream, self._keys.skipped(task, person)]
        return bool(self._scripts.run("skip", keys, arguments))

    def decide(self, leased: HeldJob, place: Place, decision: Decision) -> int | Refusal:
        """Hold a decision until it is final; say when that is, in Redis's milliseconds."""
        result = self._keys.of_producer(leased.slip.producer).result(leased.job.id)
        if self._is_check(place.stream):
            # The job has its result, and this ends the check alone.
            result = self._keys.no_result
        arguments = [
            POOL_GROUP,
            place.entry,
            decision.start,
            decision.to_json(),
            self._undo_ms,
            DECIDED_CONSUMER,
            round(self._bounds.job_ttl.total_seconds()),
        ]
        keys = [place.stream, result, self._keys.decisions, self._keys.decided]
        said, *final = self._scripts.run("decide", keys, arguments)
        return int(final[0]) if final else Refusal(said.decode())

    def undo(self, person: str, place: Place) -> int | None:
        """Take back a decision that is not final: the new start; None where it is too late."""
        raw = self._decisions.read(place.stream, [place.entry]).get(place.entry)
        if raw is None or read_decision(raw).person != person:
            return None
        arguments = [POOL_GROUP, place.entry, _holder(person), raw, DECIDED_CONSUMER, self._idle_ms]
        keys = [place.stream, self._keys.decisions, self._keys.decided]
        return int(self._scripts.run("undo", keys, arguments)) or None

    def read(self, place: Place) -> HeldJob | None:
        """Read a job without taking it; None where it is over, or cannot be read."""
        entry = StreamEntry(place.stream, place.entry, {})
        for page in self._settler.whole([entry]):
            for found in page:
                try:
                    return read_parked_job(found)
                except READING_ERRORS:
                    return None
        return None

    def pairs(self, task: str) -> list[PairRecord]:
        """What two people answered of each job of a task, the oldest first."""
        return self._decisions.pairs(task)

    def now_ms(self) -> int:
        """Redis's clock in milliseconds."""
        return self._settler.now_ms()

    def earlier(self, stream: str, entry: str) -> tuple[Decision, ...]:
        """What persons decided before on what is decided again, in their order."""
        return self._decisions.earlier(stream, [entry]).get(entry, ())

    def ask_another(
        self, entry: StreamEntry, raw: bytes, person: str, note: Note | None = None
    ) -> bool:
        """Keep a decision that is final, and let another person have what it was made on.

        Args:
            entry: What was decided.
            raw: The decision.
            person: Who made it; it is hidden from that person from now on.
            note: Written down with it, once.

        Returns:
            Whether it was kept here; another desk may have done so.
        """
        stream, task = entry.stream, self._keys.task_of(entry.stream) or ""
        place, noted = self.place(stream, entry.entry), note or Note("", "", "", 0, 0)
        keys = [
            stream,
            self._keys.decisions,
            self._keys.decided,
            self._keys.review(task),
            self._keys.earlier_of(stream, entry.entry),
            self._keys.answered(task, person),
            noted.key or self._keys.pairs(task),
        ]
        arguments = [
            POOL_GROUP,
            entry.entry,
            raw,
            person,
            _holder(person),
            DECIDED_CONSUMER,
            self._lease_ms,
            place.member,
            ANSWERED_TTL_SECONDS,
            *noted[1:],
        ]
        return bool(self._scripts.run("ask_another", keys, arguments))

    def settle_decided(
        self,
        keep: Callable[[Sequence[Decided]], object] = lambda _decided: None,
        end_check: Callable[[StreamEntry, bytes], bool] = lambda _entry, _decision: True,
    ) -> list[Decided]:
        """Make results of the decisions that are final; give the jobs that are decided by them.

        Where another person has to be asked, the job goes back to those that wait. Several desks
        may do so at once: the ledger lets one of them through. What came of a decision is told by
        each.

        Args:
            keep: Called with what is decided before it is settled; where it raises, it is not.
            end_check: Called with each blind check that was decided, and the decision; it ends it,
                or asks another person, and says whether it is over.
        """
        keys = [self._keys.decisions, self._keys.decided]
        rows = self._scripts.run("take_decided", keys, [POOL_GROUP, SETTLED_AT_ONCE])
        taken = [(held_entry(stream.decode(), row[:4]), row[4]) for stream, *row in rows]
        told: list[Decided] = []
        taken.sort(key=lambda each: each[0].stream)
        for stream, group in groupby(taken, key=lambda each: each[0].stream):
            found = list(group)
            if self._is_check(stream):
                over = [entry.entry for entry, raw in found if end_check(entry, raw)]
            else:
                decided, over = self._settle_jobs(stream, found, keep)
                told += decided
            # What another person is asked may be decided anew by now.
            self._decisions.forget(stream, over)
        return told

    def _settle_jobs(
        self,
        stream: str,
        found: Sequence[tuple[StreamEntry, bytes]],
        keep: Callable[[Sequence[Decided]], object],
    ) -> tuple[list[Decided], list[str]]:
        """Settle what is decided of one stream; give it, and the entries that are over."""
        now_ms, ended = self.now_ms(), list[Settlement]()
        made = list[Decided]()
        earlier = self._decisions.earlier(stream, [entry.entry for entry, _ in found])
        for entry, raw in found:
            try:
                held, decision = read_parked_job(entry), read_decision(raw)
            except READING_ERRORS:
                ended.append(unreadable(entry, now_ms))
                continue
            decisions = all_of(earlier.get(entry.entry, ()), decision)
            decided = decided_by(held, decisions)
            if decided is None:
                self.ask_another(entry, raw, decision.person, self._note_of(held, decisions))
            else:
                made.append(decided)
        keep(made)
        for each in made:
            self._decisions.note_pair_of(each.held, each.decisions)
            ended.append(finish_with(each, now_ms=now_ms))
        self._settler.settle(stream, POOL_GROUP, ended, must_hold=True)
        return made, [each.entry for each in ended]

    def _note_of(self, held: HeldJob, decisions: Sequence[Decision]) -> Note | None:
        pair = pair_of(decisions)
        if pair is None:
            return None
        key = self._keys.pairs(held.slip.task)
        return Note(key, "pair", pair.to_json(), MAX_PAIRS, PAIRS_TTL_SECONDS)

    def _is_check(self, stream: str) -> bool:
        return task_of_checks(self._keys.task_of(stream)) is not None


#: What lease.lua says that has a name of its own.
_REFUSED = {"decided": "answered"}


def _holder(person: str) -> str:
    return f"{_BEFORE_PERSON}{person}"


def _person_of(holder: str) -> str | None:
    return holder.removeprefix(_BEFORE_PERSON) if holder.startswith(_BEFORE_PERSON) else holder


def _written_ms(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])
