"""Laws of words and of the spans that are made of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import Span
from smallfirst_workers.encoding.words import (
    Tag,
    find_words,
    join_words,
    label_words,
    trim,
    words_of_tokens,
)


def words_in(text: str) -> list[str]:
    """The words of a text, as text."""
    return [text[start:end] for start, end in find_words(text)]


def spans_in(text: str, *labels: str | None) -> list[str]:
    """The spans of a text whose words bear these labels, as text."""
    tags = [Tag(label, 0.9) for label in labels]
    return [text[span.start : span.end] for span in join_words(text, find_words(text), tags)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mail john.smith@x.com, O'Brien!", ["Mail", "john.smith@x.com", ",", "O'Brien", "!"]),
        ("On 2026-05-01 at 10:30", ["On", "2026-05-01", "at", "10:30"]),
        ("1,500.00 of it", ["1,500.00", "of", "it"]),
        ("so...what", ["so", ".", ".", ".", "what"]),
        ("cafe\u0301 ok", ["cafe\u0301", "ok"]),
        ("a 👩‍👩‍👧 b", ["a", "👩‍👩‍👧", "b"]),
        ("日本 語", ["日", "本", "語"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("שלום עולם.", ["שלום", "עולם", "."]),
        (" \t\n", []),
    ],
)
def test_a_word_is_what_people_take_for_one(text: str, words: list[str]) -> None:
    """Names, addresses, dates and emoji stay whole; sentences and scripts come apart."""
    assert words_in(text) == words


@pytest.mark.parametrize(
    "hidden", ["\u00ad", "\u200b", "\u200e", "\u2060", "\ufeff", "\u200b\u00ad"]
)
@pytest.mark.parametrize(
    "word", ["L\u00f3pez", "john.smith@x.com", "O'Brien", "2026-05-01", "1,500.00"]
)
def test_what_nobody_sees_parts_no_word(word: str, hidden: str) -> None:
    """A word is whole or not there: soft hyphens and zero-width spaces stand inside of it."""
    spread = hidden.join(word)

    assert words_in(f"a {spread}{hidden} b")[:2] == ["a", spread]


@given(st.text(max_size=200))
def test_every_visible_character_is_in_one_word(text: str) -> None:
    """Words do not overlap, are not empty, and leave out nothing but white space."""
    words = find_words(text)

    assert all(start < end for start, end in words)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(words))
    covered = {at for start, end in words for at in range(start, end)}
    assert all(text[at].isspace() for at in set(range(len(text))) - covered)


def test_a_token_belongs_to_the_word_of_its_last_character() -> None:
    """A space counted into a token does not matter; a token of nothing belongs to no word."""
    words = find_words("ab cde")
    offsets = np.array([(0, 2), (2, 4), (4, 6), (6, 6), (2, 3)])

    assert words_of_tokens(offsets, words).tolist() == [0, 1, 1, -1, -1]


def test_no_words_means_no_owner() -> None:
    """A text of white space has tokens that belong to nothing."""
    assert words_of_tokens(np.array([(0, 1)]), find_words(" ")).tolist() == [-1]


@pytest.mark.parametrize(
    ("text", "labels", "spans"),
    [
        ("Ada Lovelace wrote", ("name", "name", None), ["Ada Lovelace"]),
        ("Ada Lovelace, wrote", ("name", "name", "name", None), ["Ada Lovelace"]),
        ("Ada\nGrace", ("name", "name"), ["Ada", "Grace"]),
        ("Ada Paris", ("name", "place"), ["Ada", "Paris"]),
        ("Ada and Grace", ("name", None, "name"), ["Ada", "Grace"]),
        ("Ada's letter", ("name", None), ["Ada"]),
        ("call (030) 12", (None, "tel", "tel", "tel", "tel"), ["(030) 12"]),
        ("(Ada)", ("name", "name", "name"), ["(Ada)"]),
        ("(Ada", ("name", "name"), ["Ada"]),
        ("well ... no", (None, "name", "name", "name", None), []),
        ("hi 👍🏽 there", (None, "name", None), ["👍🏽"]),
    ],
)
def test_spans_are_runs_of_words_with_clean_ends(
    text: str, labels: tuple[str | None, ...], spans: list[str]
) -> None:
    """Neighbours with one label join, lines part them, and loose punctuation stays outside."""
    assert spans_in(text, *labels) == spans


def test_a_beginning_parts_neighbours_with_one_label() -> None:
    """Two names side by side are two spans where the model says that a second begins."""
    text = "Ada Grace"
    tags = [Tag("name", 0.9), Tag("name", 0.8, is_first=True)]

    spans = join_words(text, find_words(text), tags)

    assert [(span.start, span.end, span.confidence) for span in spans] == [(0, 3, 0.9), (4, 9, 0.8)]


def test_a_span_is_as_sure_as_its_least_sure_word() -> None:
    """A span that misses one word of a name has missed the name."""
    text = "Ada Lovelace"
    tags = [Tag("name", 0.9), Tag("name", 0.6)]

    (span,) = join_words(text, find_words(text), tags)

    assert span.confidence == 0.6


@given(st.text(alphabet="(Aa.,\"'»“”) \n", max_size=40))
def test_trimming_only_takes_away(text: str) -> None:
    """What is left lies within what was given, and does not begin or end with white space."""
    start, end = trim(text, 0, len(text))

    assert 0 <= start <= end <= len(text)
    assert text[start:end] == text[start:end].strip()


def test_a_word_bears_the_label_that_covers_half_of_it() -> None:
    """Examples whose spans leave out a possessive, or clip an address, still teach the word."""
    text = "Ada's mail a@b.example"
    spans = [Span(start=0, end=3, label="name"), Span(start=20, end=22, label="site")]

    assert label_words(find_words(text), spans) == ["name", None, None]
