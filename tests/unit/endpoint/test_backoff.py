"""How long a request to an endpoint waits before it is sent again."""

from datetime import UTC, datetime

import pytest

from smallfirst_workers.llm.endpoint.backoff import (
    FIRST_SECONDS,
    LAST_SECONDS,
    LONGEST_ASKED_SECONDS,
    asked_seconds,
    pause_seconds,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("failures", [1, 2, 3, 50])
def test_the_bound_doubles_and_ends(failures: int) -> None:
    """The highest lot is the bound, and it never passes the last one."""
    assert pause_seconds(failures, lot=1.0) == min(
        LAST_SECONDS, FIRST_SECONDS * 2 ** (failures - 1)
    )


def test_a_pause_is_any_part_of_its_bound() -> None:
    """Full jitter: the lowest lot is no pause at all, and lots in between are in proportion."""
    assert pause_seconds(3, lot=0.0) == 0.0
    assert pause_seconds(3, lot=0.5) == pause_seconds(3, lot=1.0) / 2


def test_what_the_endpoint_asked_for_is_the_least() -> None:
    """Everybody waits for as long as was asked, and not all come back at that moment."""
    assert pause_seconds(1, lot=0.0, asked=7.0) == 7.0
    assert pause_seconds(1, lot=0.9, asked=7.0) > 7.0


def test_no_endpoint_can_ask_for_ever() -> None:
    """A wish for hours is heeded for a minute; one for less than nothing is none."""
    assert pause_seconds(1, lot=0.0, asked=86_400.0) == LONGEST_ASKED_SECONDS
    assert pause_seconds(1, lot=0.0, asked=-5.0) == 0.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30.0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_both_forms_of_retry_after_are_read(header: str | None, seconds: float | None) -> None:
    """Seconds and dates; anything else asks for nothing."""
    assert asked_seconds(header, NOW) == seconds
