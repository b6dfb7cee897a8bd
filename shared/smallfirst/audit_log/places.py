"""How each record in a log begins: where its keeper took it up, and of what kind it is.

That is read by its bytes alone. Behind it stands what a worker wrote, which may say all of it again
and otherwise; and what cannot be read at all must not hold up the log.
"""

import re
from typing import Final, NamedTuple

from smallfirst.errors import AuditLogError

_PLACE: Final = re.compile(rb'\{"slice":(\d+),"entry":"(\d*(?:-\d+)?)","kind":"(\w+)"')


class Place(NamedTuple):
    """The beginning of a record.

    Attributes:
        slice: The number of the slice.
        entry: Of the slice's stream of records; empty for what came from none.
        kind: Of the record.
    """

    slice: int
    entry: str
    kind: str

    @property
    def milliseconds(self) -> int:
        """When it was put down, since 1970; 0 for what came from no slice."""
        return int(self.entry.partition("-")[0] or 0)


def place_of(record: bytes) -> Place:
    """Read how a record begins.

    Raises:
        AuditLogError: When no keeper wrote that.
    """
    found = _PLACE.match(record)
    if found is None:
        remedy = "smallfirst audit-log verify says which; bring its file back from a copy"
        raise AuditLogError("a record", "does not say where it was taken up", remedy)
    return Place(int(found[1]), found[2].decode(), found[3].decode())


def begin_of(number: int, entry: str) -> bytes:
    """What is written before a slice's record, whose own brace is left out."""
    return f'{{"slice":{number},"entry":"{entry}",'.encode()
