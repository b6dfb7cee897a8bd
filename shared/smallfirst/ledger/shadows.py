"""Shadows on the ledger: copies of live jobs, and what is counted of them and their jobs.

Which job is copied, and what a pair says, is decided in `smallfirst.shadow`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from redis import Redis

from smallfirst.jobs import Attempt, Job, Result
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst.shadow.copies import MAX_COPIES, MAX_COPY_BYTES, SHADOW, copy_id
from smallfirst.shadow.pairing import ShadowAnswer

#: For how long counts are kept after the last.
COUNTS_TTL_SECONDS: Final = 35 * 86_400


@dataclass(frozen=True)
class Copy:
    """A live job that is to be copied.

    Attributes:
        producer: Of the live job.
        job_id: Of the live job.
        submitted_ms: When the live job was submitted, on Redis's clock.
        job: The copy.
        slip: What the copy takes along.
    """

    producer: str
    job_id: str
    submitted_ms: int
    job: Job
    slip: RoutingSlip


@dataclass(frozen=True)
class OpenPair:
    """A live job and its copy that are not counted yet.

    Attributes:
        member: As the list of such pairs has it.
        producer: Of the live job.
        job_id: Of the live job.
        submitted_ms: When the live job was submitted.
        live: How the live job ended, or what was tried of it where it waits for a person; None
            while it is with machines, or where it is not known any more.
        copy: How the copy ended; None where it has not.
        expires_ms: The deadline of a live job that waits for a person.
        is_repeat: Whether the live job was submitted before, under the same id, and drawn or not by
            that submission: another draw would let those in that are repeated most.
    """

    member: str
    producer: str
    job_id: str
    submitted_ms: int
    live: Result | tuple[Attempt, ...] | None = None
    copy: Result | None = None
    expires_ms: int | None = None
    is_repeat: bool = False

    @property
    def copy_id(self) -> str:
        """The id of the copy."""
        return copy_id(self.producer, self.job_id)


class Shadows:
    """The shadows of one slice.

    Args:
        redis: Connected.
        keys: Of the slice.
        scripts: Of the ledger.
        job_ttl: How long a job is in flight at most.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        scripts: Scripts | None = None,
        job_ttl: timedelta = timedelta(days=1),
    ) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._scripts = scripts or Scripts(redis)
        self._open_seconds = round(job_ttl.total_seconds())

    def copy(self, candidate: str, series: str, copies: Sequence[Copy], num_left_out: int) -> int:
        """Copy jobs as far as the bounds allow; say how many.

        Args:
            candidate: Its name.
            series: Under which it is counted.
            copies: What is to be copied.
            num_left_out: How many jobs were drawn before and not copied, for want of capacity.
        """
        keys = self._keys
        names = [
            keys.shadowing(candidate, series),
            keys.shadow(candidate, series),
            keys.escalations,
        ]
        arguments: list[object] = [keys.tag, SHADOW, MAX_COPIES, MAX_COPY_BYTES]
        arguments += [COUNTS_TTL_SECONDS, self._open_seconds, num_left_out]
        for each in copies:
            arguments += [each.job.id, f"{each.producer}:{each.job_id}", each.submitted_ms]
            arguments += [each.job.to_json(), each.slip.to_json()]
        return int(self._scripts.run("copy_jobs", names, arguments))

    def now_ms(self) -> int:
        """Redis's clock in milliseconds."""
        seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def open_pairs(self, candidate: str, series: str) -> list[OpenPair]:
        """Read what is not counted yet, oldest first, and how each ended.

        Args:
            candidate: Its name.
            series: Under which it is counted: copies that another cascade was asked are left alone.
        """
        found = self._redis.zrange(self._keys.shadowing(candidate, series), 0, -1, withscores=True)
        pairs = [_pair(member.decode(), int(score)) for member, score in found]
        pipeline = self._redis.pipeline(transaction=False)
        for each in pairs:
            own = self._keys.of_producer(each.producer)
            pipeline.get(own.result(each.job_id))
            pipeline.get(self._keys.of_producer(SHADOW).result(each.copy_id))
            pipeline.hmget(own.job(each.job_id), "at", "entry")
        replies = pipeline.execute() if pairs else []
        return [
            self._ended(pair, *replies[3 * number : 3 * number + 3])
            for number, pair in enumerate(pairs)
        ]

    def _ended(
        self, pair: OpenPair, live: bytes | None, copy: bytes | None, place: Sequence[bytes | None]
    ) -> OpenPair:
        """Add to a pair how its job and the copy ended, as far as they have."""
        result, slip = _result(live), None
        at, entry = (each.decode() if each else "" for each in place)
        if result is None and entry and self._keys.task_of(at) is not None:
            slip = self._slip(at, entry)
        submitted_ms = slip.submitted_ms if slip else result and ms_of(result.submitted_at)
        return replace(
            pair,
            live=slip.trail if slip else result,
            copy=_result(copy),
            expires_ms=slip.expires_ms if slip else None,
            is_repeat=submitted_ms not in {None, pair.submitted_ms},
        )

    def _slip(self, stream: str, entry: str) -> RoutingSlip | None:
        """What a job that waits for a person takes along."""
        found = self._redis.xrange(stream, entry, entry)
        try:
            return RoutingSlip.model_validate_json(found[0][1][b"slip"]) if found else None
        except READING_ERRORS:
            return None

    def count(
        self,
        candidate: str,
        series: str,
        pair: OpenPair,
        amounts: Mapping[str, float],
        said: ShadowAnswer | None = None,
        keep_seconds: int = 1,
    ) -> bool:
        """Count a pair, once; False where another has.

        Args:
            candidate: Its name.
            series: Under which it is counted.
            pair: Which.
            amounts: What it adds, by field.
            said: What is kept of the candidate's answer, where a person's may be known some day.
            keep_seconds: For how long.
        """
        keys, copy = self._keys, pair.copy_id
        names = [keys.shadowing(candidate, series), keys.shadow(candidate, series)]
        names += [keys.of_producer(SHADOW).result(copy), keys.shadowed(copy)]
        arguments = [pair.member, COUNTS_TTL_SECONDS, said.to_json() if said else "", keep_seconds]
        added = [word for name, amount in amounts.items() for word in (name, repr(float(amount)))]
        return bool(self._scripts.run("count_pair", names, [*arguments, *added]))

    def counts(self, candidate: str, series: str) -> Mapping[str, float]:
        """Read what was counted of a candidate."""
        found = self._redis.hgetall(self._keys.shadow(candidate, series))
        return {name.decode(): float(amount) for name, amount in found.items()}

    def take_said(self, producer: str, job_id: str) -> ShadowAnswer | None:
        """Take what a candidate said of a job that a person has answered; once, whoever asks.

        None where nothing is kept, or somebody else has taken it.
        """
        key = self._keys.shadowed(copy_id(producer, job_id))
        raw = self._redis.get(key)
        if raw is None or not self._redis.delete(key):
            return None
        try:
            return ShadowAnswer.model_validate_json(raw)
        except READING_ERRORS:
            return None

    def judge(self, said: ShadowAnswer, amounts: Mapping[str, float]) -> None:
        """Count what a person's answer says of a candidate's."""
        key = self._keys.shadow(said.candidate, said.series)
        pipeline = self._redis.pipeline(transaction=False)
        for name, amount in amounts.items():
            pipeline.hincrbyfloat(key, name, amount)
        pipeline.expire(key, COUNTS_TTL_SECONDS)
        pipeline.execute()

    def forget(self, producer: str, job_id: str) -> int:
        """Remove what is kept of a job's copy that has ended; say how much it was."""
        copy, keys = copy_id(producer, job_id), self._keys
        own = keys.of_producer(SHADOW)
        num_removed = int(self._redis.delete(own.result(copy)))
        num_removed += int(self._redis.delete(keys.shadowed(copy)))
        self._redis.delete(own.job(copy))
        for name, member in self._open_of(producer, job_id):
            self._redis.zrem(name, member)
        return num_removed

    @cached_property
    def _open_names(self) -> list[bytes]:
        """The lists of pairs that are not counted yet; looked for once, among all keys."""
        return list(self._redis.scan_iter(match=self._keys.shadowing("*", "*"), count=10_000))

    def _open_of(self, producer: str, job_id: str) -> list[tuple[bytes, bytes]]:
        """Where a job stands whose pair is not counted yet."""
        return [
            (name, member)
            for name in self._open_names
            for member in self._redis.zrange(name, 0, -1)
            if member.decode().partition(":")[2] == f"{producer}:{job_id}"
        ]

    def is_coming(self, producer: str, job_id: str) -> bool:
        """Whether a job has a copy that no router has taken up yet."""
        own = self._keys.of_producer(SHADOW).job(copy_id(producer, job_id))
        return bool(self._open_of(producer, job_id)) and not self._redis.exists(own)

    def is_under_way(self, producer: str, job_id: str) -> bool:
        """Whether a job has a copy that has not ended."""
        copy, keys = copy_id(producer, job_id), self._keys
        return bool(self._redis.hexists(keys.of_producer(SHADOW).job(copy), "origin"))


def sum_of(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Add up what was counted in two slices."""
    names = one.keys() | other.keys()
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in names}


def _pair(member: str, submitted_ms: int) -> OpenPair:
    _, producer, job_id = member.split(":", 2)
    return OpenPair(member, producer, job_id, submitted_ms)


def ms_of(moment: datetime) -> int:
    """A moment of a result in milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def _result(raw: bytes | None) -> Result | None:
    try:
        return None if raw is None else Result.model_validate_json(raw)
    except READING_ERRORS:
        return None
