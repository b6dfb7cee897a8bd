"""Where the records of a slice's results wait until the audit log's keeper takes them up."""

from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from smallfirst.ledger.keys import Keys

#: The group by which the stream is made: a stream without entries needs one.
_GROUP = "log"


class Waiting(NamedTuple):
    """An entry of the stream: a record with its salt and whose it is, or what is void."""

    entry: str
    fields: dict[bytes, bytes]


class RecordStream:
    """The records of one slice, as the keeper of the audit log takes them up.

    Args:
        redis: Of the slice.
        keys: Of the slice.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys

    @property
    def slice(self) -> int:
        """The number of the slice."""
        return int(self._keys.slice)

    def open(self) -> bool:
        """Make the stream, and so have results recorded from now on; say whether it was missing."""
        try:
            self._redis.xgroup_create(self._keys.log, _GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
            return False
        return True

    @property
    def is_open(self) -> bool:
        """Whether results are recorded."""
        return bool(self._redis.exists(self._keys.log))

    def read(self, after: str, count: int) -> list[Waiting]:
        """The oldest entries after one, at most so many; of none that an entry behind may void."""
        found = self._redis.xrange(self._keys.log, f"({after}" if after else "-", "+", count)
        entries = [Waiting(entry.decode(), fields) for entry, fields in found]
        return entries if len(entries) < count else entries[:-1]

    @property
    def last_entry(self) -> str:
        """The newest entry that waits; empty for none."""
        found = self._redis.xrevrange(self._keys.log, count=1)
        return found[0][0].decode() if found else ""

    def has_waiting(self, until: str) -> bool:
        """Whether an entry waits that is not newer than this one."""
        return bool(until and self._redis.xrange(self._keys.log, "-", until, count=1))

    def forget(self, until: str) -> None:
        """Drop entries up to this one: they are in the log."""
        milliseconds, _, number = until.partition("-")
        next_entry = f"{milliseconds}-{int(number) + 1}"
        self._redis.xtrim(self._keys.log, minid=next_entry, approximate=False)

    @property
    def num_waiting(self) -> int:
        """How many entries nobody has taken up yet; none where no results are recorded."""
        return int(self._redis.xlen(self._keys.log))

    @property
    def lost(self) -> int:
        """How many results have no record."""
        return int(self._redis.hget(self._keys.log_lost, "number") or 0)

    @property
    def head(self) -> bytes:
        """The last checkpoint that a keeper noted; empty for none."""
        return bytes(self._redis.get(self._keys.log_head) or b"")

    def note_head(self, checkpoint: bytes) -> None:
        """Note the last checkpoint."""
        self._redis.set(self._keys.log_head, checkpoint)

    def close(self) -> None:
        """Have no results recorded any more, and drop what waits."""
        for key in (self._keys.log, self._keys.log_lost, self._keys.log_head):
            self._redis.delete(key)
