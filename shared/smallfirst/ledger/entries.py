"""Entries of the fleet's streams, as commands and scripts return them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

#: What is kept of a submission that is too large; rows.lua says the same.
EXCERPT_BYTES = 4096


@dataclass(frozen=True)
class Excerpt:
    """What is known of a submission that is too large to be taken in.

    Attributes:
        size: Its bytes.
        digest: Its hash: `sha1:`, which is the one that Redis's scripts have, and hex digits.
        head: Its first 4 kB.
    """

    size: int
    digest: str
    head: bytes

    @classmethod
    def of(cls, raw: bytes) -> "Excerpt":
        """Keep of a submission what its dead letter needs."""
        digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        return cls(len(raw), f"sha1:{digest}", raw[:EXCERPT_BYTES])


class StreamEntry(NamedTuple):
    """One entry of a stream, as its holder has it. A tuple, since every job becomes a few.

    Attributes:
        stream: The stream.
        entry: Its id.
        fields: As bytes; those that were left out are missing.
        starts: How many workers began it.
        holder: Who had it before it was taken over; a worker's own name, where it claimed it.
        size: The bytes of all its fields in Redis.
        excerpt: Where it is too large to be taken in; then it has no fields.
        seen_ms: When the fleet first read it, where its id claims the future.
    """

    stream: str
    entry: str
    fields: dict[bytes, bytes]
    starts: int = 0
    holder: str = ""
    size: int = 0
    excerpt: Excerpt | None = None
    seen_ms: int | None = None

    @property
    def claimed_ms(self) -> int:
        """When the entry was written, as its id claims. Whoever writes it may choose the id."""
        return int(self.entry.partition("-")[0])

    def written_ms(self, now_ms: int) -> int:
        """When the entry was written, by Redis's clock, and never later than it was first seen."""
        return min(self.claimed_ms, now_ms if self.seen_ms is None else self.seen_ms)


def held_entry(stream: str, row: Sequence[Any]) -> StreamEntry:
    """Read a row as a script returns it: claim.lua's, or one of rows.lua."""
    entry, count, flat, holder, *more = row
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    size, *cut = more or (size_of(fields),)
    return StreamEntry(
        stream,
        entry.decode(),
        fields,
        starts=int(count),
        holder=holder.decode(),
        size=int(size),
        excerpt=Excerpt(int(cut[0]), cut[1].decode(), cut[2]) if cut else None,
    )


def entries_of(reply: Any) -> Iterator[StreamEntry]:
    """Read the reply of XREADGROUP: a map or a list of pairs, by the protocol's version."""
    pairs = reply.items() if isinstance(reply, dict) else reply or ()
    for stream, found in pairs:
        for entry, fields in _flatten(found):
            given = fields or {}
            yield StreamEntry(stream.decode(), entry.decode(), given, size=size_of(given))


def shortened(entry: StreamEntry, limit: int) -> StreamEntry:
    """Keep an excerpt of an entry of more than `limit` bytes, as rows.lua does; 0 is no limit."""
    if not limit or entry.size <= limit:
        return entry
    job = entry.fields.get(b"job", b"")
    subject = job if len(job) > limit else joined(entry.fields)
    return entry._replace(fields={}, excerpt=Excerpt.of(subject))


def parts_of(
    entries: Iterable[StreamEntry], *, num_entries: int, num_bytes: int
) -> Iterator[list[StreamEntry]]:
    """Cut entries into parts, in order: none goes on once it has so many entries or bytes."""
    part: list[StreamEntry] = []
    size = 0
    for entry in entries:
        part.append(entry)
        size += entry.size
        if size >= num_bytes or len(part) == num_entries:
            yield part
            part, size = [], 0
    if part:
        yield part


def size_of(fields: dict[bytes, bytes]) -> int:
    """Count the bytes of an entry, names and values."""
    return sum(len(name) + len(value) for name, value in fields.items())


def joined(fields: dict[bytes, bytes]) -> bytes:
    """Write all fields of an entry down, a line each."""
    return b"\n".join(name + b"=" + value for name, value in fields.items())


def _flatten(found: Any) -> Iterator[Any]:
    """Undo the extra list that the third version of the protocol puts around the entries."""
    for item in found:
        yield from item if item and isinstance(item[0], tuple | list) else (item,)


@dataclass(frozen=True)
class Portion:
    """What is read of some streams.

    Attributes:
        streams: Their names.
        count: The most entries of each.
        max_bytes: What is enough of each.
    """

    streams: Sequence[str]
    count: int
    max_bytes: int
