"""Phone numbers, known by their shape or announced by the words before them.

By shape: international with its plus, North American, national with its leading zero. What stands
right after "order", "invoice" and the like, or inside what looks like an IBAN, is not one. This is
no copy of the world's numbering plans: it asks whether a reader would take the digits for a number
to call.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from smallfirst_router.recognizers.numbers import is_inside_iban
from smallfirst_router.recognizers.reading import Stretch
from smallfirst_router.recognizers.recognizer import (
    Group,
    Recognizer,
    digit_groups,
    follows,
    is_word,
    lengths,
)

_PHONE = r"[0-9](?:(?:[ ().+/-]{0,3}|-? ?\r?\n ?)[0-9]){6,}"
#: A calling code: of one digit, of two, else of three. Source: ITU-T E.164, annex.
_CALLING_CODE = re.compile(
    r"[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}"
)
#: Fewest and most digits after the calling code, where a country's plan is narrow.
_NATIONAL_DIGITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"1": (10, 10), "7": (10, 10), "31": (9, 9), "32": (8, 9), "33": (9, 9), "34": (9, 9)}
    | {"39": (8, 11), "41": (9, 9), "44": (9, 10), "45": (8, 8), "46": (7, 10), "47": (8, 8)}
    | {"48": (9, 9), "49": (6, 13), "61": (9, 9), "91": (10, 10), "351": (9, 9), "420": (9, 9)}
)
_ANY_NATIONAL_DIGITS = (6, 12)
#: With the calling code. Source: ITU-T E.164, section 6.
_MAX_DIGITS = 15
_MAX_GROUPS = 8
_TIGHT_JOINTS = frozenset(" -./")
_LOOSE_JOINTS = _TIGHT_JOINTS | {" (", "(", ") ", ")", ")-", " - ", " / ", "-("}
#: Joints after which digits always belong to what stands before them.
_BINDING_JOINTS = frozenset("-./")
#: Where a line ends within a number. It binds nothing: the next line may begin with another number.
_LINE_JOINTS = frozenset({"\n", "-\n"})
#: What may end a number: an extension, or what a second number has in place of its last digits.
#: Source: RFC 3966, section 3, and ITU-T E.123, section 7.2.
_ENDING = re.compile(
    r"(?:;ext=[0-9]{1,7}|,? ?(?:ext(?:ension)?\.?|x) ?[0-9]{1,7}"
    r"|(?: ?/ ?-?[0-9]{1,4}){1,4}(?! [0-9]))(?![0-9A-Za-z\x01]|[-./][0-9])",
    re.IGNORECASE,
)
#: National numbers that are written without a gap: mobiles of Germany, Great Britain and France.
_SOLID_MOBILE = re.compile(r"01[567][0-9]{8,9}|07[0-9]{9}|0[67][0-9]{8}")
_SPACES = re.compile(" +")
#: How far back the words may stand that say what a number is.
_CONTEXT_CHARS = 48
_ANNOUNCES = (
    r"(?i)(?:^|[^a-z\x01])"
    r"(?:tel|telefon|telephone|t\x01l\x01phone|phone|mobile?|cell|handy|fax|call|ring|dial|whatsapp"
    r"|reach (?:me|us))"
    r"(?:[^a-z0-9\x01\n]|at|back|me|us|on|under|unter|is|ist|no|nr|num|number|nummer|my|new|the)*$"
)
_DENIES = (
    r"(?i)(?:^|[^a-z\x01])(?:"
    r"(?:order|invoice|ref|reference|ticket|case|tracking|parcel|serial|booking|sku|isbn|bestellung"
    r"|rechnung|sendung)s?(?:[^a-z0-9\x01\n]|is|was|no|nr|num|number|nummer|id|code)*"
    r"|(?:bestell|rechnungs|kunden|sendungs|vertrags)(?:-?nummer|-?nr)[^a-z0-9\x01\n]*"
    r"|(?:account|customer|policy|item|part|product|model|article|confirmation|contract|member)"
    r"[^a-z0-9\x01\n]*(?:no|nr|num|number|id|code|#)[^a-z0-9\x01\n]*(?:is|was)?[^a-z0-9\x01\n]*"
    r")$"
)


def _phones(text: str, start: int, end: int) -> Iterator[Stretch]:
    groups = [_plain(group) for group in digit_groups(text, start, end)]
    index = taken = 0
    while index < len(groups):
        joint = groups[index].joint if index > taken else ""
        stop = _phone_at(text, groups, index, joint)
        if stop:
            end = _end(text, groups, stop)
            yield _start(text, groups, index), end
            while stop < len(groups) and groups[stop].start < end:
                stop += 1
            taken = stop
        index = stop or index + 1


def _plain(group: Group) -> Group:
    """Write one space for several in a joint, and the end of a line without any."""
    if len(group.joint) < 2:
        return group
    if group.begins_line:
        return group._replace(joint="-\n" if group.joint[0] == "-" else "\n")
    return group._replace(joint=_SPACES.sub(" ", group.joint))


def _end(text: str, groups: list[Group], stop: int) -> int:
    """Say where a number ends that ends with group `stop - 1`: with its extension."""
    end = groups[stop - 1].end
    ending = _ENDING.match(text, end)
    return ending.end() if ending else end


def _start(text: str, groups: list[Group], index: int) -> int:
    """Take in a leading plus, or a bracket that closes within the number."""
    start = groups[index].start
    before = text[start - 1 : start] if start else ""
    is_bracketed = before == "(" and any(")" in g.joint for g in groups[index + 1 : index + 2])
    return start - 1 if before == "+" or is_bracketed else start


def _phone_at(text: str, groups: list[Group], index: int, joint: str) -> int | None:
    """Say before which group a phone number ends that begins with group `index`.

    `joint` binds it to digits before that are no phone number; empty where there are none.
    """
    start = _start(text, groups, index)
    before = text[start - 1 : start] if start else ""
    if is_word(before) or before in {"#", "$", "+"}:
        return None
    if text[start] == "+":
        return _international(text, groups, index)
    if joint in _BINDING_JOINTS:
        return None
    stop = (
        _north_american(text, groups, index, joint)
        or _national(text, groups, index, joint)
        or _announced(text, groups, index, joint)
    )
    is_denied = stop and (
        follows(_DENIES, text, start, _CONTEXT_CHARS) or is_inside_iban(text, start)
    )
    return None if is_denied else stop


def _ends_freely(text: str, groups: list[Group], stop: int, joint: str = "") -> bool:
    """Whether a number may end before group `stop`.

    Nothing may continue it, not even a group behind the joint that it is itself written with.
    """
    end = groups[stop - 1].end
    if _ENDING.match(text, end):
        return True
    if is_word(text[end : end + 1]):
        return False
    if stop == len(groups):
        return True
    after = groups[stop]
    return after.joint not in _BINDING_JOINTS and (after.joint != joint or len(after.digits) == 1)


def _is_other_number(groups: list[Group]) -> bool:
    """Whether the groups are laid out like an SSN, a card or a date instead."""
    shape, joints = lengths(groups[:3]), {group.joint for group in groups[1:3]}
    if shape == (3, 2, 4) or lengths(groups[:4]) == (4, 4, 4, 4):
        return True
    is_date = shape in {(4, 2, 2), (2, 2, 4), (1, 2, 4), (2, 1, 4), (1, 1, 4)}
    return is_date and len(joints) == 1 and joints <= _BINDING_JOINTS


def _international(text: str, groups: list[Group], index: int, prefix: str = "") -> int | None:
    """Take a calling code and the most groups that fit the country's plan."""
    digits, best = "", None
    for place, group in enumerate(groups[index : index + _MAX_GROUPS]):
        if place and not _goes_on(group, place, is_whole=best is not None):
            break
        is_trunk_zero = place > 0 and group.digits == "0" and group.joint.endswith("(")
        digits += "" if is_trunk_zero else group.digits
        stop = index + place + 1
        if _fits_plan(digits.removeprefix(prefix)) and _ends_freely(text, groups, stop):
            best = stop
    return best


def _goes_on(group: Group, place: int, *, is_whole: bool) -> bool:
    """Whether an international number may go on with this group.

    A single digit behind a dash is a switchboard's; a line's end is passed only where the number
    lacks digits.
    """
    if group.joint in _LINE_JOINTS:
        return not is_whole
    is_own = len(group.digits) > 1 or place <= 2 or group.joint == "-"
    return is_own and group.joint in _LOOSE_JOINTS


def _fits_plan(digits: str) -> bool:
    code = _CALLING_CODE.match(digits)
    if code is None:
        return False
    fewest, most = _NATIONAL_DIGITS.get(code[0], _ANY_NATIONAL_DIGITS)
    return fewest <= len(digits) - code.end() <= most and len(digits) <= _MAX_DIGITS


def _north_american(text: str, groups: list[Group], index: int, joint: str) -> int | None:
    """Take 555-123-4567 in its many dresses.

    The plan also says that 123 is no exchange, but people who make up a number do not know.
    """
    first = index + 1 if groups[index].digits == "1" else index
    parts = groups[first : first + 3]
    if lengths(parts) != (3, 3, 4) or not _has_area_code(parts):
        return None
    if any(part.joint not in _LOOSE_JOINTS | _LINE_JOINTS for part in parts[1:]):
        return None
    own = parts[2].joint.rstrip("\n")
    is_free = joint != own and _ends_freely(text, groups, first + 3, own)
    return first + 3 if is_free else None


def _has_area_code(parts: list[Group]) -> bool:
    area, exchange = parts[0].digits, parts[1].digits
    return area[0] not in "01" and area[1:] != "11" and exchange[0] != "0"


def _national(text: str, groups: list[Group], index: int, joint: str) -> int | None:
    """Take 9 to 12 digits with a leading zero.

    With a gap; or without one where it is a known mobile; or 00 and a calling code.
    """
    head = groups[index].digits
    if joint == " " or head[0] != "0" or len(head) < 2 or _is_other_number(groups[index:]):
        return None
    if head.startswith("00"):
        stop = _international(text, groups, index, prefix="00")
        is_known = _is_announced(text, groups[index].start)
        return stop if stop and (stop > index + 1 or is_known) else None
    if _SOLID_MOBILE.fullmatch(head):
        return index + 1 if _ends_freely(text, groups, index + 1, " ") else None
    stop, num_digits = _run(groups, index)
    is_whole = 9 <= num_digits <= 12 and _ends_freely(text, groups, stop, " ")
    return stop if is_whole and stop > index + 1 and len(head) <= 6 else None


def _announced(text: str, groups: list[Group], index: int, joint: str) -> int | None:
    """Take 7 to 12 digits in any grouping where the words before say that one can call them."""
    stop, num_digits = _run(groups, index)
    if joint == " " or not 7 <= num_digits <= 12 or _is_other_number(groups[index:stop]):
        return None
    is_free = _ends_freely(text, groups, stop, " ")
    return stop if is_free and _is_announced(text, groups[index].start) else None


def _is_announced(text: str, start: int) -> bool:
    return follows(_ANNOUNCES, text, start, _CONTEXT_CHARS)


def _run(groups: list[Group], index: int) -> tuple[int, int]:
    """Follow a number through groups joined alike; say before which it ends and count its digits.

    The first joint may be a wider one (089 / 12345), the last a dash before an extension.
    """
    stop, num_digits = index + 1, len(groups[index].digits)
    for place, group in enumerate(groups[index + 1 : index + _MAX_GROUPS], start=1):
        inner = _TIGHT_JOINTS if place == 2 else {groups[stop - 1].joint, "-"}
        allowed = _LOOSE_JOINTS if place == 1 else inner
        if group.joint not in allowed or (len(group.digits) == 1 and group.joint != "-"):
            break
        stop, num_digits = stop + 1, num_digits + len(group.digits)
    return stop, num_digits


PHONE = Recognizer(_PHONE, _phones)
