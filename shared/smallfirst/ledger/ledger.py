"""The ledger: entries of Redis streams, who holds each, and how each ends.

An entry is pending from its first read until it is settled, so whatever dies, the job is still
there. This module owns that life and nothing else: what a job is asked, and where it goes next, is
decided elsewhere. All times are Redis's own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from smallfirst.ledger.alarms import Alarms
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.books import BOOKED_TTL_SECONDS, SEEN_HOUR_TTL_SECONDS
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.decisions import Decisions
from smallfirst.ledger.entries import (
    Portion,
    StreamEntry,
    entries_of,
    held_entry,
    parts_of,
    shortened,
)
from smallfirst.ledger.first_seen import FirstSeen
from smallfirst.ledger.fleet_state import FleetState, fleet_state, state_keys
from smallfirst.ledger.groups import is_group_missing, is_of_nothing, make_group
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP, Keys
from smallfirst.ledger.lives import DEAD_AFTER, Lives
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.settlements import Settled, Settlement
from smallfirst.ledger.settling import Settling, portions_of
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import check_slices, declare_slices
from smallfirst.ledger.submissions import Submissions

#: The most entries that one script passes on: it holds Redis for few milliseconds,
PASSED_AT_ONCE = 512
#: and the most that one gives into a worker's hands, with their texts.
CLAIMED_AT_ONCE = 128
#: The most entries one page of a recovery takes over; what is left comes with the next.
RECOVERY_COUNT = 1000
#: The most jobs past their deadline that one call looks at.
DUE_COUNT = 500
#: After so many bytes of entries that wait a call takes no more of them, of all streams together.
TAKEN_BYTES = 8_000_000
#: When a job past its deadline that did not end is looked at again: a worker has it, or the router
#: that took it over died.
DUE_AGAIN = timedelta(seconds=5)
#: The longest that a person's claim holds without being renewed. A desk that is to hold it for less
#: counts the difference as silence.
PERSON_LEASE = timedelta(minutes=10)
#: What an entry may have around its job: the fields' names, and what else a producer writes.
FRAMING_BYTES = 4096


class Ledger:
    """The streams of one fleet, seen by one holder (a router or a worker)."""

    def __init__(
        self, redis: "Redis", keys: Keys, holder: str, bounds: Bounds | None = None
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._holder = holder
        self._bounds = bounds or Bounds()
        self._scripts = Scripts(redis)
        self.first_seen = FirstSeen(redis, keys, self._bounds.job_ttl)
        self.submissions = Submissions(redis, keys, self._scripts)
        self.decisions = Decisions(redis, keys)
        self.audits = Audits(redis, keys, self._scripts)
        self.shadows = Shadows(redis, keys, self._scripts, self._bounds.job_ttl)
        self.alarms = Alarms(redis, keys)
        self.lives = Lives(redis, keys, holder, self._scripts)
        #: Redis's clock when it was last told, in ms, and this process's own at that moment.
        self._clock: tuple[int, float] | None = None
        self._settling = Settling(self._scripts, keys, holder, self._bounds, self._today)

    @property
    def keys(self) -> Keys:
        """The names of its keys."""
        return self._keys

    def now_ms(self) -> int:
        """Redis's clock in milliseconds."""
        seconds, micros = self._redis.time()
        return self._note_clock(int(seconds) * 1000 + int(micros) // 1000)

    def _note_clock(self, now_ms: int) -> int:
        self._clock = (now_ms, monotonic())
        return now_ms

    def _today(self) -> str:
        """The key of what is spent today: by Redis's clock, which is asked only where need be.

        A script must be told its keys before it can ask for the time.
        """
        return self._keys.booked_at(self._about_now_ms())

    def _about_now_ms(self) -> int:
        """Redis's clock, by this process's own where it was asked before."""
        told_ms, told_at = self._clock or (self.now_ms(), monotonic())
        return told_ms + round((monotonic() - told_at) * 1000)

    def book(self, amounts: Mapping[str, float]) -> None:
        """Add to what is spent today: amounts by field, see `keys`; what is nothing is left out."""
        key, pipeline = self._today(), self._redis.pipeline(transaction=False)
        found = {name: f"{amount:.9f}" for name, amount in amounts.items()}
        for name in [name for name, amount in found.items() if float(amount)]:
            pipeline.hincrbyfloat(key, name, float(found[name]))
        pipeline.expire(key, BOOKED_TTL_SECONDS)
        pipeline.execute()

    def count_seen(self, counts: Mapping[str, int]) -> None:
        """Add to what jobs were like, today and in this hour: counts by field, see `keys`."""
        of_day, of_hour = self._keys.seen_at(self._about_now_ms())
        pipeline = self._redis.pipeline(transaction=False)
        for key, ttl in ((of_day, BOOKED_TTL_SECONDS), (of_hour, SEEN_HOUR_TTL_SECONDS)):
            for name, count in counts.items():
                pipeline.hincrby(key, name, count)
            pipeline.expire(key, ttl)
        pipeline.execute()

    def hello(self) -> Any:
        """What Redis says of itself to whoever connects: its version, its mode. Needs no right."""
        redis: Any = self._redis
        return redis.execute_command("HELLO")

    def declare_slices(self, num_slices: int, address: str) -> None:
        """Write down how many slices the fleet has, where nobody has.

        Raises:
            SlicesDiffer: When it has another number.
        """
        declare_slices(self._redis, self._keys, num_slices, address=address)

    def check_slices(self, num_slices: int, address: str) -> bool:
        """Make sure that the fleet has as many slices as this process was told.

        False where nobody can tell yet.

        Raises:
            SlicesDiffer: When it has another number.
        """
        return check_slices(self._redis, self._keys, num_slices, address=address)

    def open(self, streams: Iterable[str], group: str) -> None:
        """Make the streams and their consumer group, where they are not there yet."""
        for stream in streams:
            make_group(self._redis, stream, group)

    def read(
        self,
        streams: Sequence[str],
        group: str,
        *,
        count: int,
        block: timedelta | None = None,
        left_out: str = "",
        max_bytes: int | None = None,
    ) -> list[StreamEntry]:
        """Take unread entries of each stream; they are this holder's from now on.

        No more is taken of a stream once so many entries are in, or so many bytes.

        Args:
            streams: The more urgent first.
            group: Of consumers.
            count: The most entries of each stream.
            block: How long to wait where there is none; no script can wait, so what ends the wait,
                an entry of each stream at most, comes whole however large it is.
            left_out: The field that the entries are returned without.
            max_bytes: What is enough of each stream; left out, `read_bytes`.
        """
        try:
            waited = self._wait(streams, group, block) if block else []
            if block and not waited:
                return []
            max_bytes = self._bounds.read_bytes if max_bytes is None else max_bytes
            return waited + self._read(streams, group, count - bool(block), left_out, max_bytes)
        except ResponseError as error:
            if not (is_group_missing(error) or str(error).startswith("UNBLOCKED")):
                raise
            # Redis was flushed, or failed over to an empty replica: the group is made anew, and
            # whatever producers submit from here on is served.
            self.open(streams, group)
            return []

    def _wait(self, streams: Sequence[str], group: str, block: timedelta) -> list[StreamEntry]:
        wanted: Any = dict.fromkeys(streams, ">")
        block_ms = round(block.total_seconds() * 1000)
        found: Any = self._redis.xreadgroup(group, self._holder, wanted, count=1, block=block_ms)
        return [shortened(entry, self._limit_of(entry.stream)) for entry in entries_of(found)]

    def _read(
        self, streams: Sequence[str], group: str, count: int, left_out: str, max_bytes: int
    ) -> list[StreamEntry]:
        if count < 1:
            return []
        arguments = self._reading(streams, group, count, max_bytes, left_out)
        return _read_of(streams, self._scripts.run("read", streams, arguments))

    def read_portions(self, portions: Sequence[Portion], group: str) -> list[StreamEntry]:
        """Take unread entries as `read` does, of several portions in one round trip."""
        calls = [
            (each.streams, self._reading(each.streams, group, each.count, each.max_bytes))
            for each in portions
        ]
        found: list[StreamEntry] = []
        for portion, reply in zip(portions, self._scripts.run_each("read", calls), strict=True):
            if is_of_nothing(reply):
                self.open(portion.streams, group)
            else:
                found += _read_of(portion.streams, reply)
        return found

    def _reading(
        self, streams: Sequence[str], group: str, count: int, max_bytes: int, left_out: str = ""
    ) -> list[object]:
        """The arguments of read.lua."""
        limits = map(self._limit_of, streams)
        return [group, self._holder, count, max_bytes, left_out, *limits]

    def _limit_of(self, stream: str) -> int:
        """Of how many bytes an entry is taken in whole; 0 where only the fleet writes."""
        is_anybodys = self._keys.producer_of(stream) is not None
        return self._bounds.max_job_bytes + FRAMING_BYTES if is_anybodys else 0

    def whole(self, entries: Sequence[StreamEntry]) -> Iterator[list[StreamEntry]]:
        """Fetch entries of one stream with the fields that were left out, page by page.

        A page has `read_bytes` or a little more. Those that are gone by now are missing.
        """
        most = self._bounds.read_bytes
        for page in parts_of(entries, num_entries=RECOVERY_COUNT, num_bytes=most):
            pipeline = self._redis.pipeline(transaction=False)
            for entry in page:
                pipeline.xrange(entry.stream, entry.entry, entry.entry)
            found = zip(page, pipeline.execute(), strict=True)
            yield [entry._replace(fields=rows[0][1]) for entry, rows in found if rows]

    def renew(self, stream: str, group: str, entries: Sequence[str]) -> set[str]:
        """Start the lease of entries afresh; return those that are still this holder's."""
        return self._pass(stream, group, sorted(entries, key=_order), to=self._holder)

    def queue(self, stream: str, entries: Sequence[str]) -> set[str]:
        """Pass entries on to whichever worker will get the message; return those passed."""
        return self._pass(stream, POOL_GROUP, entries, to=QUEUE_CONSUMER)

    def release(
        self,
        stream: str,
        entries: Sequence[str],
        lease: timedelta,
        *,
        group: str = POOL_GROUP,
    ) -> set[str]:
        """Let go of what this router holds of a stream, so that another has it at once."""
        return self._pass(stream, group, entries, to=self._holder, idle_ms=_past(lease))

    def _pass(
        self, stream: str, group: str, entries: Sequence[str], *, to: str, idle_ms: int = 0
    ) -> set[str]:
        passed: set[str] = set()
        for part in portions_of(entries, PASSED_AT_ONCE):
            arguments = [group, self._holder, to, idle_ms, *part]
            passed |= _decoded(self._scripts.run("hand_over", [stream], arguments))
        return passed

    def keep(self, stream: str, starts: Mapping[str, int]) -> set[str]:
        """Renew the leases of what this worker has started, and take back what was taken over.

        Args:
            stream: A backlog.
            starts: Which start of each entry is this worker's, as `claim` told.

        Returns:
            The entries that have not ended; this worker's work on them still counts.
        """
        if not starts:
            return set()
        return _decoded(
            self._scripts.run("keep", [stream], [POOL_GROUP, self._holder, *_flat(starts)])
        )

    def give_back(
        self,
        stream: str,
        starts: Mapping[str, int],
        lease: timedelta,
        *,
        is_undone: bool,
        pause: timedelta = timedelta(0),
    ) -> set[str]:
        """Give back what this worker has started; return what it still held.

        Args:
            stream: A backlog.
            starts: Which start of each entry is this worker's, as `claim` told.
            lease: As of the routers, who take over what was silent for longer.
            is_undone: Whether the start does not count.
            pause: How much later a router takes it over; a lease at most.
        """
        if not starts:
            return set()
        idle_ms = max(0, _past(lease - pause))
        arguments = [POOL_GROUP, self._holder, idle_ms, "1" if is_undone else "0", *_flat(starts)]
        return _decoded(self._scripts.run("give_back", [stream], arguments))

    def claim(
        self, stream: str, entries: Sequence[str], *, starts: int | None = None
    ) -> tuple[int, list[StreamEntry]]:
        """Take queued entries into this worker's hands, and count their start.

        Args:
            stream: A backlog.
            entries: As a message names them.
            starts: How often each was started before, as the message says; those of which it is
                not true any more are left alone. A version before said none.

        Returns:
            Redis's clock in milliseconds, and the entries that this worker holds now.
        """
        wanted = "" if starts is None else starts
        arguments = [POOL_GROUP, self._holder, wanted, self._keys.tag, QUEUE_CONSUMER]
        now_ms, claimed = 0, list[StreamEntry]()
        # The clock is wanted even where there is nothing to claim.
        for part in [*portions_of(entries, CLAIMED_AT_ONCE)] or [()]:
            now_ms, *found = self._scripts.run("claim", [stream], [*arguments, *part])
            claimed += [held_entry(stream, row) for row in found]
        return self._note_clock(int(now_ms)), claimed

    def recover(
        self,
        stream: str,
        group: str,
        *,
        lease: timedelta,
        queue_timeout: timedelta,
        left_out: str = "",
    ) -> list[StreamEntry]:
        """Take over a page of the entries whose holder is gone; nothing where none are left.

        `lease` is how long a holder may be silent; `queue_timeout` is the same for entries that
        were dispatched and that no worker has started. What was never started comes without the
        field `left_out`.
        """
        lease_ms, queue_timeout_ms = (
            round(x.total_seconds() * 1000) for x in (lease, queue_timeout)
        )
        arguments = [
            group,
            self._holder,
            lease_ms,
            queue_timeout_ms,
            QUEUE_CONSUMER,
            RECOVERY_COUNT,
            self._bounds.read_bytes,
            left_out,
            self._limit_of(stream),
        ]
        return [
            held_entry(stream, row) for row in self._scripts.run("recover", [stream], arguments)
        ]

    def take_waiting(self, backlog: str, counts: Mapping[str, int]) -> list[StreamEntry]:
        """Take back the oldest entries that wait for a backlog to have room.

        Args:
            backlog: The stream.
            counts: How many entries at most, by the stream that they wait in.
        """
        consumer = self._keys.waiting_for(backlog)
        max_bytes = TAKEN_BYTES // max(len(counts), 1)
        calls = [
            ([stream], [ROUTER_GROUP, self._holder, consumer, count, max_bytes])
            for stream, count in counts.items()
        ]
        replies = zip(counts, self._scripts.run_each("take_waiting", calls), strict=True)
        # Of a producer that was removed this moment nothing waits.
        found = [(stream, rows) for stream, rows in replies if not is_of_nothing(rows)]
        return [held_entry(stream, row) for stream, rows in found for row in rows]

    def take_due(self) -> tuple[int, list[StreamEntry]]:
        """Take over the entries of jobs that are past their deadline, but not from workers.

        Returns:
            How many jobs were looked at, at most `DUE_COUNT`, and the entries. Those that nobody
            had read are as unread as before.
        """
        again_ms = round(DUE_AGAIN.total_seconds() * 1000)
        lease_ms = round(PERSON_LEASE.total_seconds() * 1000)
        arguments = [self._keys.tag, self._holder, DUE_COUNT, TAKEN_BYTES, again_ms, lease_ms]
        num_jobs, *found = self._scripts.run("take_due", [self._keys.due], arguments)
        return int(num_jobs), [held_entry(stream.decode(), row) for stream, *row in found]

    def settle(
        self,
        stream: str,
        group: str,
        settlements: Sequence[Settlement],
        *,
        must_hold: bool = False,
    ) -> Settled:
        """End entries of one stream, as `Settling.settle` says."""
        return self._settling.settle(stream, group, settlements, must_hold=must_hold)

    def settle_streams(
        self, settlements: Mapping[str, Sequence[Settlement]], group: str
    ) -> dict[str, ResponseError]:
        """End entries of several streams, as `Settling.settle_streams` says."""
        return self._settling.settle_streams(settlements, group)

    def open_pools(self, pools: Iterable[str]) -> None:
        """Make the backlogs of these pools, where they are not there yet."""
        names = list(pools)
        for pool in names:
            self.open(self._keys.backlogs(pool).values(), POOL_GROUP)
        if names:
            self._redis.sadd(self._keys.pools, *names)

    def pools_with_backlogs(self) -> set[str]:
        """Name every pool that has a backlog in Redis, whether or not a catalogue has it still."""
        found: Any = self._redis.smembers(self._keys.pools)
        return _decoded(found)

    def state(self, submissions: Sequence[str], pools: Sequence[str]) -> FleetState:
        """Look at the routers' streams and at these pools, in one round trip.

        Args:
            submissions: The streams of the producers.
            pools: By name.
        """
        keys = state_keys(self._keys, submissions, pools)
        dead_after_ms = round(DEAD_AFTER.total_seconds() * 1000)
        arguments = [ROUTER_GROUP, POOL_GROUP, dead_after_ms, len(submissions)]
        reply = self._scripts.run("fleet_state", keys, arguments)
        return fleet_state(self._keys, submissions, pools, reply)

    def drop_empty(self, pool: str) -> None:
        """Delete the backlogs of a pool that hold nothing."""
        self._scripts.run(
            "drop_empty", [self._keys.pools, *self._keys.backlogs(pool).values()], [pool]
        )

    def tidy(self, streams: Sequence[str], group: str, *, idle: timedelta) -> None:
        """Forget holders of streams that hold nothing and were silent for long."""
        self._scripts.run("tidy", streams, [group, round(idle.total_seconds() * 1000)])


def _read_of(streams: Sequence[str], reply: Iterable[Any]) -> list[StreamEntry]:
    """Read what read.lua returns."""
    found = zip(streams, reply, strict=True)
    return [held_entry(stream, row) for stream, rows in found for row in rows]


def _past(lease: timedelta) -> int:
    """How long, in ms, whoever has lost a lease was silent at least."""
    return round(lease.total_seconds() * 1000) + 1


def _order(entry: str) -> tuple[int, int]:
    """By which a stream sorts its entries."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


def _flat(starts: Mapping[str, int]) -> Iterator[object]:
    for pair in starts.items():
        yield from pair


def _decoded(entries: Iterable[bytes]) -> set[str]:
    return {entry.decode() for entry in entries}
