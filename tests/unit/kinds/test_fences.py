"""The fence around a text: no text can spell its markers."""

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.kinds.fences import FENCE_CLOSES, FENCE_OPENS, escape, unescape


@given(st.text(st.sampled_from("<>/&;ampltext \n"), max_size=40) | st.text(max_size=40))
def test_escaping_loses_nothing(text: str) -> None:
    """Every text comes back, and no marker is left in it."""
    assert unescape(escape(text)) == text
    assert FENCE_OPENS not in escape(text)
    assert FENCE_CLOSES not in escape(text)
