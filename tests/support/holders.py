"""Whom a test strikes: the process behind the name of a holder."""

from smallfirst.ledger.holders import Holder


def pid_of(name: str | bytes) -> int:
    """The process id that every holder's name tells."""
    found = Holder.parse(name.decode() if isinstance(name, bytes) else name)
    assert found is not None, name
    return found.pid
