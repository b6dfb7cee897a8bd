"""How long a text is before anybody tokenises it, and which text it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.ledger.text_sizes import estimated_tokens, text_key


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("where is my card", 6),
        ("where's my card?!", 9),
        ("internationalisation", 5),
        ("\u94f6\u884c\u5361\u4e22\u4e86", 7),
        ("\u0433\u0434\u0435 \u043a\u0430\u0440\u0442\u0430", 5),
        ("   ", 2),
    ],
)
def test_words_signs_and_characters_are_counted_as_tokenizers_do(text: str, tokens: int) -> None:
    """A word counts by its letters, a sign for itself, and so does each character of Chinese."""
    assert estimated_tokens(text) == tokens


@given(st.text(max_size=300))
def test_a_longer_text_has_no_fewer_tokens(text: str) -> None:
    """Whatever follows after a space adds to what was there."""
    assert estimated_tokens(f"{text} more") >= estimated_tokens(text) + 1


def test_a_long_text_is_judged_by_its_beginning() -> None:
    """A document of a megabyte takes no longer than a page, and counts as all that it is."""
    page = "one two three four five six seven eight nine ten. " * 40
    assert estimated_tokens(page * 500) == pytest.approx(500 * estimated_tokens(page), rel=0.01)


@given(st.text(max_size=50), st.text(max_size=50))
def test_equal_texts_and_only_they_have_equal_keys(one: str, other: str) -> None:
    """A key tells texts apart, those with half a surrogate pair among them."""
    assert (text_key(one) == text_key(other)) == (one == other)
    assert text_key(f"{one}\ud800") != text_key(one)
