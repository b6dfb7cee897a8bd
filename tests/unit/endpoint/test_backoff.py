"""How long a request to an endpoint waits before it is sent again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        ("2.5", 2.5),
        (" 0.5 ", 0.5),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30.0),
        ("2026-11-23T12:00:30Z", 30.0),
        ("1795435230", 30.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359999992026", None),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("1e9", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_every_form_of_retry_after_is_read(header: str, seconds: float | None) -> None:
    """Seconds, durations and dates; anything else asks for nothing."""
    assert asked_seconds({"retry-after": header}, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"retry-after-ms": "2500", "retry-after": "3"}, 2.5),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "120ms", "retry-after": "1"}, 1.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "149",
            },
            1.0,
        ),
        ({"x-ratelimit-reset": "1795435230"}, 30.0),
        ({"ratelimit-reset": "50"}, 50.0),
        ({"anthropic-ratelimit-requests-reset": "2026-11-23T12:00:30Z"}, 30.0),
    ],
)
def test_the_headers_of_rate_limits_are_read(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Milliseconds before seconds, and of what is left the allowance that is spent."""
    assert asked_seconds(headers, NOW) == seconds


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "ratelimit-reset"]),
        st.text(max_size=40)
        | st.from_regex(r"Mon, [0-9]{2} Jan [0-9]{4} 00:00:00 [+-][0-9]{1,14}", fullmatch=True)
        | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+-]{0,20}Z?", fullmatch=True),
    )
)
def test_no_header_raises(headers: dict[str, str]) -> None:
    """Whatever stands there is a wait that can be waited for, or none."""
    found = asked_seconds(headers, NOW)
    assert found is None or 0.0 <= pause_seconds(1, lot=0.0, asked=found) <= LONGEST_ASKED_SECONDS
