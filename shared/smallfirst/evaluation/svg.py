"""Turning matplotlib's figures into SVG that lives in a page: its colours, font and tooltips.

Why matplotlib's own SVG does not do: its colours are fixed, so that a dark page has dark names on a
dark ground; its ids are the same in every figure; its style sheet holds for the whole page; an
artist has no tooltip. Plotly, Bokeh and Vega draw in the page by a script of megabytes; the page
has none, so that it opens where scripts are forbidden, in a mail for instance.
"""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from matplotlib.figure import Figure

#: What a figure is drawn in, by what the page calls it, so that a dark page has dark figures.
#: Each is found again in the SVG, so none may be a colour by accident.
COLOURS: Mapping[str, str] = {
    "ink": "#010203",
    "quiet": "#717274",
    "line": "#d1d2d4",
    "paper": "#fdfcfb",
    "accent": "#0a5c81",
    "series-0": "#0172b1",
    "series-1": "#d45e01",
    "series-2": "#029e72",
    "series-3": "#cb79a6",
    "series-4": "#8a6d0b",
}
_SPACES = re.compile(r"\{[^}]*\}")
#: The family that matplotlib measured with; the page has its own.
_FAMILY = re.compile(r"font-family: [^;]*(; )?")
_XLINK = "{http://www.w3.org/1999/xlink}href"


def inline_svg(figure: Figure, name: str, title: str, tooltips: Mapping[str, str]) -> str:
    """Write a figure as one `svg` element without namespaces, as HTML wants it.

    Args:
        figure: Drawn in `COLOURS`.
        name: Unique in the page; begins every id.
        title: What the figure shows, for those who do not see it.
        tooltips: By the `gid` of an artist.
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    root = ET.fromstring(written.getvalue())  # noqa: S314 - written by matplotlib just now
    # Its style sheet would hold for the whole page, which has one of its own for figures.
    root.remove(root[0])
    for element in list(root.iter()):
        _adapt(element, name, tooltips)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", title)
    return _in_page_colours(ET.tostring(root, encoding="unicode"))


#: Left out, so that the same numbers make the same file.
_METADATA = ("Creator", "Date", "Format", "Type")


def _adapt(element: "ET.Element", name: str, tooltips: Mapping[str, str]) -> None:
    element.tag = _SPACES.sub("", element.tag)
    gid = element.get("id", "")
    if gid in tooltips:
        title = ET.Element("title")
        title.text = tooltips[gid]
        element.insert(0, title)
    if _XLINK in element.attrib:
        element.set("href", element.attrib.pop(_XLINK))
    for key, value in list(element.attrib.items()):
        element.set(key, _prefixed(key, value, name))


def _prefixed(key: str, value: str, name: str) -> str:
    """Make an id, or what refers to one, this figure's own; leave the font to the page."""
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-")
    value = value.replace("url(#", f"url(#{name}-")
    return _FAMILY.sub("", value) if key == "style" else value


def _in_page_colours(svg: str) -> str:
    for role, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{role})")
    return svg
