"""How sure an endpoint was of a label, from the tokens it told of."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst_workers.llm.endpoint.label_probabilities import Token, distribution

LABELS = ["billing", "delivery", "account"]


def token(text: str, chance: float, **others: float) -> Token:
    """One written token, with what might have stood there."""
    alternatives = tuple((other, math.log(p)) for other, p in others.items())
    return Token(text, math.log(chance), alternatives)


def chances(label: str, labels: list[str], *tokens: Token) -> dict[str, float]:
    """The distribution of an answer that is `{"label": "…"}`."""
    start = len('{"label": "')
    assert "".join(each.text for each in tokens) == json.dumps({"label": label})
    return distribution(label, labels, tokens, start, start + len(label))


def test_the_others_have_what_stood_in_the_labels_place() -> None:
    """Where all labels are among the alternatives, they share the whole."""
    found = chances(
        "billing",
        LABELS,
        token('{"label": "', 0.001),
        token("bill", 0.7, delivery=0.2, acc=0.1),
        token("ing", 1.0),
        token('"}', 0.3),
    )
    assert found == pytest.approx({"billing": 0.7, "delivery": 0.2, "account": 0.1})


def test_quotes_and_braces_never_count() -> None:
    """However unlikely the JSON around a label was, the label is as sure as its own tokens."""
    words = token("bill", 0.6, delivery=0.4), token("ing", 1.0)
    one = chances("billing", LABELS[:2], token('{"label": "', 1e-9), *words, token('"}', 1e-9))
    other = chances("billing", LABELS[:2], token('{"label": "', 1.0), *words, token('"}', 1.0))
    assert one == other == pytest.approx({"billing": 0.6, "delivery": 0.4})


def test_a_label_that_is_not_told_of_speaks_against_the_answer() -> None:
    """It may be as likely as the least that is told of, and no likelier than what is left."""
    found = chances(
        "billing",
        LABELS,
        token('{"label": "', 1.0),
        token("billing", 0.8, delivery=0.1),
        token('"}', 1.0),
    )
    assert found == pytest.approx({"billing": 0.8, "delivery": 0.1, "account": 0.1})


def test_without_alternatives_the_answer_has_its_own_probability() -> None:
    """What its tokens leave is shared by all other labels."""
    found = chances(
        "billing", LABELS, token('{"label": "', 1.0), token("billing", 0.9), token('"}', 1.0)
    )
    assert found == pytest.approx({"billing": 0.9, "delivery": 0.05, "account": 0.05})


def test_a_label_that_begins_as_another_is_told_apart_by_its_end() -> None:
    """The quote that ends `bill` counts, since `billing` would go on."""
    found = chances(
        "bill",
        ["bill", "billing"],
        token('{"label": "', 1.0),
        token("bill", 1.0),
        token('"}', 0.25, ing=0.75),
    )
    assert found == pytest.approx({"bill": 0.25, "billing": 0.75})


def test_a_beginning_that_labels_share_is_shared_by_them() -> None:
    """Which of them it would have become, nobody knows."""
    found = chances(
        "lost",
        ["lost", "late parcel", "late letter"],
        token('{"label": "', 1.0),
        token("lost", 0.4, late=0.6),
        token('"}', 1.0),
    )
    assert found == pytest.approx({"lost": 0.4, "late parcel": 0.3, "late letter": 0.3})


def test_a_label_has_all_the_ways_in_which_it_can_be_cut() -> None:
    """Tokens that lead on to the same label are no other answers."""
    found = chances(
        "account",
        LABELS,
        token('{"label": "', 1.0),
        token("ac", 0.3, a=0.2, d=0.3, b=0.1, bi=0.1),
        token("c", 1.0),
        token("ou", 0.4, ount=0.35, o=0.25),
        token("nt", 0.5, n=0.5),
        token('"}', 1.0),
    )
    assert found == pytest.approx({"account": 0.5, "delivery": 0.3, "billing": 0.2})


def test_what_may_begin_two_labels_is_shared_by_them() -> None:
    """Also where one of them is the label that was said."""
    found = chances(
        "billing",
        ["billing", "bounce"],
        token('{"label": "', 1.0),
        token("bil", 0.6, b=0.4),
        token("ling", 1.0),
        token('"}', 1.0),
    )
    assert found == pytest.approx({"billing": 0.8, "bounce": 0.2})


def test_a_token_may_hold_a_quote_and_a_beginning() -> None:
    """What is told of such a token is compared as it would have been written."""
    found = distribution(
        "yes",
        ["yes", "no"],
        [token('{"label":', 1.0), token(' "yes', 0.8, **{' "no': 0.2}), Token('"}', 0)],
        len('{"label": "'),
        len('{"label": "yes'),
    )
    assert found == pytest.approx({"yes": 0.8, "no": 0.2})


def test_an_impossible_answer_has_no_distribution() -> None:
    """Probabilities that are all nothing tell nothing."""
    tokens = Token('{"label": "', 0.0), Token("billing", -9999.0), Token('"}', 0.0)
    assert chances("billing", LABELS, *tokens) == {}


@given(st.data())
def test_a_distribution_is_one(data: st.DataObject) -> None:
    """Whatever the labels, and wherever the tokens are cut: all labels, summing to 1."""
    words = st.text(st.sampled_from('ab"é\\ '), min_size=1, max_size=5)
    labels = data.draw(st.lists(words, min_size=2, max_size=6, unique=True))
    label = data.draw(st.sampled_from(labels))
    written = json.dumps({"label": label}, ensure_ascii=False)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(written) - 1))))
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    below_one = st.floats(-20, 0)
    others = st.lists(st.tuples(words, below_one), max_size=4)
    tokens = [Token(p, data.draw(below_one), tuple(data.draw(others))) for p in pieces]
    start = len('{"label": "')
    found = distribution(label, labels, tokens, start, len(written) - 2)
    assert set(found) == set(labels)
    assert sum(found.values()) == pytest.approx(1.0)
    assert all(0.0 <= chance <= 1.0 for chance in found.values())
