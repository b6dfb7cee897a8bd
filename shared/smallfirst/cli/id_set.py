"""Ids that were seen, however many there are."""

import sqlite3

#: Memory of one set, in KiB; what is more stands in a file of the system's that has no name.
_CACHE_KIB = 8192


class IdSet:
    """A set of ids of any size, in bounded memory."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, member: str) -> bool:
        """Put in an id; return whether it is new."""
        added = self._database.execute("INSERT OR IGNORE INTO ids VALUES (?)", (member,))
        return added.rowcount == 1

    def __contains__(self, member: str) -> bool:
        found = self._database.execute("SELECT 1 FROM ids WHERE id = ?", (member,))
        return found.fetchone() is not None

    def close(self) -> None:
        """Forget them."""
        self._database.close()
