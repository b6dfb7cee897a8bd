"""Dates: a day of the calendar, in figures (year, month or day first) or with the month's name.

Month's names: English, and where day and year stand beside it German, French, Spanish, Italian,
Dutch and Portuguese.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from types import MappingProxyType

from smallfirst_router.recognizers.reading import Stretch
from smallfirst_router.recognizers.recognizer import DIGITS, Recognizer, stands_alone

_ENGLISH = (
    ("january", "jan"),
    ("february", "feb"),
    ("march", "mar"),
    ("april", "apr"),
    ("may",),
    ("june", "jun"),
    ("july", "jul"),
    ("august", "aug"),
    ("september", "sept", "sep"),
    ("october", "oct"),
    ("november", "nov"),
    ("december", "dec"),
)
#: As a folded text has them: `\x01` for a letter beyond ASCII.
_FOREIGN = (
    "januar j\x01nner janvier enero gennaio januari janeiro",
    "februar f\x01vrier febrero febbraio februari fevereiro",
    "m\x01rz mars marzo maart mar\x01o",
    "avril abril aprile",
    "mai mayo maggio mei maio",
    "juni juin junio giugno junho",
    "juli juillet julio luglio julho",
    "ao\x01t agosto augustus",
    "septembre septiembre settembre setembro",
    "oktober octobre octubre ottobre outubro",
    "novembre noviembre novembro",
    "dezember d\x01cembre diciembre dicembre dezembro",
)
_MONTH_OF: Mapping[str, int] = MappingProxyType(
    {name: month for month, names in enumerate(_ENGLISH, start=1) for name in names}
    | {name: month for month, names in enumerate(_FOREIGN, start=1) for name in names.split()}
)
_ENGLISH_NAMES = frozenset(name for names in _ENGLISH for name in names)
_MONTH = "(?:" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + ")"
_YEAR = "(?:[0-9]{4}|'[0-9]{2})"
#: What stands between two words of a date: a space or two, the end of a line.
_SPACE = r"(?: {1,2}| ?\r?\n ?)"
_DATE = (
    r"(?i)[0-9]{4}(?:-[0-9]{1,2}-|-\r?\n[0-9]{1,2}-|-[0-9]{1,2}-\r?\n|/[0-9]{1,2}/|\.[0-9]{1,2}\.)"
    r"[0-9]{1,2}"
    r"|[0-9]{1,2}(?:-[0-9]{1,2}-|/[0-9]{1,2}/|\.[0-9]{1,2}\.)(?:[0-9]{4}|[0-9]{2})"
    rf"|[0-9]{{1,2}}\.{_SPACE}[0-9]{{1,2}}\.{_SPACE}[0-9]{{4}}"
    rf"|[0-9]{{1,2}}-{_MONTH}-(?:[0-9]{{4}}|[0-9]{{2}})"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|er|\.)?{_SPACE}?(?:(?:of|de){_SPACE})?{_MONTH}\.?"
    rf"(?:,?{_SPACE}?(?:de{_SPACE})?{_YEAR})?"
    rf"|{_MONTH}\.?{_SPACE}[0-9]{{1,2}}(?:st|nd|rd|th)?(?:,?{_SPACE}?{_YEAR})?"
    r"|[0-9]{4}(?:[0-9]{4}|-[0-9]{3})T[0-9]{2}"
    r"|[0-9]{4}-W[0-9]{2}-[1-7]"
)
#: ISO 8601's forms without months, or without dashes where the time follows.
_ISO = re.compile(
    r"(?P<year>[0-9]{4})"
    r"(?:(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?=T)|-(?P<of_year>[0-9]{3})(?=T)"
    r"|-W(?P<week>[0-9]{2})-(?P<weekday>[1-7]))",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z\x01]+")
_ORDINAL = re.compile(r"[0-9](?:st|nd|rd|th)", re.IGNORECASE)
#: Other years are part numbers more often than dates.
_YEARS = range(1800, 2200)


def _dates(text: str, start: int, end: int) -> Iterator[Stretch]:
    iso = _ISO.match(text, start, end)
    end = iso.end() if iso else end
    is_date = _is_iso(iso) if iso else _is_date(text[start:end])
    if is_date and _stands_alone(text, start, end):
        yield start, end


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether nothing continues the date, save the time of an ISO one: 2024-11-05T10:30."""
    joiners = "".join(char for char in "-/." if char in text[start:end])
    is_timed = text[end : end + 1] in {"T", "t"} and text[end + 1 : end + 2].isdigit()
    return stands_alone(text, start, len(text) if is_timed else end, joiners)


def _is_iso(found: re.Match[str]) -> bool:
    """Judge a date without months, or without dashes."""
    year = int(found["year"])
    try:
        if found["week"]:
            date.fromisocalendar(year, int(found["week"]), int(found["weekday"]))
        elif found["of_year"]:
            day = date(year, 1, 1) + timedelta(days=int(found["of_year"]) - 1)
            return day.year == year and year in _YEARS
        else:
            date(year, int(found["month"]), int(found["day"]))
    except (OverflowError, ValueError):
        return False
    return year in _YEARS


def _is_date(piece: str) -> bool:
    numbers = DIGITS.findall(piece)
    name = next((word for word in _WORD.findall(piece) if word.lower() in _MONTH_OF), None)
    if name is not None:
        if len(numbers) == 1 and "\n" in piece:
            return False  # "in March", and the next line begins with a number
        return _is_named_date(name, numbers, is_ordinal=_ORDINAL.search(piece) is not None)
    if len(numbers[0]) == 4:
        return _is_day(*numbers)
    first, second, year = numbers
    if len(year) == 2 and "/" not in piece and not len(first) == len(second) == 2:
        return False  # 1.10.24 and 3-2-10 are versions and scores
    return _is_day(year, first, second) or _is_day(year, second, first)


def _is_named_date(name: str, numbers: list[str], *, is_ordinal: bool) -> bool:
    """Judge a date with its month's name.

    Without a year, "march 3" and "the 5th may" are not yet dates, while "March 3" and "march 3rd"
    are; "3 Mars" is chocolate.
    """
    month = str(_MONTH_OF[name.lower()])
    if len(numbers) == 2:
        return _is_day(numbers[1], month, numbers[0])
    is_certain = name[0].isupper() or (is_ordinal and name != "may")
    return is_certain and name.lower() in _ENGLISH_NAMES and _is_day("2000", month, numbers[0])


def _is_day(year: str, month: str, day: str) -> bool:
    # Of 1900 to 1999 and 2000 to 2099, the same years have a 29 February, save 1900.
    full_year = int(year) if len(year) == 4 else 2000 + int(year)
    try:
        return date(full_year, int(month), int(day)).year in _YEARS
    except ValueError:
        return False


DATE = Recognizer(_DATE, _dates)
