"""Figures for pages that forbid inline style: each declaration becomes an attribute. Pure.

The desk's policy lets no `style` attribute count; SVG has an attribute for every property that
figures use. Source: https://www.w3.org/TR/SVG2/styling.html#PresentationAttributes
"""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

#: Attributes that hold places, which no screen shows finer than to a tenth of a point.
_PLACES: Final = ("x", "y", "width", "height", "transform")
_LONG_NUMBER: Final = re.compile(r"(\d+\.\d)\d+")
_STRAIGHT: Final = re.compile(r"[MLz\d\s.-]*$")
_BLANKS: Final = re.compile(r"\s+")
_NO_TURN: Final = re.compile(r"^rotate\(-?0(\.0)? ")
_REFERENCE: Final = re.compile(r"#([^)\s]+)")


def strict_svg(svg: str) -> str:
    """Write a figure without `style`, and without what nobody sees or refers to."""
    root = ET.fromstring(svg)  # noqa: S314 - drawn here, by matplotlib
    for element in root.iter():
        _strict(element)
    referred = set(_references(root))
    for element in root.iter():
        if element.get("id") not in referred:
            element.attrib.pop("id", None)
    _flatten(root)
    return ET.tostring(root, encoding="unicode")


def _strict(element: "ET.Element") -> None:
    for declared in element.attrib.pop("style", "").split(";"):
        name, _, value = declared.partition(":")
        if name.strip():
            element.set(name.strip(), value.strip())
    for name in _PLACES:
        if name in element.attrib:
            element.set(name, _shortened(element.attrib[name]))
    if "d" in element.attrib:
        element.set("d", shortened_path(element.attrib["d"]))
    if _NO_TURN.match(element.get("transform", "")):
        del element.attrib["transform"]
    element.tail = _without_blanks(element.tail)
    element.text = _without_blanks(element.text)


def shortened_path(path: str) -> str:
    """Write a path of straight lines by its steps, to a tenth of a point; another as it is.

    Steps are between places that are rounded already, so that no error adds up.
    """
    if not _STRAIGHT.match(path):
        return _shortened(path)
    parts = path.replace("M", " M ").replace("L", " L ").replace("z", " z ").split()
    written: list[str] = []
    at, begun = (0, 0), (0, 0)
    numbers = iter(parts)
    for part in numbers:
        if part == "z":
            written.append("z")
            at = begun
        else:
            to = _tenths(next(numbers)), _tenths(next(numbers))
            written.append(_moved(to) if part == "M" else _drawn(to[0] - at[0], to[1] - at[1]))
            at, begun = to, to if part == "M" else begun
    return "".join(written)


def _moved(to: tuple[int, int]) -> str:
    return f"M{_number(to[0])} {_number(to[1])}"


def _drawn(right: int, down: int) -> str:
    """A line by so many tenths; one that leads nowhere is none."""
    if not right and not down:
        return ""
    if not down:
        return f"h{_number(right)}"
    return f"l{_number(right)} {_number(down)}" if right else f"v{_number(down)}"


def _tenths(number: str) -> int:
    return round(float(number) * 10)


def _number(tenths: int) -> str:
    return f"{tenths / 10:g}"


def _shortened(places: str) -> str:
    return _BLANKS.sub(" ", _LONG_NUMBER.sub(r"\1", places)).strip()


def _without_blanks(words: str | None) -> str | None:
    return words if words and words.strip() else None


def _references(root: "ET.Element") -> Iterator[str]:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name != "id" and "#" in value:
                yield from _REFERENCE.findall(value)


def _flatten(element: "ET.Element") -> None:
    """Let groups that say nothing of what is in them go."""
    children: list[ET.Element] = []
    for child in element:
        _flatten(child)
        says_nothing = child.tag == "g" and not child.attrib
        children += list(child) if says_nothing else [child]
    element[:] = children
