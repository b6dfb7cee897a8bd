"""Known stretches of characters are found in many texts as a dictionary would find them in each."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.linear.features import stretches_of
from smallfirst.linear.model import LinearModel
from smallfirst.linear.stretch_table import StretchTable

TEXTS = st.lists(st.text("ab\u00df\u4f60\U0001f600 ", max_size=12), max_size=6)


def found_by(table: StretchTable, texts: list[str]) -> Counter[tuple[int, int]]:
    """How often each known stretch is in each text."""
    found = table.find(texts)
    return Counter(zip(found.texts.tolist(), found.columns.tolist(), strict=True))


@given(TEXTS, TEXTS)
def test_what_is_known_is_found_in_its_text_and_nothing_else(
    taught: list[str], asked: list[str]
) -> None:
    """Neither across the border of two texts, nor where two stretches want one slot."""
    names = {name for text in taught for name in stretches_of(text)}
    known = {name: column for column, name in enumerate(sorted(names))}
    wanted = Counter(
        (number, known[name])
        for number, text in enumerate(asked)
        for name in stretches_of(text)
        if name in known
    )
    assert found_by(StretchTable.of(known), asked) == wanted


@given(
    st.lists(
        st.sampled_from(["my refund", "", "x", "the parcel", "parcel refund"]),
        min_size=1,
        max_size=5,
    )
)
def test_neighbours_change_nothing(model: LinearModel, texts: list[str]) -> None:
    """A text is judged the same, to the last bit, whatever is judged with it."""
    together = model.probabilities(texts).probabilities
    alone = [model.probabilities([text]).probabilities[0].tobytes() for text in texts]
    assert [row.tobytes() for row in together] == alone
