"""Words for figures of the dashboard: amounts, shares, times, as people read them. Pure."""

from datetime import UTC, datetime
from typing import Final

#: What is said where nothing is known.
NOT_KNOWN: Final = "not known"
#: What stands where there is nothing to say.
NONE: Final = "\N{EN DASH}"


def count(number: int) -> str:
    """A number of things: `1,204`."""
    return f"{number:,}"


def money(amount: float, currency: str) -> str:
    """An amount with three digits that tell something: `0.00231 USD`, `1,250 USD`."""
    written = f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:.3g}"
    if "e" in written:
        written = f"{amount:.12f}".rstrip("0").rstrip(".")
    return f"{written} {currency}"


def percent(share: float | None) -> str:
    """A share in per cent, with digits enough to tell small ones apart; a true minus sign."""
    if share is None:
        return NOT_KNOWN
    value = 100 * share
    written = (
        f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.1 or not value else f"{value:.2g}"
    )
    return f"{written} %".replace("-", "\N{MINUS SIGN}")


def hour(ms: int) -> str:
    """When an hour began (UTC): `Mon 14:00`."""
    return f"{_at(ms):%a %H:%M}"


def day(ms: int) -> str:
    """A day (UTC): `30 Nov`."""
    return f"{_at(ms):%d %b}"


def moment(ms: int) -> str:
    """A moment (UTC): `2026-11-30 14:05:09`."""
    return f"{_at(ms):%Y-%m-%d %H:%M:%S}"


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
