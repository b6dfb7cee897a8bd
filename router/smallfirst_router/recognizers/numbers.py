"""Numbers with rules of their own: US social security numbers, payment cards, IBANs."""

import re
from collections.abc import Iterator, Mapping
from functools import cache, partial
from types import MappingProxyType

from stdnum import iban, luhn, numdb
from stdnum.us import ssn

from smallfirst_router.recognizers.reading import Stretch
from smallfirst_router.recognizers.recognizer import (
    GAP,
    Group,
    Recognizer,
    compiled,
    digit_groups,
    follows,
    lengths,
    satisfies,
    stands_alone,
)

# An SSN has no checksum, and nine bare digits are far more often an order number: they count only
# right after the words that name them, and so do digits with other gaps between them.
# Otherwise it must be written 123-45-6789 or 123 45 6789.

_SSN = rf"[0-9]{{3}}(?:{GAP}?[0-9]{{2}}{GAP}?[0-9]{{4}})"
#: The words that name it, as forms, JSON and CSV have them.
_NAMES_SSN = (
    r"(?i)(?:^|[^a-z0-9\x01])(?:ssn|social security|soc\. ?sec\.)"
    r"(?:[^a-z0-9\x01-\x03]|no|nr|num|number|is|was|value|ssn|tin)*$"
)
_SSN_CONTEXT_CHARS = 48


def _ssns(text: str, start: int, end: int) -> Iterator[Stretch]:
    groups = digit_groups(text, start, end)
    digits = "".join(group.digits for group in groups)
    number = f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"
    if _stands_as_ssn(text, groups) and satisfies(ssn.is_valid, number):
        yield start, end


def _stands_as_ssn(text: str, groups: list[Group]) -> bool:
    """Whether the digits are laid out as an SSN, or as some number that is named one."""
    start, end = groups[0].start, groups[-1].end
    marks, shape = {group.mark for group in groups[1:]}, lengths(groups)
    if len(marks) > 1:
        return False
    is_phone = start > 0 and text[start - 1] == "+"
    joiners = "-. " if marks == {""} else "-."
    if is_phone or not stands_alone(text, start, end, joiners):
        return False
    is_plain = marks == {"-"} or {group.joint for group in groups[1:]} == {" "}
    return (shape == (3, 2, 4) and is_plain) or follows(_NAMES_SSN, text, start, _SSN_CONTEXT_CHARS)


# A card is 13 to 19 digits that pass Luhn, of an issuer and a length that exist.

_CARD = rf"[0-9](?:{GAP}?[0-9]){{12,}}"
_CARD_DIGITS = range(13, 20)
#: How cards are printed, by the size of the first group, likeliest first: a security code or a date
#: may follow the last group, so 16 digits that hold are taken before 19.
_CARD_SHAPES: Mapping[int, tuple[tuple[int, ...], ...]] = MappingProxyType(
    {
        4: ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3)),
        6: ((6, 13),),
        8: ((8, 8),),
    }
    | {num_digits: ((num_digits,),) for num_digits in _CARD_DIGITS}
)
#: A number that is not written as cards are has no more groups than this.
_MAX_CARD_GROUPS = 5
_ODD_JOINTS = frozenset(" -")
#: First and last issuer prefix, and how many digits those cards have.
#: Source: https://en.wikipedia.org/wiki/Payment_card_number (python-stdnum has no such table), and
#: for Maestro the test numbers of processors.
_ISSUERS: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),  # Mastercard
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),  # American Express
    ("300", "305", frozenset({14, 16})),  # Diners Club
    ("3095", "3095", frozenset({14, 16})),  # Diners Club
    ("36", "36", frozenset({14, 16})),  # Diners Club
    ("38", "39", frozenset({14, 16})),  # Diners Club
    ("6011", "6011", frozenset({16, 19})),  # Discover
    ("644", "649", frozenset({16, 19})),  # Discover
    ("65", "65", frozenset({16, 19})),  # Discover, RuPay
    ("3528", "3589", frozenset({16, 19})),  # JCB
    ("62", "62", frozenset({16, 17, 18, 19})),  # UnionPay
    ("2200", "2204", frozenset({16, 19})),  # Mir
    ("5018", "5018", frozenset(_CARD_DIGITS)),  # Maestro
    ("5019", "5019", frozenset({16})),  # Dankort
    ("5020", "5020", frozenset(_CARD_DIGITS)),  # Maestro
    ("5038", "5038", frozenset(_CARD_DIGITS)),  # Maestro
    ("5060", "5061", frozenset({16, 18, 19})),  # Verve
    ("508", "508", frozenset({16})),  # RuPay
    ("5893", "5893", frozenset(_CARD_DIGITS)),  # Maestro
    ("606985", "608500", frozenset({16})),  # RuPay
    ("6304", "6304", frozenset(_CARD_DIGITS)),  # Maestro
    ("6759", "6759", frozenset(_CARD_DIGITS)),  # Maestro
    ("6761", "6763", frozenset(_CARD_DIGITS)),  # Maestro
    ("6771", "6771", frozenset(_CARD_DIGITS)),  # Maestro
    ("6799", "6799", frozenset(_CARD_DIGITS)),  # Maestro
    ("9792", "9792", frozenset({16})),  # Troy
)


def _is_card(number: str) -> bool:
    is_issued = any(
        low <= number[: len(low)] <= high and len(number) in num_digits
        for low, high, num_digits in _ISSUERS
    )
    return is_issued and satisfies(luhn.is_valid, number)


def _cards(text: str, start: int, end: int) -> Iterator[Stretch]:
    """Take the cards of a run of digits: those written as cards are, else the run as a whole."""
    groups, index = digit_groups(text, start, end), 0
    sizes = lengths(groups)
    while index < len(groups):
        num_groups = _num_groups_of_card(text, groups, sizes, index)
        if num_groups:
            yield groups[index].start, groups[index + num_groups - 1].end
        index += num_groups or 1


def _num_groups_of_card(
    text: str, groups: list[Group], sizes: tuple[int, ...], index: int
) -> int | None:
    """Say how many groups a card has that begins with group `index`."""
    for shape in _CARD_SHAPES.get(sizes[index], ()):
        parts = groups[index : index + len(shape)]
        if sizes[index : index + len(shape)] == shape and _is_one_number(parts):
            # A dash binds a number that is written with dashes, a space binds nothing.
            joint = parts[1].mark if len(parts) > 1 else "-"
            if _holds_card(text, parts, f".{joint}"):
                return len(shape)
    return _num_odd_groups(text, groups, index)


def _is_one_number(parts: list[Group]) -> bool:
    """Whether groups are joined alike, and across the end of one line at most."""
    joints = parts[1:]
    return len({part.mark for part in joints}) <= 1 and sum(p.begins_line for p in joints) <= 1


def _num_odd_groups(text: str, groups: list[Group], index: int) -> int | None:
    """Count the groups of a card that is written in odd groups, and stands by itself."""
    if index and groups[index].joint in _ODD_JOINTS:
        return None
    stop, num_digits = index + 1, len(groups[index].digits)
    while stop < len(groups) and groups[stop].joint in _ODD_JOINTS:
        num_digits += len(groups[stop].digits)
        stop += 1
    if stop - index > _MAX_CARD_GROUPS or num_digits not in _CARD_DIGITS:
        return None
    return stop - index if _holds_card(text, groups[index:stop]) else None


def _holds_card(text: str, groups: list[Group], joiners: str = ".-") -> bool:
    start, end = groups[0].start, groups[-1].end
    is_phone = start > 0 and text[start - 1] == "+"
    if is_phone or not stands_alone(text, start, end, joiners):
        return False
    is_card = _is_card("".join(group.digits for group in groups))
    return is_card and not is_inside_iban(text, start)


# An IBAN's country says how many characters it has, so the word that follows is never taken along.

_IBAN = r"(?i)[a-z]{2}[ -]?[0-9]{2}"


def _ibans(text: str, start: int, _end: int) -> Iterator[Stretch]:
    length = _iban_length(text[start : start + 2].upper())
    body = _iban_body(length).match(text, start) if length else None
    if body is None or not stands_alone(text, start, body.end()):
        return
    number = "".join(filter(str.isalnum, body[0])).upper()
    # Without the country's own check, which asks a list of Belgian banks that ages.
    if satisfies(partial(iban.is_valid, check_country=False), number):
        yield start, body.end()


@cache
def _iban_length(country: str) -> int | None:
    """Count the characters of a country's IBANs; None where it has none."""
    (_, facts), *_ = numdb.get("iban").info(country)
    parts = re.findall(r"([0-9]+)!", facts.get("bban", ""))
    return 4 + sum(map(int, parts)) if parts else None


@cache
def _iban_body(length: int) -> re.Pattern[str]:
    """Match that many letters and digits, with at most one gap between two."""
    return re.compile(rf"[A-Za-z0-9](?:{GAP}?[A-Za-z0-9]){{{length - 1}}}")


_IBAN_HEAD = (
    r"(?i)(?:^|[^a-z0-9\x01])([a-z]{2})[0-9]{2}"
    rf"(?:{GAP}?[a-z]{{4}})?(?:{GAP}?[0-9]{{4}})*{GAP}?$"
)
_MAX_IBAN_CHARS = 48


def is_inside_iban(text: str, start: int) -> bool:
    """Whether what begins here follows the head of an IBAN, valid or misread."""
    before = text[max(0, start - _MAX_IBAN_CHARS) : start].encode("ascii")
    head = compiled(_IBAN_HEAD).search(before)
    return head is not None and _iban_length(head[1].decode().upper()) is not None


SSN, CARD, IBAN = Recognizer(_SSN, _ssns), Recognizer(_CARD, _cards), Recognizer(_IBAN, _ibans)
