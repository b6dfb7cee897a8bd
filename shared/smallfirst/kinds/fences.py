"""The fence around a text: its markers, and how a text is kept from spelling one. Pure."""

import re

#: The markers between which every text stands.
FENCE_OPENS, FENCE_CLOSES = "<text>", "</text>"
#: A `<` that could begin a marker, as it stands or escaped already.
_MARKER_START = re.compile(r"(<|&(?:amp;)*lt;)(?=\s*/?\s*text\b)", re.IGNORECASE)
_ESCAPED_START = re.compile(r"&((?:amp;)*)lt;(?=\s*/?\s*text\b)", re.IGNORECASE)


def escape(text: str) -> str:
    """Break every marker of the fence that stands in a text, reversibly."""
    return _MARKER_START.sub(
        lambda found: "&lt;" if found[1] == "<" else f"&amp;{found[1][1:]}", text
    )


def unescape(text: str) -> str:
    """Undo `escape`, for instance in a quote that the model copied."""
    return _ESCAPED_START.sub(
        lambda found: f"&{found[1].removeprefix('amp;')}lt;" if found[1] else "<", text
    )
