"""What a client needs of a fleet, and how Redis gives it.

It owns the producer's side of the wire: commands, connections, their errors. When to send, when to
ask and whom to tell is `producer`'s and `inbox`'s. The in-memory transport is in `testing`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from time import monotonic
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import Field, ValidationError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from smallfirst.client.backoff import pauses
from smallfirst.errors import FleetRefused, FleetUnreachable, SlicesDiffer
from smallfirst.jobs import DEFAULT_PRODUCER, Job, JobId, Result, Status, is_name
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.slices import keys_of_slices
from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.refusals import (
    CLUSTER,
    CLUSTER_REMEDY,
    is_cluster,
    is_nobody_there,
    refusal_of,
    words_of,
)
from smallfirst.wire import Wire

#: How long one call tries to reach Redis: through a failover, and past a frozen connection.
PATIENCE = timedelta(seconds=15)
#: Connections of one client; one of them waits for notices.
MAX_CONNECTIONS = 16
#: A frozen link must not use up the patience.
SOCKET_TIMEOUT, CONNECT_TIMEOUT = 5.0, 3.0
#: Seconds without a notice after which a client listens anew: the link may be dead without a sign.
SILENCE_SECONDS = 60.0
#: How far back `locate` looks for a job that no router has read yet, in pages.
LOCATE_PAGE, LOCATE_PAGES = 100, 10

#: What passes by itself: a connection lost, and a failover that is not over.
_PASSING = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, MasterDownError)

_Reply = TypeVar("_Reply")


class State(StrEnum):
    """How far a job has come."""

    UNKNOWN = "unknown"
    SUBMITTED = "submitted"
    QUEUED = "queued"
    DONE = "done"


class JobLocation(Wire):
    """Where a job is now."""

    id: JobId
    state: Annotated[State, Field(strict=False)] = Field(
        description="`submitted` until a router has read it; `unknown` also once its result went."
    )
    where: str | None = Field(
        default=None, description="While queued: the pool's name, or `router` between two steps."
    )
    status: Annotated[Status, Field(strict=False)] | None = Field(
        default=None,
        description="The status of the result, once it is there; none if it cannot be read here.",
    )


class Transport(Protocol):
    """The wire as a client sees it. Every call raises `FleetUnreachable` or `FleetRefused`."""

    async def add(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs in order; return their entries: ms of the fleet's clock, `-`, a number."""

    async def cancel(self, ids: Sequence[str]) -> None:
        """Say that nobody wants these jobs any more."""

    async def unread(self, entries: Sequence[str]) -> set[str]:
        """Return those entries that no router has read and settled yet."""

    async def count_backlog(self) -> int:
        """Count the jobs that wait for a router."""

    async def fetch(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the results (JSON) of those jobs that have one."""

    def notices(self, reply_to: str) -> AsyncGenerator[list[str], None]:
        """Yield the ids of new results; first an empty list, once it listens. Some may be missed.

        Ends when nothing was heard for long.
        """

    async def locate(self, job_id: str) -> JobLocation:
        """Find out where a job is."""

    async def close(self) -> None:
        """Let every connection go."""


class RedisTransport:
    """One slice of a fleet behind Redis, as one of its producers sees it.

    A lost connection is tried again for `patience`. That may submit a job twice, which is safe: the
    id is the same. A first connection on this machine is not: where nobody listens, no fleet runs.

    Args:
        url: Of Redis.
        namespace: Of the fleet.
        producer: Whose jobs are submitted and looked up.
        patience: For how long a lost connection is tried again.
        number: Of the slice.
        num_slices: Of the fleet.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "sf",
        producer: str = DEFAULT_PRODUCER,
        patience: timedelta = PATIENCE,
        number: int = 0,
        num_slices: int = 1,
    ) -> None:
        if not is_name(producer):
            raise ValueError(f"producer: no name of a producer: {producer!r}")
        address = RedisAddress.parse(url)
        self.address = address.shown
        self._is_cluster = address.is_cluster
        self._is_local = address.is_local
        self._has_answered = False
        self.producer = producer
        self._fleet_keys = Keys(namespace, number)
        self._keys = self._fleet_keys.of_producer(producer)
        self._slices = keys_of_slices(namespace, num_slices)
        self._patience_seconds = patience.total_seconds()
        options: dict[str, Any] = {
            "decode_responses": True,
            # Others may write as this producer to the stream that `locate` reads.
            "encoding_errors": "replace",
            "socket_timeout": SOCKET_TIMEOUT,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "client_name": "smallfirst-client",
            # The driver retries commands and connections inside each other, so its bounds multiply.
            "retry": Retry(NoBackoff(), 0),
        }
        self._redis = _connect(address, options)
        self._is_checked = False

    async def add(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs in one round trip."""
        return await self._write([("job", job.to_json()) for job in jobs])

    async def cancel(self, ids: Sequence[str]) -> None:
        """Submit cancellations in one round trip."""
        await self._write([("cancel", job_id) for job_id in ids])

    async def unread(self, entries: Sequence[str]) -> set[str]:
        """Look which entries still stand in the producer's stream, in one round trip."""

        def execute() -> Awaitable[list[list[Any]]]:
            pipeline = self._redis.pipeline(transaction=False)
            for entry in entries:
                pipeline.xrange(self._keys.jobs, entry, entry)
            return pipeline.execute()

        found = await self._patiently(execute)
        return {entry for entry, rows in zip(entries, found, strict=True) if rows}

    async def count_backlog(self) -> int:
        """Count the entries of the producer's stream."""
        return int(await self._patiently(lambda: self._redis.xlen(self._keys.jobs)))

    async def fetch(self, ids: Sequence[str]) -> dict[str, str]:
        """Read results by their ids in one round trip."""
        if not ids:
            return {}
        await self.check_fleet()
        keys = [self._keys.result(job_id) for job_id in ids]
        found: list[Any] = await self._patiently(lambda: self._redis.mget(keys))
        return {job_id: raw for job_id, raw in zip(ids, found, strict=True) if raw is not None}

    async def notices(self, reply_to: str) -> AsyncGenerator[list[str], None]:
        """Listen on the reply channels of all slices: a channel is heard on any node."""
        async with self._redis.pubsub() as channel:
            await self._patiently(lambda: channel.subscribe(*self._channels(reply_to)))
            heard_at = monotonic()
            while (left := heard_at + SILENCE_SECONDS - monotonic()) > 0:
                if heard := await self._hear(channel, left):
                    heard_at = monotonic()
                    yield heard["data"].split("\n") if heard["type"] == "message" else []

    async def locate(self, job_id: str) -> JobLocation:
        """Look for the result, for the job in flight, and for an entry that no router has read."""
        await self.check_fleet()
        found = await self._locate_known(job_id)
        if found is None and await self._is_submitted(job_id):
            return JobLocation(id=job_id, state=State.SUBMITTED)
        # A router may have read it between the two looks.
        found = found or await self._locate_known(job_id)
        return found or JobLocation(id=job_id, state=State.UNKNOWN)

    async def close(self) -> None:
        """Close every connection; one that is broken is let go."""
        group = getattr(self._redis.connection_pool, "sentinel_manager", None)
        for redis in (self._redis, *(group.sentinels if group else ())):
            with suppress(RedisError, OSError):
                await redis.aclose()

    async def _write(self, submissions: Sequence[tuple[str, str]]) -> list[str]:
        await self.check_fleet()
        give_up_at = monotonic() + self._patience_seconds
        for pause in pauses(first=0.05, longest=1.0):
            entries = await self._patiently(lambda: self._append(submissions))
            found = [entry for entry in entries if entry is not None]
            if len(found) == len(submissions):
                return found
            # Routers make the stream within seconds of the registration, or of a flush of Redis.
            if monotonic() + pause > give_up_at:
                raise FleetRefused(self.address, _unregistered(self.producer))
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    def _append(self, submissions: Sequence[tuple[str, str]]) -> Awaitable[list[str | None]]:
        """Add entries in one round trip; None for each that nobody would read.

        The stream of `default` is made by whoever comes first. Another producer's is there once it
        is registered, and a client that made it would have jobs confirmed that never end.
        """
        pipeline = self._redis.pipeline(transaction=False)
        how = ("*",) if self.producer == DEFAULT_PRODUCER else ("NOMKSTREAM", "*")
        for field, value in submissions:
            pipeline.execute_command("XADD", self._keys.jobs, *how, field, value)
        return pipeline.execute()

    def _channels(self, reply_to: str) -> list[str]:
        return [keys.of_producer(self.producer).results(reply_to) for keys in self._slices]

    async def check_fleet(self) -> None:
        """Look, before anything is written or looked for, whether the fleet is as it was told.

        A node of a cluster that is named as one Redis, and a slice that the fleet has not, may
        confirm a submission that no fleet will ever answer.

        Raises:
            FleetRefused: When it is another.
        """
        if self._is_checked:
            return
        redis: Any = self._redis
        hello: Any = await self._patiently(lambda: redis.execute_command("HELLO"))
        if is_cluster(hello) and not self._is_cluster:
            raise FleetRefused(self.address, f"{CLUSTER}; {CLUSTER_REMEDY}")
        found = await self._patiently(lambda: redis.get(self._fleet_keys.num_slices))
        if found is not None and int(found) != len(self._slices):
            differ = SlicesDiffer(self.address, int(found), len(self._slices))
            raise FleetRefused(self.address, f"{differ.reason}; {differ.remedy}")
        # Before the first router of a fleet nobody can tell how many slices it has.
        self._is_checked = found is not None

    async def _hear(self, channel: PubSub, seconds: float) -> dict[str, Any] | None:
        """Wait for one message; a broken connection ends the listening."""
        try:
            heard: dict[str, Any] | None = await channel.get_message(timeout=seconds)
        except (RedisError, OSError) as error:
            raise FleetUnreachable(self.address, words_of(error)) from None
        return heard

    async def _locate_known(self, job_id: str) -> JobLocation | None:
        def execute() -> Awaitable[list[str | None]]:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.get(self._keys.result(job_id))
            pipeline.hget(self._keys.job(job_id), "at")
            return pipeline.execute()

        raw, at = await self._patiently(execute)
        if raw is not None:
            return JobLocation(id=job_id, state=State.DONE, status=_status_of(raw))
        if at is None:
            return None
        return JobLocation(
            id=job_id, state=State.QUEUED, where=self._fleet_keys.pool_of(at) or "router"
        )

    async def _is_submitted(self, job_id: str) -> bool:
        """Look among the newest entries that no router has settled."""
        newest = "+"
        for _ in range(LOCATE_PAGES):
            page = await self._read_before(newest)
            if any(_is_of(job_id, fields.get("job", "")) for _, fields in page):
                return True
            if len(page) < LOCATE_PAGE:
                return False
            newest = f"({page[-1][0]}"
        return False

    async def _read_before(self, newest: str) -> list[tuple[str, dict[str, str]]]:
        stream = self._keys.jobs
        reply: Any = await self._patiently(
            lambda: self._redis.xrevrange(stream, max=newest, count=LOCATE_PAGE)
        )
        return list(reply)

    async def _patiently(self, attempt: Callable[[], Awaitable[_Reply]]) -> _Reply:
        """Try until it works or patience runs out; translate what the driver raises."""
        give_up_at = monotonic() + self._patience_seconds
        for pause in pauses(first=0.05, longest=1.0):
            try:
                reply = await attempt()
            except (AuthenticationError, AuthorizationError) as error:
                raise FleetRefused(self.address, _reason_of(error)) from error
            except (*_PASSING, OSError) as error:
                if monotonic() + pause > give_up_at or self._is_missing(error):
                    raise FleetUnreachable(self.address, words_of(error)) from None
                if isinstance(error, ReadOnlyError | MasterDownError):
                    # Its connections lead to a server that is no longer, or not yet, the master.
                    await self._redis.connection_pool.disconnect()
            except RedisError as error:
                # Nor is the driver's own error chained: it quotes the command, and so the text.
                raise FleetRefused(self.address, _reason_of(error)) from None
            else:
                self._has_answered = True
                return reply
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    def _is_missing(self, error: Exception) -> bool:
        """Whether no fleet runs here: one that did is back soon, and elsewhere one may start."""
        return self._is_local and not self._has_answered and is_nobody_there(error)


def _connect(address: RedisAddress, options: dict[str, Any]) -> Redis:
    """Open connections: to one server a bounded number, for which callers wait."""
    if address.master is not None or address.is_cluster:
        return address.connect_async(**options)
    pool = BlockingConnectionPool.from_url(
        address.url, max_connections=MAX_CONNECTIONS, timeout=None, **options
    )
    return Redis.from_pool(pool)


def _unregistered(producer: str) -> str:
    return (
        f"nobody reads what the producer {producer!r} submits; register it (smallfirst producer add"
        f" {producer}, or the routers' SMALLFIRST_PRODUCERS)"
    )


def _status_of(raw: str) -> Status | None:
    """The status of a result; None of one that this version cannot read."""
    try:
        return Result.model_validate_json(raw).status
    except ValidationError:
        return None


def _reason_of(error: RedisError) -> str:
    """What Redis said, and what to do about it."""
    refusal = refusal_of(error)
    return f"{refusal.reason}; {refusal.remedy}" if refusal else words_of(error)


def _is_of(job_id: str, raw: str) -> bool:
    """Whether a submission, which anybody may have written, is the job of this id."""
    if job_id not in raw:
        return False
    try:
        job = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(job, dict) and job.get("id") == job_id
