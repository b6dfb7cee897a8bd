"""Decisions: what a person answered, kept in Redis until it is final, and the result it becomes.

A decision belongs to no desk: whichever lives settles it, or else a router, once the job's wait is
over. Where several people are asked, one that is final is kept until the job is decided.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from pydantic import Field
from redis import Redis

from smallfirst import results
from smallfirst.agreement.answer_keys import answer_key
from smallfirst.agreement.deciding import standing_of
from smallfirst.agreement.measuring import PairRecord
from smallfirst.answers import Answer
from smallfirst.jobs import Attempt, Outcome, Tier
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import Moment
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.settlements import Basis, Finish
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst.people import PERSON
from smallfirst.wire import Wire

#: The most pairs of a task; an older one is dropped for a newer one.
MAX_PAIRS: Final = 5000
#: For how long pairs are kept after the last: a quarter.
PAIRS_TTL_SECONDS: Final = 92 * 86_400
#: Where it stands beside earlier decisions that their pair was noted; no pseudonym begins so.
PAIR_FIELD: Final = b"@pair"


class Decision(Wire):
    """What one person answered to one job."""

    person: str = Field(description="The pseudonym of the person.")
    answer: Answer = Field(description="The person's answer.")
    decided_ms: Moment = Field(description="The time of the decision, on Redis's clock.")
    seconds: float = Field(default=0.0, ge=0.0, description="The seconds spent on the job.")
    start: int = Field(ge=0, description="The number of the start that was answered.")


def read_decision(raw: bytes) -> Decision:
    """Read what a desk wrote.

    Raises:
        ValueError: When it is no decision.
    """
    return Decision.model_validate_json(raw)


class Note(NamedTuple):
    """What is written down while another person is asked.

    Attributes:
        key: The stream.
        name: The field.
        content: What stands in it.
        most: The most entries of the stream.
        keep_seconds: For how long they are kept after the last.
    """

    key: str
    name: str
    content: str
    most: int
    keep_seconds: int


class Decided(NamedTuple):
    """A job that is decided: by one person, or by several, unshown what the others answered.

    Attributes:
        held: The job.
        decisions: In the order in which they were made; the last one's answer stands.
        agreeing: The places of those that gave it.
    """

    held: HeldJob
    decisions: tuple[Decision, ...]
    agreeing: tuple[int, ...]

    @property
    def last(self) -> Decision:
        """Whose answer stands."""
        return self.decisions[-1]


def all_of(earlier: Iterable[Decision], decision: Decision) -> tuple[Decision, ...]:
    """What others decided before, and then this.

    Who reads the two one after the other may find a decision in both places, when somebody else
    has kept it meanwhile: nobody answers twice.
    """
    return (*(each for each in earlier if each.person != decision.person), decision)


def decided_by(held: HeldJob, decisions: Sequence[Decision]) -> Decided | None:
    """Say that a job is decided; None while another person has to be asked."""
    keys = [answer_key(each.answer) for each in decisions]
    standing = standing_of(keys, held.slip.asked.reviewers)
    return None if standing is None else Decided(held, tuple(decisions), standing.agreeing)


def attempts_of(held: HeldJob, decisions: Sequence[Decision]) -> tuple[Attempt, ...]:
    """Record that people were asked and answered, and that none of it stands yet."""
    return tuple(
        _attempt(held, each, Outcome.ESCALATED, "another person was asked, unshown this answer")
        for each in decisions
    )


def finish_with(decided: Decided, *, now_ms: int) -> Finish:
    """End a job with what people answered: exactly that, whatever steps before found."""
    held, last = decided.held, decided.last
    reason = _why_it_stands(decided) if len(decided.decisions) > 1 else None
    attempt = _attempt(held, last, Outcome.ACCEPTED, reason)
    result = results.answered(
        held.job,
        last.answer,
        (*held.slip.trail, *attempts_of(held, decided.decisions[:-1]), attempt),
        submitted_ms=held.slip.submitted_ms,
        now_ms=now_ms,
    )
    return Finish(
        entry=held.entry.entry,
        producer=held.slip.producer,
        result=result,
        reply_to=held.job.reply_to,
        spent=(with_all_seconds(attempt, decided.decisions[:-1]),),
        basis=Basis.of(held),
    )


def with_all_seconds(attempt: Attempt, earlier: Sequence[Decision]) -> Attempt:
    """The attempt that a job is booked by, with the seconds of everybody who answered it."""
    seconds = attempt.seconds + sum(each.seconds for each in earlier)
    return attempt.model_copy(update={"seconds": seconds})


def pair_of(decisions: Sequence[Decision]) -> PairRecord | None:
    """What to note of the first two answers; None where it is not two that there are."""
    if len(decisions) != 2:
        return None
    one, other = decisions
    return PairRecord(
        people=(one.person, other.person),
        said=(answer_key(one.answer), answer_key(other.answer)),
        decided_ms=other.decided_ms,
    )


def _why_it_stands(decided: Decided) -> str:
    """Say of several people's answers who agrees with the last, by pseudonym."""
    others = decided.decisions[:-1]
    agree = [each.person for n, each in enumerate(others) if n in decided.agreeing]
    differ = [each.person for n, each in enumerate(others) if n not in decided.agreeing]
    if not agree:
        return f"{_and(differ)} and this person all differ; the last answer stands"
    return f"{_and(agree)} answered the same" + (f", {_and(differ)} otherwise" if differ else "")


def _and(people: Sequence[str]) -> str:
    return " and ".join(people)


def _attempt(held: HeldJob, decision: Decision, outcome: Outcome, reason: str | None) -> Attempt:
    asked = held.slip.asked
    waited_ms = max(0.0, decision.decided_ms - decision.seconds * 1000 - held.slip.parked_ms)
    return Attempt(
        step=asked.step,
        tier=Tier.HUMAN,
        model=PERSON,
        revision=decision.person,
        pool=asked.pool,
        outcome=outcome,
        confidence=decision.answer.confidence,
        reason=reason,
        seconds=decision.seconds,
        waited_seconds=waited_ms / 1000,
        answer=decision.answer,
    )


class Decisions:
    """The decisions of one slice that are not settled yet."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._scripts = Scripts(redis)

    def read(self, stream: str, entries: Sequence[str]) -> dict[str, bytes]:
        """Find what was decided on entries of a stream, as JSON, by entry."""
        pipeline = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipeline.hget(self._keys.decisions, f"{stream} {entry}")
        found = zip(entries, pipeline.execute(), strict=True)
        return {entry: raw for entry, raw in found if raw is not None}

    def earlier(self, stream: str, entries: Sequence[str]) -> dict[str, tuple[Decision, ...]]:
        """Find what persons decided before on jobs that several are asked, by entry.

        In the order in which they decided; what nobody can read counts for nothing.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipeline.hgetall(self._keys.earlier_of(stream, entry))
        replies = pipeline.execute() if entries else []
        return {
            entry: found
            for entry, reply in zip(entries, replies, strict=True)
            if (found := _in_order(reply))
        }

    def note_pair_of(self, held: HeldJob, decisions: Sequence[Decision]) -> bool:
        """Note what two people answered of a job that is about to end, unless it was noted."""
        pair = pair_of(decisions)
        if pair is None:
            return False
        entry = held.entry
        keys = [self._keys.earlier_of(entry.stream, entry.entry), self._keys.pairs(held.slip.task)]
        arguments = [pair.to_json(), MAX_PAIRS, PAIRS_TTL_SECONDS]
        return bool(self._scripts.run("note_pair", keys, arguments))

    def pairs(self, task: str) -> list[PairRecord]:
        """Read what two people answered of each job, the oldest first."""
        rows = self._redis.xrange(self._keys.pairs(task))
        found = (_read_pair(fields) for _, fields in rows)
        return [each for each in found if each is not None]

    def forget(self, stream: str, entries: Iterable[str]) -> None:
        """Drop what was decided on entries that have ended."""
        members = [f"{stream} {entry}" for entry in entries]
        if members:
            self._redis.hdel(self._keys.decisions, *members)
            self._redis.zrem(self._keys.decided, *members)


def _in_order(reply: Mapping[bytes, bytes]) -> tuple[Decision, ...]:
    found = []
    for person, raw in reply.items():
        with suppress(*READING_ERRORS):
            if person != PAIR_FIELD:
                found.append(read_decision(raw))
    return tuple(sorted(found, key=lambda each: each.start))


def _read_pair(fields: Mapping[bytes, bytes]) -> PairRecord | None:
    with suppress(*READING_ERRORS):
        return PairRecord.model_validate_json(fields[b"pair"])
    return None
