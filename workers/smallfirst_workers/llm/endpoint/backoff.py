"""How long to wait before a request is sent again. Pure: lots and clocks are handed in."""

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


def asked_seconds(header: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds, or the date to wait for; None where it says neither.

    Source: RFC 9110, section 10.2.3.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    # A date without a zone is in UTC: RFC 9110 knows no other.
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
