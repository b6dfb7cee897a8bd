"""The built-in finders: what they find, what they leave alone, and how much work that is."""
# ruff: noqa: RUF001
# Full-width digits, dashes that look alike: telling them apart is what is tested.

import itertools
import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst_router.finders import FINDERS, fold, satisfies

#: A text for each finder, with what it finds in double angle brackets; without any, nothing.
CASES: dict[str, list[str]] = {
    "ssn": [
        "«536-90-4399»",
        "My SSN is «536-90-4399».",
        "ssn:«536 90 4399», thanks",
        "line\r\n«536-90-4399»\r\nline",
        "🙂🙂 «536-90-4399» 🙂",
        "«５３６－９０－４３９９» in full width",
        "«٥٣٦-٩٠-٤٣٩٩» in Arabic digits",
        "en dashes «536–90–4399»",
        "no-break spaces «536\u00a090\u00a04399»",
        "two: «536-90-4399», «219-45-6789»",
        "scan_«536-90-4399».pdf",
        "番号は«536-90-4399»です",
        "5 «536-90-4399»",
        "(«536-90-4399»)",
        "SSN «536904399»",
        "social security number is «536904399»",
        "order 536904399",
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "536-00-4399",
        "536-90-0000",
        "078-05-1120 is on every wallet's sample card",
        "5536-90-4399",
        "536-90-43990",
        "x536-90-4399",
        "536-90-4399é",
        "1-536-90-4399",
        "536-90-4399-1",
        "5 536 90 4399",
        "536 90-4399",
        "536-904-399",
        "555-123-4567",
        "+536 90 4399",
        "SSN 5369043991",
        "536\u200b-90-4399",
    ],
    "card": [
        "«4111111111111111»",
        "no.«4111111111111111»",
        "card «4111 1111 1111 1111», exp 12/27",
        "«4111-1111-1111-1111»",
        "«4111 1111 1111 1111» 123",
        "«4111 1111 1111 1111» 12/27 737",
        "amex «3782 822463 10005»",
        "«378282246310005»",
        "diners «3056 930902 5904»",
        "«6011111111111117» «5500005555555559»",
        "«2223003122003222»",
        "«3530111333300000»",
        "«6205500000000000004»",
        "old visa «4222222222222»",
        "part zz12 «4111 1111 1111 1111»",
        "order 88213 «4111 1111 1111 1111»",
        "💳«4111 1111 1111 1111»",
        "«４１１１ １１１１ １１１１ １１１１»",
        "カード«4111111111111111»です",
        "odd gaps «41 11 1111 11111111»",
        "card\r\n«4111 1111 1111 1111»\r\n",
        "_«4111111111111111»_",
        "no.4111111111111111x",
        "the IBAN CH92 3673 2852 3272 8847 5 is refused",
        "x4111111111111111",
        "4111111111111112",
        "4111 1111 1111 1112",
        "411111111111111",
        "41111111111111111111",
        "0000 0000 0000 0000",
        "1234567812345670 passes Luhn and is nobody's",
        "1.4111111111111111",
        "1234-4111-1111-1111-1111-5678",
        "4111 1111\n1111 1111",
        "4111  1111 1111 1111",
        "+4111111111111111",
        "4111\u200b111111111111",
        "555-123-4567 536-90-4399",
    ],
    "iban": [
        "«DE89370400440532013000»",
        "«DE89 3704 0044 0532 0130 00»",
        "to «DE89 3704 0044 0532 0130 00» und danke",
        "to «DE89 3704 0044 0532 0130 00» 12 EUR",
        "«GB82 WEST 1234 5698 7654 32».",
        "«GB82WEST12345698765432»",
        "gb in small: «gb82 west 1234 5698 7654 32»",
        "«FR14 2004 1010 0505 0001 3M02 606» merci",
        "«NO93 8601 1117 947»",
        "«BE68 5390 0754 7034»",
        "«MT84MALT011000012345MTLCAST001S»",
        "IBAN-«NL91-ABNA-0417-1643-00»",
        "iban:«CH9300762011623852957»",
        "💶«DE89370400440532013000»💶",
        "«ＤＥ８９３７０４００４４０５３２０１３０００»",
        "IBAN\r\n«DE89 3704 0044 0532 0130 00»\r\nBIC",
        "«DE89 3704 0044 0532 0130 00» «GB82 WEST 1234 5698 7654 32»",
        "«DE 89 370 400 440 532 013 000»",
        "DE88370400440532013000",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "DE89370400440532013000und",
        "XDE89370400440532013000",
        "XX89370400440532013000",
        "DE89 3704 0044 0532 0130",
        "DE89  3704 0044 0532 0130 00",
        "DE89 3704 0044\n0532 0130 00",
        "GB82 1234 1234 5698 7654 32",
        "be 12 people at 10 30 or so, ok",
        "DE89é370400440532013000",
        "Ref ab12 cd34 ef56 gh78 ij90 kl12",
    ],
    "email": [
        "«bob@example.com»",
        "mail «bob@example.com».",
        "<«bob.smith+shop@mail.example.co.uk»>",
        "mailto:«bob@example.com»?subject=x",
        "email=«bob@example.com»&x=1",
        "«jörg@müller.de»",
        "«o'brien@example.ie»",
        "'«bob@example.com»'",
        "write to...«bob@example.com»",
        "🙂«bob@example.com»🙂",
        "请联系«bob@example.com»谢谢",
        "«bob＠example．com»",
        "«bob@example.com» — thanks",
        "«bob@example.com»—thanks",
        "«BOB_99@EXAMPLE.COM»\r\n",
        "«bob@xn--mller-kva.xn--p1ai»",
        "«a@b.co», «c@d.org»",
        "«bob@example.com»,carol",
        "bob@localhost",
        "bob@10.0.0.1",
        "bob@example.c0m",
        "bob@example.c",
        "@example.com",
        "bob@",
        "bob.@example.com",
        "bob@-example.com",
        "bob@example-.com",
        "bob@.example.com",
        "bob@example.com@example.org",
        "bob @ example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com",
        "a@" + "b." * 130 + "com",
    ],
    "phone": [
        "«555-123-4567»",
        "«(555) 123-4567»",
        "(«555-123-4567»)",
        "«555.234.5678»",
        "«555 234 5678»",
        "«1-800-555-0199»",
        "«+1 (212) 555-0147»",
        "«+1 212 555 0147» 2 items",
        "«+12125550147»",
        "«212-555-0147»x12",
        "«+49 30 1234567»",
        "«+49 (0)30 123 456-78»",
        "«+49 171 1234567», ask for Ö",
        "«+33 1 23 45 67 89»",
        "«01 23 45 67 89» à midi",
        "«06.12.34.56.78»",
        "«+44 20 7946 0958»",
        "«020 7946 0958»",
        "«07700 900123» or «07700900123»",
        "«0171/1234567»",
        "«089 / 123456-0»",
        "«030 1234567» / «0171 1234567»",
        "«0049 30 1234567»",
        "📞«+1 212 555 0147»",
        "電話«03-1234-5678»です",
        "«＋１ ２１２ ５５５ ０１４７»",
        "\u202a«+1 212-555-0147»\u202c",
        "call me on «5551234567»",
        "Tel.: «612 345 678»",
        "my mobile number is «5551234567» ok",
        "phone:\t«555-1234»",
        "«555-123-4567» «212-555-0147»",
        "«+49 30 1234567» 05.11.2024",
        "5 «555-123-4567»\r\n",
        "order 5551234567",
        "order 555-123-4567",
        "Order number: 030 1234567",
        "invoice #555-123-4567",
        "#555-123-4567",
        "customer no. 0171 1234567",
        "Rechnungsnummer 0171 1234567",
        "536-90-4399",
        "078 05 1120",
        "SSN 536-90-4399, call later",
        "4111 1111 1111 1111",
        "3782 822463 10005",
        "call 4111111111111111",
        "2024-11-05",
        "05-11-2024",
        "05.11.2024 10:30",
        "01.02.24 10 30",
        "call 2024-11-05",
        "call 05.11.2024",
        "192.168.100.200",
        "10.0.0.1:8080",
        "GB29 NWBK 0601 6133 1926 819",
        "DE89 3704 0044 0532 0130 00",
        "NL49 DEMO 0102 5368 15",
        "0042-1268-2356-7292",
        "1555-123-45678",
        "555-123-45678",
        "555-123-4567-89",
        "99-555-123-4567",
        "155-123-4567",
        "911-123-4567",
        "555-023-4567",
        "x555-123-4567",
        "555-123-4567é",
        "+1 212 555 014",
        "+1-212-555-0147-99",
        "+0 212 555 0147",
        "2+12125550147",
        "$555 123 4567",
        "1 000 000 people",
        "0012345678901",
        "0.123456789",
        "call 123456",
        "call of duty 5551234567",
    ],
    "date": [
        "«2024-11-05»",
        "«2024-11-05»T10:30:00Z",
        "«2024/11/05» and «2024.11.5»",
        "«11/05/2024»",
        "«05/11/24»",
        "«31.12.2024»",
        "«5. 11. 2024»",
        "«5.11.2024»-«7.11.2024»",
        "«05-11-2024»",
        "«29.02.2024»",
        "on «5 November 2024».",
        "on «5th of November, 2024»",
        "on «Nov. 5, 2024»",
        "on «NOVEMBER 5TH»",
        "«march 3rd» is fine",
        "«March 3» is fine",
        "«3-Nov-24»",
        "«5. März 2024»",
        "le «1er août 2024»",
        "el «3 de mayo de 2024»",
        "🗓«2024-11-05»🗓",
        "«２０２４－１１－０５»",
        "発送日は«2024/11/05»です",
        "report_«2024-11-05».pdf",
        "a\r\n«2024-11-05»\r\nb",
        "perhaps in may 5 of us",
        "31.02.2024",
        "29.02.2023",
        "2024-13-05",
        "31/31/2024",
        "2024-11-05-77",
        "12-2024-11-05",
        "x2024-11-05",
        "2024-11-05x",
        "0000-00-00",
        "1200-01-01",
        "1.10.24",
        "3-2-10",
        "10.0.0.1",
        "99/12/31/2024",
        "2024-11/05",
        "February 30, 2024",
        "3 mars",
        "the 5th may be late",
        "december 40",
        "Decay 5",
        "536-90-4399",
    ],
    "ip": [
        "«192.168.0.1»",
        "at «10.0.0.1».",
        "«10.0.0.1»:8080",
        "«10.0.0.0»/24",
        "http://«10.0.0.1»/x",
        "«2001:db8::1»",
        "[«2001:db8::1»]:443",
        "«fe80::1%eth0»",
        "«::1»",
        "«::ffff:192.0.2.1»",
        "«2001:0db8:0000:0000:0000:ff00:0042:8329»",
        "addr:«2001:db8::1»:",
        "🌐«10.0.0.1»🌐",
        "«１０．０．０．１»",
        "服务器«10.0.0.1»宕机",
        "«10.0.0.1»,«10.0.0.2»\r\n",
        "May 5 from «10.0.0.1»",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "v1.2.3.4",
        "version 1.2.3.4",
        "01.2.3.4",
        "1.2.3.4x",
        "é1.2.3.4",
        "12:30:45",
        "00:1a:2b:3c:4d:5e",
        "std::vector",
        "::",
        "dead::beef",
        "2001:db8::1::2",
        "2001:db8:::1",
        "12345::1",
        "05.11.2024",
    ],
    "url": [
        "«https://example.com»",
        "see «https://example.com/a?b=c#d».",
        "(«https://example.com/a»)",
        "[x](«https://example.com/a»)",
        "«https://en.wikipedia.org/wiki/X_(y)»",
        "<«http://example.com»>",
        "«www.example.com», ok",
        "«HTTP://EXAMPLE.COM/»!!!",
        "«ftp://example.com/x»",
        "«http://localhost:8080/x»",
        "«http://[2001:db8::1]:80/»",
        "«https://user:pw@example.com/»",
        "«https://müller.de/straße»",
        "🙂«https://example.com»🙂",
        "見て«https://example.com/»を",
        "«https://example.com/a»\r\n«https://example.com/b»",
        '"«https://example.com»"',
        "example.com",
        "http://",
        "http:// example.com",
        "http://example",
        "http://.com/",
        "xhttp://example.com",
        "https//example.com",
        "mailto:bob@example.com",
        "www.",
        "www",
        "http://example.com:port/",
        "file:///etc/hosts",
        "http://,",
    ],
}
#: Texts built to make a careless finder do too much, as pieces to be repeated.
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
]
CASE_IDS = [(name, case) for name, cases in CASES.items() for case in cases]
FRAGMENTS = [piece for _, case in CASE_IDS for piece in re.split("[«»]", case) if piece]
#: Anything at all, and anything made of what finders look for.
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=12).map("".join)


def mark(name: str, text: str) -> str:
    """Put double angle brackets around what a finder finds."""
    marked, last = "", 0
    for start, end in FINDERS[name].find(fold(text)):
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
    """A finder finds what is marked, to the character, and nothing else."""
    assert mark(name, re.sub("[«»]", "", case)) == case


@pytest.mark.parametrize("name", FINDERS)
def test_has_cases_of_both_kinds(name: str) -> None:
    """Every finder is shown at least eight texts to find something in, and eight to leave alone."""
    with_marks = sum("«" in case for case in CASES[name])
    assert with_marks >= 8
    assert len(CASES[name]) - with_marks >= 8


@given(text=TEXTS)
@settings(deadline=None)
@pytest.mark.parametrize("name", FINDERS)
def test_stretches_lie_in_the_text_in_order(name: str, text: str) -> None:
    """Of any text, stretches are not empty, lie within it, and come sorted and apart."""
    stretches = list(FINDERS[name].find(fold(text)))
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
    assert (start, start + len(number)) in list(FINDERS[name].find(fold(text)))


@given(text=st.text())
def test_folding_keeps_places(text: str) -> None:
    """A folded text is ASCII, as long as the text, and ASCII letters and digits are untouched."""
    folded = fold(text)
    assert folded.isascii()
    assert len(folded) == len(text)
    pairs = zip(text, folded, strict=True)
    assert all(new == old for old, new in pairs if old.isascii() and old.isprintable())


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", FINDERS)
def test_regions_cover_a_text_at_most_once(name: str, piece: str) -> None:
    """The regions that a finder examines lie apart: together they fit into the text."""
    folded = fold(piece * 500)
    regions = list(FINDERS[name].regions(folded))
    assert sum(end - start for start, end in regions) <= len(folded)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(regions))


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", FINDERS)
def test_work_grows_with_the_text(name: str, piece: str) -> None:
    """A text four times as long costs four times as many calls at most, and few a character."""

    def calls_for(num_pieces: int) -> int:
        folded = fold(piece * num_pieces)
        return count_calls(lambda: list(FINDERS[name].find(folded)))

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
