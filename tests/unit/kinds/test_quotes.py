"""Quotes: found however they were set, given back as the text has them, and long enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.kinds.quotes import MIN_LETTERS, find_quote


@pytest.mark.parametrize(
    ("quote", "text", "stretch"),
    [
        ("the total is 7", "So the total is 7.", "the total is 7"),
        ("the total is 7", "So the\n  total\u00a0is\t7.", "the\n  total\u00a0is\t7"),
        ('it\'s "paid"', "No, it\u2019s \u201cpaid\u201d.", "it\u2019s \u201cpaid\u201d"),
        ("'paid' on time", "\u201apaid\u2018 on time", "\u201apaid\u2018 on time"),
        ("1-2 of 3-4", "1\u20132 of 3\u22124", "1\u20132 of 3\u22124"),
        ("caf\u00e9 du lac", "Cafe\u0301 caf\u0065\u0301 du lac", "caf\u0065\u0301 du lac"),
        ("cafe\u0301 du lac", "caf\u00e9 du lac", "caf\u00e9 du lac"),
        ("office hours", "o\ufb03ce hours", "o\ufb03ce hours"),
        ("invoice number", "in\u00advoice num\u200bber", "in\u00advoice num\u200bber"),
        (
            "\uac00\ub098\ub2e4 \ub77c\ub9c8\ubc14",
            "\u1100\u1161\ub098\ub2e4 \ub77c\ub9c8\ubc14",
            None,
        ),
        (
            "\u8acb\u6c42\u66f8\u306e\u5408\u8a08",
            "\uff08\u8acb\u6c42\u66f8\u306e\u5408\u8a08\uff09",
            None,
        ),
        ("  Total: $80\n", "Total: $80", "Total: $80"),
    ],
)
def test_a_quote_is_found_however_it_was_set(quote: str, text: str, stretch: str | None) -> None:
    """Marks, dashes, blanks and the way in which a character is spelt do not count."""
    found = find_quote(quote, text)

    assert found is not None
    assert found in text
    assert stretch in {None, found}


@pytest.mark.parametrize(
    "quote",
    [
        "the Total is 7",
        "the total is 8",
        "the total  was 7",
        "total 7 is the",
        "So the total is 7..",
    ],
)
def test_other_words_are_no_quote(quote: str) -> None:
    """Nor is another case, another number, or more than stands there."""
    assert find_quote(quote, "So the total is 7.") is None


@pytest.mark.parametrize(
    "quote", ["", " ", ".", "e", "T", "the", "total", "is 7.", "...---...", "\u00ad"]
)
def test_a_quote_of_little_is_none(quote: str) -> None:
    """What stands in nearly any text is nothing that a verdict can rest on."""
    assert find_quote(quote, f"So the total{quote} is 7.") is None


@pytest.mark.parametrize("quote", ["so it is", "20 Nov 1", "totals", "2026-11"])
def test_a_quote_of_some_words_is_enough(quote: str) -> None:
    """Three words, or six letters and digits."""
    assert find_quote(quote, f"Well, {quote}!") == quote


@pytest.mark.parametrize(("quote", "text"), [("Paid", " Paid. "), ("No!", "No!"), ("7", "(7)")])
def test_a_short_text_is_quoted_whole(quote: str, text: str) -> None:
    """Where the text has no more, all of it is enough."""
    assert find_quote(quote, text) == quote
    assert find_quote(quote, f"{text} Later.") is None


@given(st.text(), st.text(), st.text())
def test_any_stretch_of_a_text_is_found(before: str, quote: str, after: str) -> None:
    """Whatever characters a text has, what was copied from it is found, and stands in it."""
    found = find_quote(quote, before + quote + after)

    assert found is None or found in before + quote + after
    assert found is not None or sum(map(str.isalnum, quote)) < 2 * MIN_LETTERS
