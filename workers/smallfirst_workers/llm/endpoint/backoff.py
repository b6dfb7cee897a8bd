"""How long to wait before a request is sent again. Pure: lots and clocks are handed in."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: How often one request is sent before its endpoint is said not to answer.
MAX_TRIES: Final = 4
#: Bound of the first pause, in seconds; it doubles with each failure, up to the last bound.
FIRST_SECONDS: Final = 0.5
LAST_SECONDS: Final = 20.0
#: The longest pause that an endpoint may ask for, in seconds; then it is asked whether it meant it.
LONGEST_ASKED_SECONDS: Final = 60.0

_NUMBER: Final = re.compile(r"\s*[0-9]{1,15}(\.[0-9]{0,15})?\s*")
_PART: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(f"({_PART.pattern})+")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
#: A larger number than anybody asks to be left alone for, in seconds: it is a moment since 1970.
_FIRST_MOMENT: Final = 1e9
#: Headers that tell when an allowance is whole again, each with the one that tells what is left.
_ALLOWANCES: Final = (
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("ratelimit-reset", "ratelimit-remaining"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
)


def pause_seconds(num_failures: int, *, lot: float, asked: float | None = None) -> float:
    """Tell how long to pause after so many failures of one request.

    Any pause up to a bound that doubles is as likely as any other ("full jitter"), so that requests
    which failed together do not come back together. Source: Brooker, Exponential Backoff And
    Jitter, AWS Architecture Blog, 2015.

    Args:
        num_failures: From 1.
        lot: Drawn evenly from 0 to 1.
        asked: Seconds that the endpoint asked for; the pause is never shorter.
    """
    bound = min(LAST_SECONDS, FIRST_SECONDS * 2.0 ** min(num_failures - 1, 16))
    return min(max(asked or 0.0, 0.0), LONGEST_ASKED_SECONDS) + lot * bound


def asked_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Tell how long an endpoint asks to be left alone; None where it says nothing of that.

    A Retry-After is heeded before the headers that tell when a spent allowance is whole again.

    Source: RFC 9110, section 10.2.3; for milliseconds Azure OpenAI's reference; for the rest the
    pages on rate limits of OpenAI, Anthropic and GitHub, and draft-ietf-httpapi-ratelimit-headers.
    """
    thousandths = _number(headers.get("retry-after-ms"))
    if thousandths is not None:
        return thousandths / 1000
    asked = _seconds(headers.get("retry-after"), now)
    return asked if asked is not None else _until_reset(headers, now)


def _until_reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """Until the last of the allowances that are spent is whole again; of the others, no word."""
    found = [
        _seconds(headers.get(reset), now)
        for reset, remaining in _ALLOWANCES
        if _number(headers.get(remaining)) in {0.0, None}
    ]
    return max((seconds for seconds in found if seconds is not None), default=None)


def _seconds(said: str | None, now: datetime) -> float | None:
    """Read seconds, a duration such as 6m0s, a moment in seconds since 1970, or a date."""
    number = _number(said)
    if number is not None:
        is_moment = number > _FIRST_MOMENT
        return max(0.0, number - now.timestamp()) if is_moment else number
    duration = (said or "").strip().lower()
    if _DURATION.fullmatch(duration):
        return sum(float(each) * _UNITS[unit] for each, unit in _PART.findall(duration))
    until = _date(said or "")
    return None if until is None else max(0.0, (until - now).total_seconds())


def _number(said: str | None) -> float | None:
    return float(said) if said and _NUMBER.fullmatch(said) else None


def _date(said: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        # Of dates that no calendar has, the standard library raises more than it says.
        with suppress(ValueError, OverflowError, TypeError, IndexError):
            until = read(said.strip())
            # A date without a zone is in UTC: RFC 9110 knows no other.
            return (until if until.tzinfo else until.replace(tzinfo=UTC)).astimezone(UTC)
    return None
