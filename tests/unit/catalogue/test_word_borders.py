r"""Patterns whose `\b` is no border of words."""

import pytest
import re2

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.word_borders import REMEDY, blind_border, blind_patterns


@pytest.mark.parametrize(
    ("pattern", "letter"),
    [
        (r"\bÄnderung\b", "Ä"),
        (r"\bcafé\b", "é"),
        (r"\b(?:Öl|Gas)", "Ö"),
        (r"(?P<span>\b[ÄÖÜ][a-z]+)", "Ä"),
        (r"(?i:\b(?P<span>über))", "ü"),
        (r"(naïvet[eé])+\b", "é"),
        (r"größe{1,2}\b", None),
        (r"\bAngebot\b", None),
        (r"\\bÄnderung", None),
        (r"\b€ ", None),
        (r"Ä \b", None),
    ],
)
def test_a_border_beside_a_letter_beyond_ascii_is_named(pattern: str, letter: str | None) -> None:
    r"""RE2's `\b` is a border of ASCII words alone, so it is none beside other letters."""
    assert blind_border(pattern) == letter


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        (r"(?:^|[^\pL\pN_])(?P<span>Änderung)\b", "Änderung"),
        (r"\b(?P<span>café)(?:[^\pL\pN_]|$)", "café"),
    ],
)
def test_the_remedy_finds_the_word(pattern: str, word: str) -> None:
    """A pattern that is mended as the warning says finds the word, and no part of another."""
    assert all(part in REMEDY for part in (r"(?:^|[^\pL\pN_])", r"(?:[^\pL\pN_]|$)"))
    for text in (word, f"a {word}.", f"({word})"):
        assert re2.search(pattern, text)["span"] == word
    assert re2.search(pattern, f"é{word}é") is None


def test_the_place_of_a_pattern_is_told() -> None:
    """A warning names the pattern's place in the catalogue."""
    pattern = {"label": "change", "pattern": r"\bÄnderung\b"}
    task = {"kind": "classify", "labels": {"change": "A change.", "other": "Else."}}
    rule = {"rule": {"patterns": [{"label": "other", "pattern": "x"}, pattern]}}
    pools = {"cpu": {"tier": "slm", "max_parameters": "50M"}}
    tasks = {"topic": {**task, "cascade": [rule]}}
    catalogue = Catalogue.model_validate({"version": 1, "pools": pools, "tasks": tasks})
    [(place, reason)] = blind_patterns(catalogue)
    assert place == ("tasks", "topic", "cascade", 0, "rule", "patterns", 1)
    assert "'Ä'" in reason
