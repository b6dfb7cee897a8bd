"""Dead letters as they are read from a slice, page by page, and forgotten.

How they are written is settle.lua's. One that cannot be read stops nobody: it stands for itself,
so that it is seen and can be dropped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final

from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.slices import Slice
from smallfirst.ledger.unreadable import READING_ERRORS

#: The reason of a letter that cannot be read itself.
UNREADABLE_LETTER: Final = "unreadable_letter"
#: Between an entry and the number of its slice.
SLICE_MARK: Final = "@"
#: How many dead letters one page holds.
_PAGE = 500


@dataclass(frozen=True)
class Dead:
    """One dead letter, by its entry and the slice that it is in."""

    entry: str
    letter: DeadLetter
    kept_bytes: int
    place: Slice
    has_neighbours: bool = False

    @property
    def name(self) -> str:
        """What people call it: where there are several slices, two may have the same entry."""
        if not self.has_neighbours:
            return self.entry
        return f"{self.entry}{SLICE_MARK}{self.place.keys.slice}"

    @property
    def is_readable(self) -> bool:
        """Whether it says whose it is, and why it is there."""
        return self.letter.reason != UNREADABLE_LETTER

    @property
    def has_raw(self) -> bool:
        """Whether the submission is kept, as a whole or its beginning."""
        return self.kept_bytes > 0

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands among all: when it was given up, and its number in that millisecond."""
        ms, _, number = self.entry.partition("-")
        return int(ms), int(number)

    @property
    def time(self) -> datetime:
        """When it was given up, on Redis's clock."""
        return datetime.fromtimestamp(int(self.entry.partition("-")[0]) / 1000, UTC)

    def as_json(self) -> dict[str, Any]:
        """What is known, without a word of the text."""
        known = self.letter.model_dump(mode="json", exclude_none=True)
        about = {"entry": self.name, "time": self.time.isoformat(), **known}
        return {**about, "raw": self.has_raw, "kept_bytes": self.kept_bytes}


def letters_of(place: Slice, *, has_neighbours: bool = False) -> Iterator[Dead]:
    """Read one slice's dead letters, the newest first.

    Args:
        place: The slice.
        has_neighbours: Whether the fleet has other slices, which their names tell.
    """
    newest = "+"
    while page := _page(place, newest, has_neighbours=has_neighbours):
        yield from page
        newest = f"({page[-1].entry}"


def letter_at(place: Slice, entry: str, *, has_neighbours: bool = False) -> Dead | None:
    """Read one dead letter; None where there is none."""
    found: Any = place.redis.xrange(place.keys.dead, entry, entry)
    return next(iter(_read(place, found, has_neighbours=has_neighbours)), None)


def letter_in(fields: Mapping[bytes, bytes]) -> DeadLetter:
    """Read the letter in an entry; of one that cannot be read nothing is known but that."""
    try:
        return DeadLetter.model_validate_json(fields[b"letter"])
    except READING_ERRORS:
        detail = "what was noted of it cannot be read; smallfirst dead drop removes it"
        return DeadLetter(reason=UNREADABLE_LETTER, detail=detail, size=0, digest="")


def forget_letter(dead: Dead, redis: Any) -> None:
    """Forget one dead letter, by this connection or in this transaction."""
    keys = dead.place.keys
    names = (keys.dead, keys.dead_raw(dead.entry), keys.dead_kept, keys.dead_bytes)
    redis.eval(_drop_script(), len(names), *names, dead.entry)


@cache
def _drop_script() -> str:
    return (resources.files("smallfirst.ledger") / "lua" / "drop_dead_letter.lua").read_text()


def _page(place: Slice, newest: str, *, has_neighbours: bool) -> list[Dead]:
    found: Any = place.redis.xrevrange(place.keys.dead, max=newest, count=_PAGE)
    return _read(place, found, has_neighbours=has_neighbours)


def _read(
    place: Slice, found: Sequence[tuple[bytes, Mapping[bytes, bytes]]], *, has_neighbours: bool
) -> list[Dead]:
    """Make dead letters of stream entries, and see which texts are still kept."""
    pipeline = place.redis.pipeline(transaction=False)
    for entry, _ in found:
        pipeline.strlen(place.keys.dead_raw(entry.decode()))
    return [
        Dead(entry.decode(), letter_in(fields), int(kept_bytes), place, has_neighbours)
        for (entry, fields), kept_bytes in zip(found, pipeline.execute(), strict=True)
    ]
