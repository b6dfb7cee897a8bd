"""Shadows on the ledger: copies of live jobs, and what is counted of them and their jobs.

Which job is copied, and what a pair says, is decided in `smallfirst.shadow`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from redis import Redis

from smallfirst.jobs import Attempt, Job, Result
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst.shadow.copies import MAX_COPIES, MAX_COPY_BYTES, SHADOW, copy_id
from smallfirst.shadow.pairing import Judgement, ShadowAnswer, cell_of
from smallfirst.wire import Wire

#: What is read.
_Read = TypeVar("_Read", bound=Wire)
#: For how long counts are kept after the last.
COUNTS_TTL_SECONDS: Final = 35 * 86_400
#: How long a person's answer waits for a copy that has not ended: longer than that is waited for.
JUDGEMENT_SECONDS: Final = 2 * 3600
#: Of so many texts it is kept what people said of them; what comes later is counted by jobs alone.
MAX_TEXTS: Final = 20_000


@dataclass(frozen=True)
class Copy:
    """A live job that is to be copied.

    Attributes:
        producer: Of the live job.
        job_id: Of the live job.
        submitted_ms: When the live job was submitted, on Redis's clock.
        text_key: The hash of its text.
        job: The copy.
        slip: What the copy takes along.
    """

    producer: str
    job_id: str
    submitted_ms: int
    text_key: str
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
        copied_ms: When it was copied.
        text_key: The hash of its text.
        copy: How the copy ended; None where it has not.
        live: How the live job ended, or what was tried of it where it waits for a person; None
            while it is with machines, where it is not known any more, or where the copy has not
            ended either.
        expires_ms: The deadline of a live job that waits for a person.
        is_repeat: Whether the live job was submitted before, under the same id, and drawn or not by
            that submission: another draw would let those in that are repeated most.
    """

    member: str
    producer: str
    job_id: str
    submitted_ms: int
    copied_ms: int
    text_key: str
    copy: Result | None = None
    live: Result | tuple[Attempt, ...] | None = None
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
            arguments += [each.slip.submitted_ms, each.text_key]
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
        # Not before its copy has ended: until then nothing would come of looking.
        own = self._keys.of_producer(SHADOW)
        copies = self._redis.mget([own.result(each.copy_id) for each in pairs]) if pairs else []
        seen = [replace(pair, copy=_result(raw)) for pair, raw in zip(pairs, copies, strict=True)]
        pipeline = self._redis.pipeline(transaction=False)
        for each in (ended := [each for each in seen if each.copy]):
            own = self._keys.of_producer(each.producer)
            pipeline.get(own.result(each.job_id))
            pipeline.hmget(own.job(each.job_id), "at", "entry")
        replies = iter(pipeline.execute() if ended else [])
        return [self._with_live(each, replies) if each.copy else each for each in seen]

    def _with_live(self, pair: OpenPair, replies: Iterator[Any]) -> OpenPair:
        """Add to a pair how its live job ended, as far as it has."""
        result, place, slip = _result(next(replies)), next(replies), None
        at, entry = (each.decode() if each else "" for each in place)
        if result is None and entry and self._keys.task_of(at) is not None:
            slip = self._slip(at, entry)
        submitted_ms = slip.submitted_ms if slip else result and ms_of(result.submitted_at)
        return replace(
            pair,
            live=slip.trail if slip else result,
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

    def texts(self, candidate: str, series: str) -> Mapping[str, str]:
        """What both cascades are by a person's answer, of each text once, by its hash."""
        found = self._redis.hgetall(self._keys.judged(candidate, series))
        return {name.decode(): cell.decode() for name, cell in found.items()}

    def note(self, producer: str, job_id: str, judgement: Judgement) -> None:
        """Note what a person said of a job of which a candidate may have, or may get, a copy."""
        key = self._keys.judgement(copy_id(producer, job_id))
        self._redis.set(key, judgement.to_json(), ex=JUDGEMENT_SECONDS)

    def join(self, producer: str, job_id: str) -> bool:
        """Count what a person said beside what the candidate said, where both are known; once.

        Whoever learns of either calls this afterwards: so the later of the two sees both, and of
        two that do one counts.
        """
        copy, keys = copy_id(producer, job_id), self._keys
        said = _read(ShadowAnswer, self._redis.get(keys.shadowed(copy)))
        judgement = _read(Judgement, self._redis.get(keys.judgement(copy)))
        if said is None or judgement is None or not self._redis.delete(keys.shadowed(copy)):
            return False
        self._redis.delete(keys.judgement(copy))
        self._judge(said, cell_of(judgement, said.answer))
        return True

    def _judge(self, said: ShadowAnswer, cell: str) -> None:
        counts = self._keys.shadow(said.candidate, said.series)
        texts = self._keys.judged(said.candidate, said.series)
        has_room = self._redis.hlen(texts) < MAX_TEXTS
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hincrbyfloat(counts, f"judged:{cell}", 1)
        pipeline.expire(counts, COUNTS_TTL_SECONDS)
        if has_room:
            pipeline.hsetnx(texts, said.text_key, cell)
        pipeline.expire(texts, COUNTS_TTL_SECONDS)
        pipeline.execute()

    def forget(self, producer: str, job_id: str) -> int:
        """Remove what is kept of a job's copy that has ended; say how much it was."""
        copy, keys = copy_id(producer, job_id), self._keys
        own = keys.of_producer(SHADOW)
        num_removed = int(self._redis.delete(own.result(copy)))
        num_removed += int(self._redis.delete(keys.shadowed(copy)))
        num_removed += int(self._redis.delete(keys.judgement(copy)))
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
            if (pair := _pair(member.decode(), 0)).producer == producer and pair.job_id == job_id
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


def _pair(member: str, copied_ms: int) -> OpenPair:
    _, submitted_ms, text, producer, job_id = member.split(":", 4)
    return OpenPair(member, producer, job_id, int(submitted_ms), copied_ms, text)


def ms_of(moment: datetime) -> int:
    """A moment of a result in milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def _result(raw: bytes | None) -> Result | None:
    return _read(Result, raw)


def _read(kind: type[_Read], raw: bytes | None) -> _Read | None:
    """Read what stands under a key; None where nothing does, or nothing that can be read."""
    try:
        return None if raw is None else kind.model_validate_json(raw)
    except READING_ERRORS:
        return None
