"""Ages of unread entries, as told by who may not read them."""

from typing import Any

from smallfirst.ledger.stream_loads import BySight

S = 1000


def looks(*seen: tuple[int, int, int]) -> list[int | None]:
    """Look again and again: when (s), how many are unread, and when the last one read came (s)."""
    ages = BySight()
    return [
        None if since is None else now - since // S
        for now, unread, read in seen
        for since in [ages.since_ms("jobs", groups(read), unread=unread, now_ms=now * S)]
    ]


def groups(read: int) -> list[dict[str, Any]]:
    """What Redis says of the stream's one group."""
    return [{"last-delivered-id": f"{read * S}-0".encode()}]


def test_while_nobody_reads_the_age_counts_from_the_first_look() -> None:
    """However long ago the last one was read."""
    assert looks((1000, 5, 10), (1015, 9, 10), (1600, 9, 10)) == [0, 15, 600]


def test_while_somebody_reads_the_age_is_that_of_what_was_read_last() -> None:
    """A reader that is ten minutes behind does not make the age begin anew with each read."""
    assert looks((1000, 9, 400), (1015, 9, 415), (1615, 9, 1015)) == [0, 15, 600]


def test_once_everything_was_read_the_age_begins_anew() -> None:
    """What comes later is not older than the look that saw nothing."""
    assert looks((1000, 5, 10), (1015, 0, 999), (1600, 1, 999)) == [0, None, 0]
