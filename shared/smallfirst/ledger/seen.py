"""What was seen of jobs whose task has a promise: counted in memory, written down with the books.

A process counts what it has settled, and adds it to the day's hash every few seconds, so that no
job waits for it and no script does more. What a process had not written when it was killed is
missing, and a job whose work was done twice may count twice: neither makes jobs look otherwise.

While thresholds are raised, jobs are counted as if they were not: an answer that would have stood
counts as accepted, and what is asked after it does not count. Else an alarm would keep itself up.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from smallfirst.acceptance import RAISED
from smallfirst.answers import LabelAnswer
from smallfirst.drift.bins import (
    ACCEPTED,
    CONFIDENCE_BINS,
    ESCALATED,
    LENGTH_BINS,
    What,
    confidence_bin,
    length_bin,
)
from smallfirst.jobs import Attempt, Outcome, Tier
from smallfirst.ledger.settlements import Finish, Move, Settlement
from smallfirst.ledger.slices import Slice

#: What stands for a bin where none is counted.
_NOT_COUNTED: Final = -1
#: Looked up here once: every job comes by, and an enumeration is slow to go through.
_HUMAN, _RULE, _ACCEPTED = Tier.HUMAN, Tier.RULE, Outcome.ACCEPTED
#: The most kinds of attempts between two entries into the books: some megabytes.
MAX_KINDS: Final = 50_000


class Quantity(NamedTuple):
    """What is counted apart: of a task under one promise, of one step or of none."""

    task: str
    promise: str
    what: str
    step: int | None


#: One attempt as it is counted: task, promise, step, outcome, the place of its confidence, the
#: accepted label, and the place of the text's length at the first attempt of a job.
_Kind = tuple[str, str, int, str, int, str, int]


class SeenJobs:
    """What one process has seen, and not written down yet; for all its threads.

    Args:
        max_kinds: How many kinds of attempts are told apart; others are passed over.
    """

    def __init__(self, max_kinds: int = MAX_KINDS) -> None:
        self._max_kinds = max_kinds
        self._kinds = Counter[_Kind]()
        self._lock = threading.Lock()

    def count(self, settlements: Iterable[Settlement]) -> None:
        """Count the attempts that these end, where their task has a promise.

        Every job comes by here: it takes one to three microseconds an attempt.
        """
        kinds = list[_Kind]()
        for each in settlements:
            if isinstance(each, Finish):
                basis, result = each.basis, each.result
                if basis is not None and basis.promise:
                    before = result.trail[: len(result.trail) - len(each.spent)]
                    whose = (result.task or "", basis.promise, len(basis.text), before)
                    _add_kinds(whose, each.spent, kinds)
            elif isinstance(each, Move):
                slip = each.slip
                if slip.request is not None and slip.request.promise:
                    before = slip.trail[: len(slip.trail) - len(each.spent)]
                    whose = (slip.task, slip.request.promise, slip.num_chars, before)
                    _add_kinds(whose, each.spent, kinds)
        if not kinds:
            return
        with self._lock:
            if len(self._kinds) >= self._max_kinds:
                kinds = [kind for kind in kinds if kind in self._kinds]
            self._kinds.update(kinds)

    def take(self) -> dict[str, int]:
        """Take out what was counted, by its field; see `keys`."""
        with self._lock:
            kinds, self._kinds = self._kinds, Counter()
        fields = defaultdict[str, int](int)
        for kind, number in kinds.items():
            for name in _fields_of(kind):
                fields[name] += number
        return fields


def _add_kinds(
    whose: tuple[str, str, int, Sequence[Attempt]], spent: Sequence[Attempt], kinds: list[_Kind]
) -> None:
    """Add what a job's attempts count, given its task, promise, length and attempts before."""
    task, promise, num_chars, before = whose
    # A job's first attempt tells of its text.
    length = _NOT_COUNTED if before else length_bin(num_chars)
    for attempt in before:
        if attempt.reason == RAISED:
            return
    for attempt in spent:
        tier, outcome, is_raised = attempt.tier, attempt.outcome, attempt.reason == RAISED
        if is_raised:
            outcome = _ACCEPTED
        if tier is not _HUMAN:
            sure = _NOT_COUNTED if tier is _RULE else confidence_bin(attempt.confidence)
            answer = attempt.answer if outcome is _ACCEPTED else None
            label = answer.label if isinstance(answer, LabelAnswer) else ""
            kinds.append((task, promise, attempt.step, outcome, sure, label, length))
        length = _NOT_COUNTED
        if is_raised:
            return


def _fields_of(kind: _Kind) -> Iterator[str]:
    """What one attempt adds one to, `{task}:{promise}:{what}:{step}:{bin}`."""
    task, promise, step, outcome, confidence, label, length = kind
    own = f"{task}:{promise}"
    if length != _NOT_COUNTED:
        yield f"{own}:{What.LENGTH}::{LENGTH_BINS[length]}"
    # Of a model that failed nothing is known of the text; failures have alerts of their own.
    if outcome == Outcome.FAILED:
        return
    yield f"{own}:{What.ESCALATION}:{step}:{ACCEPTED if outcome == ACCEPTED else ESCALATED}"
    if confidence != _NOT_COUNTED:
        yield f"{own}:{What.CONFIDENCE}:{step}:{CONFIDENCE_BINS[confidence]}"
    if label:
        yield f"{own}:{What.LABEL}::{label}"


#: What was counted in one period: how many fell into each bin of each quantity.
SeenPeriod = Mapping[Quantity, Mapping[str, int]]


class Period(NamedTuple):
    """A day (UTC, as YYYY-MM-DD), or an hour of it, 00 to 23."""

    date: str
    hour: str = ""

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.date} {self.hour}:00" if self.hour else self.date


def read_seen(first: Slice, periods: Sequence[Period]) -> dict[Period, SeenPeriod]:
    """Read what was seen in periods; all of it is in the fleet's first slice."""
    pipeline: Any = first.redis.pipeline(transaction=False)
    for period in periods:
        pipeline.hgetall(first.keys.seen(*period))
    replies = pipeline.execute() if periods else []
    return {period: seen_of(found) for period, found in zip(periods, replies, strict=True)}


def seen_of(fields: Mapping[bytes, bytes]) -> SeenPeriod:
    """Sort what was counted in a period; another version's is passed over."""
    found = defaultdict[Quantity, dict[str, int]](dict)
    for name, value in fields.items():
        with suppress(ValueError):
            task, promise, what, step, each = name.decode().split(":", 4)
            quantity = Quantity(task, promise, what, int(step) if step else None)
            found[quantity][each] = max(0, int(value))
    return found


def forget_seen(first: Slice, task: str, periods: Iterable[Period]) -> int:
    """Begin anew: drop what was counted of a task; say how many counts were there."""
    redis: Any = first.redis
    num_dropped = 0
    for period in periods:
        key = first.keys.seen(*period)
        names = [name for name in redis.hkeys(key) if name.startswith(f"{task}:".encode())]
        num_dropped += int(redis.hdel(key, *names)) if names else 0
    return num_dropped
