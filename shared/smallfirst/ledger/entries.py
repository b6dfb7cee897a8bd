"""Entries of the fleet's streams, as commands and scripts return them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StreamEntry:
    """One entry of a stream: fields as bytes, `starts` as the workers that began it, its holder."""

    stream: str
    entry: str
    fields: dict[bytes, bytes]
    starts: int = 0
    holder: str = ""

    def written_ms(self, now_ms: int) -> int:
        """When the entry was written, by Redis's clock, and never later than now.

        Whoever writes an entry may choose its id, and so claim any moment.
        """
        return min(int(self.entry.partition("-")[0]), now_ms)


def held_entry(stream: str, row: Sequence[Any]) -> StreamEntry:
    """Read {entry, deliveries or starts, flat fields, holder} as a script returns them."""
    entry, count, flat, holder = row
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return StreamEntry(stream, entry.decode(), fields, starts=int(count), holder=holder.decode())


def entries_of(reply: Any) -> Iterator[StreamEntry]:
    """Read the reply of XREADGROUP: a map or a list of pairs, by the protocol's version."""
    pairs = reply.items() if isinstance(reply, dict) else reply or ()
    for stream, found in pairs:
        for entry, fields in _flatten(found):
            yield StreamEntry(stream.decode(), entry.decode(), fields or {})


def _flatten(found: Any) -> Iterator[Any]:
    """Undo the extra list that the third version of the protocol puts around the entries."""
    for item in found:
        yield from item if item and isinstance(item[0], tuple | list) else (item,)
