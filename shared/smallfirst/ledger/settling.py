"""Settling: how entries that have ended are written, a part at a time, each at once.

What an entry's end is, settlements say; that it is atomic and fenced, settle.lua sees to. This
module knows how many go into one call, and that their records come along where the fleet keeps an
audit log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, Final, TypeVar

from redis.exceptions import ResponseError

from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.records import record_of
from smallfirst.ledger.scripts import Scripts
from smallfirst.ledger.settlements import Settled, Settlement, no_record, rows_of

Row = TypeVar("Row")

#: The most entries that one script settles: at 15 to 25 us each it holds Redis for 3 ms at most.
SETTLED_AT_ONCE: Final = 128
#: The ways in which an entry ends, as settle.lua counts them; behind them it says whether it logs.
_NUM_WAYS: Final = len(fields(Settled))


class Settling:
    """Ends entries for one holder.

    Args:
        scripts: Of the fleet's Redis.
        keys: Of the fleet.
        holder: Who ends them.
        bounds: Of what is kept, and for how long.
        today: Names the key of what is spent today.
    """

    def __init__(
        self, scripts: Scripts, keys: Keys, holder: str, bounds: Bounds, today: Callable[[], str]
    ) -> None:
        self._scripts = scripts
        self._keys = keys
        self._holder = holder
        self._bounds = bounds
        self._today = today
        #: Whether the fleet kept an audit log when it was last told.
        self._is_logged = False

    def settle(
        self,
        stream: str,
        group: str,
        settlements: Sequence[Settlement],
        *,
        must_hold: bool = False,
    ) -> Settled:
        """End entries of one stream, those that have not ended yet: a part at a time, each at once.

        Where `must_hold`, only those that are still this holder's: who ends a job that it has not
        worked on must not take it out of the hands of who does.
        """
        settled = Settled()
        for part in portions_of(settlements, SETTLED_AT_ONCE):
            call = partial(self._call, stream, group, part, must_hold=must_hold)
            reply = self._scripts.run("settle", *call())
            if self._must_record(reply):
                reply = self._scripts.run("settle", *call())
            settled += Settled(*(int(n) for n in reply[:_NUM_WAYS]))
        return settled

    def settle_streams(
        self, settlements: Mapping[str, Sequence[Settlement]], group: str
    ) -> dict[str, ResponseError]:
        """End entries of several streams, in one round trip and some transactions.

        Returns:
            The streams of which Redis refused to end some, and why. These are as they were.
        """
        parts = [
            (stream, part)
            for stream, rows in settlements.items()
            for part in portions_of(rows, SETTLED_AT_ONCE)
        ]
        replies = zip(parts, self._settle_each(parts, group), strict=True)
        return {stream: reply for (stream, _), reply in replies if isinstance(reply, ResponseError)}

    def _settle_each(
        self, parts: Sequence[tuple[str, Sequence[Settlement]]], group: str
    ) -> list[Any]:
        calls = [self._call(stream, group, part) for stream, part in parts]
        replies = self._scripts.run_each("settle", calls)
        again = [place for place, reply in enumerate(replies) if self._must_record(reply)]
        calls = [self._call(parts[place][0], group, parts[place][1]) for place in again]
        for place, reply in zip(again, self._scripts.run_each("settle", calls), strict=True):
            replies[place] = reply
        return replies

    def _must_record(self, reply: Any) -> bool:
        """Note whether there is an audit log; say whether nothing was done for want of records."""
        if isinstance(reply, ResponseError):
            return False
        self._is_logged = not reply or bool(reply[_NUM_WAYS])
        return not reply

    def _call(
        self, stream: str, group: str, settlements: Sequence[Settlement], *, must_hold: bool = False
    ) -> tuple[list[str], list[object]]:
        """The keys and arguments of settle.lua."""
        bounds = self._bounds.as_arguments()
        arguments: list[object] = [group, self._holder, self._keys.tag, *bounds]
        arguments.append("1" if must_hold else "0")
        num_rows, rows = rows_of(settlements, record_of if self._is_logged else no_record)
        arguments += [num_rows, "1" if self._is_logged else "0", *rows]
        return [stream, self._today(), self._keys.due], arguments


def portions_of(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """Cut rows into portions of so many, the last of what is left."""
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]
