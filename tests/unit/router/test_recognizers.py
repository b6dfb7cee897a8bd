"""The built-in recognizers: what they find, what they leave alone, and how much work that is."""
# ruff: noqa: RUF001
# Full-width digits, dashes that look alike: telling them apart is what is tested.

import itertools
import re
import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.recognizer_cases import CASES

from smallfirst_router.recognizers import RECOGNIZERS, Stretch, fold, is_hidden, read, satisfies
from smallfirst_router.recognizers.reading import _MAY_CHANGE

#: Texts built to make a careless recognizer do too much, as pieces to be repeated.
HOSTILE = [
    *(
        "1",
        "1 ",
        "1-",
        "1.",
        "1/",
        "1(",
        "(",
        "+",
        "4111 ",
        "4111-",
        "4111 1111 1111 1112 ",
        "012 345 6789 01 ",
    ),
    *(
        "000-12-3456 ",
        "DE89 ",
        "DE89 3704 0044 0532 0130 01 ",
        "@",
        "a@",
        "a.",
        "a..",
        "a@b.c1 ",
        "a@b.cc-",
        "a@b",
    ),
    *(
        ":",
        "a1:",
        "1::1 ",
        "::",
        "1.2.3.999 ",
        "http://",
        "http://a.b/)",
        "www.a ",
        "31/31/2024 ",
        "may 5 ",
        "sept",
    ),
    *(
        "call 12345678901234 ",
        "1234567 ",
        "+1 23 45 67 ",
        "+49 ",
        "ssn no ",
        "é",
        "💥",
        "\u0301",
        "٣",
        "９ ",
    ),
    *(
        '"a"@',
        "a&b=",
        "a=b@c.de&",
        "中",
        "中@中.",
        "http://中/",
        "|a@b.co",
        "1\n",
        "4111\n",
        "+1 2\n",
        "1/1",
        "212/555/0147/",
        "+1 212 555 0147/12",
        "555-123-4567 x1 ",
        "ssn 536904399 ",
        "DE89\n",
        "20241105T",
        "5. 1. ",
    ),
]
CASE_IDS = [(name, case) for name, cases in CASES.items() for case in cases]
FRAGMENTS = [piece for _, case in CASE_IDS for piece in re.split("[«»]", case) if piece]
#: Anything at all, and anything made of what recognizers look for.
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=12).map("".join)


def found(name: str, text: str) -> list[Stretch]:
    """What a recognizer finds, by its places in the text."""
    reading = read(text)
    return [reading.place(*stretch) for stretch in RECOGNIZERS[name].find(fold(reading.text))]


def mark(name: str, text: str) -> str:
    """Put double angle brackets around what a recognizer finds."""
    marked, last = "", 0
    for start, end in found(name, text):
        marked += f"{text[last:start]}«{text[start:end]}»"
        last = end
    return marked + text[last:]


def count_calls(work: Callable[[], object]) -> int:
    """Count the calls of Python and C functions that some work makes."""
    num_calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal num_calls
        num_calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return num_calls


@pytest.mark.parametrize(("name", "case"), CASE_IDS)
def test_finds_exactly_what_is_marked(name: str, case: str) -> None:
    """A recognizer finds what is marked, to the character, and nothing else."""
    assert mark(name, re.sub("[«»]", "", case)) == case


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_has_cases_of_both_kinds(name: str) -> None:
    """Every recognizer has at least eight texts to find something in, and eight without any."""
    with_marks = sum("«" in case for case in CASES[name])
    assert with_marks >= 8
    assert len(CASES[name]) - with_marks >= 8


@given(text=TEXTS)
@settings(deadline=None)
@pytest.mark.parametrize("name", RECOGNIZERS)
def test_stretches_lie_in_the_text_in_order(name: str, text: str) -> None:
    """Of any text, stretches are not empty, lie within it, and come sorted and apart."""
    stretches = found(name, text)
    edges = [edge for stretch in stretches for edge in stretch]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= len(text) for start, end in stretches)


@given(before=st.text(max_size=8), after=st.text(max_size=8))
@settings(deadline=None)
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ssn", "536-90-4399"),
        ("card", "4111 1111 1111 1111"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
    ],
)
def test_offsets_count_characters(name: str, number: str, before: str, after: str) -> None:
    """Whatever stands before and after, a number on a line of its own is found where it is."""
    text = f"{before}\n{number}\n{after}"
    start = len(before) + 1
    assert (start, start + len(number)) in found(name, text)


@pytest.mark.parametrize("hidden", ["\u00ad", "\u200b", "\u200e", "\u2060", "\ufeff", "\ufe0f"])
@pytest.mark.parametrize(("name", "case"), [pair for pair in CASE_IDS if pair[1].count("«") == 1])
def test_what_nobody_sees_cuts_nothing(name: str, case: str, hidden: str) -> None:
    """A span is whole or not there: what nobody sees changes nothing about what is found."""
    before, inside, after = re.split("[«»]", case)
    spread = hidden.join((before, hidden.join(inside), after))
    assert mark(name, spread) == hidden.join((before, f"«{hidden.join(inside)}»", after))


@pytest.mark.parametrize(("name", "case"), CASE_IDS)
def test_decomposed_text_reads_as_composed(name: str, case: str) -> None:
    """A text in NFD has the spans that it has in NFC, by its own characters."""
    decomposed = unicodedata.normalize("NFD", case)
    assert mark(name, re.sub("[«»]", "", decomposed)) == decomposed


@given(text=st.text(st.characters(codec=None, categories=["L", "M", "N", "Cf", "So", "Cs"])))
def test_reading_keeps_places(text: str) -> None:
    """What is read is composed, and each of its characters has a place in the text, in order."""
    reading = read(text)
    assert reading.text == "".join(unicodedata.normalize("NFC", piece) for piece in reading.text)
    places = [reading.place(at, at + 1) for at in range(len(reading.text))]
    assert all(0 <= start < end <= len(text) for start, end in places)
    pairs = itertools.pairwise(places)
    assert all(left == right or left[1] <= right[0] for left, right in pairs)


def test_marks_are_sorted_in_pieces() -> None:
    """Of marks without end only so many are composed at once: sorting takes the square of them."""
    text = "a" + "\u0316\u0301" * 500
    reading = read(text)
    places = {reading.place(at, at + 1) for at in range(len(reading.text))}
    assert max(end - start for start, end in places) <= 31


def test_what_is_passed_over_is_read_as_it_is() -> None:
    """Characters that are not looked at one by one are composed, to be seen, and no marks."""
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        if not _MAY_CHANGE.match(char):
            assert unicodedata.normalize("NFC", char) == char, hex(number)
            assert not is_hidden(char), hex(number)
            assert not unicodedata.category(char).startswith("M"), hex(number)


@given(text=st.text())
def test_folding_keeps_places(text: str) -> None:
    """A folded text is ASCII, as long as the text, and ASCII letters and digits are untouched."""
    folded = fold(text)
    assert folded.isascii()
    assert len(folded) == len(text)
    pairs = zip(text, folded, strict=True)
    assert all(new == old for old, new in pairs if old.isascii() and old.isprintable())


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", RECOGNIZERS)
def test_regions_cover_a_text_at_most_once(name: str, piece: str) -> None:
    """The regions that a recognizer examines lie apart: together they fit into the text."""
    folded = fold(piece * 500)
    regions = list(RECOGNIZERS[name].regions(folded))
    assert sum(end - start for start, end in regions) <= len(folded)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(regions))


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", RECOGNIZERS)
def test_work_grows_with_the_text(name: str, piece: str) -> None:
    """A text four times as long costs four times as many calls at most, and few a character."""

    def calls_for(num_pieces: int) -> int:
        folded = fold(piece * num_pieces)
        return count_calls(lambda: list(RECOGNIZERS[name].find(folded)))

    calls_for(100)
    fewer, more = calls_for(200), calls_for(800)
    assert more <= 4.2 * fewer + 200
    assert more <= 40 * 800 * len(piece)


def test_check_that_stumbles_says_no() -> None:
    """A number that makes a checksum module raise is not valid, rather than an error."""

    def stumbles(number: str) -> bool:
        return int(number) > 0

    assert satisfies(stumbles, "1")
    assert not satisfies(stumbles, "٣x")
