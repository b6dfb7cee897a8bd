"""What a linear model sees of a text, and where each of it stands."""

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.linear.features import (
    folded,
    placed_features,
    stretches_of,
    words_of,
)


def test_words_come_alone_and_in_pairs() -> None:
    """Punctuation parts words, and pairs go over it."""
    assert words_of(folded("Where, oh  WHERE?")) == ["where", "oh", "where", "where oh", "oh where"]


def test_stretches_go_over_the_ends_of_words() -> None:
    """Every stretch of each length, white space being one blank."""
    assert stretches_of(folded("ab\n\tC")) == ["ab", "b ", " c", "ab ", "b c", "ab c"]


def test_case_and_white_space_are_folded() -> None:
    """Texts that differ in nothing else have the same features."""
    assert folded(" Straße\u00a0 27 ") == folded("STRASSE 27") == "strasse 27"


@given(st.text())
def test_placed_features_are_those_that_are_counted(text: str) -> None:
    """Where features stand is told of the very same ones, in any text."""
    words, stretches = placed_features(text)
    assert words.names == words_of(folded(text))
    assert stretches.names == stretches_of(folded(text))


@given(st.text())
def test_each_place_is_inside_the_text(text: str) -> None:
    """A place covers at least one character, and what stands there folds to the stretch."""
    words, stretches = placed_features(text)
    for each in (words, stretches):
        assert len(each.names) == len(each.starts) == len(each.ends)
        assert ((each.starts >= 0) & (each.starts < each.ends) & (each.ends <= len(text))).all()
    for name, start, end in zip(*stretches, strict=True):
        assert name.strip() in folded(text[start:end])
