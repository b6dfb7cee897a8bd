"""Placing names in a figure, so that none stands over another. Pure.

All in pixels. Why not a library: adjustText 1.4, told of every point and interval, pushes names
onto points, off the figure and over intervals, as its forces end where they balance; the first free
place of a few is readable. Vega's labels need a canvas, which its renderer for Python has not.
"""

from collections.abc import Sequence

#: Left, bottom, right, top.
Box = tuple[float, float, float, float]
#: The width of a letter in the font's size, at most about.
_PIXELS_A_LETTER = 8.2
#: How far from its point a name may stand, in steps of six pixels.
_MAX_STEPS = 12


def room_for(
    name: str,
    point: tuple[float, float],
    taken: Sequence[Box],
    page: Box,
    *,
    lines: Sequence[Box] = (),
) -> tuple[int, float, Box]:
    """Find the nearest free place for a name: right (1) or left (-1) of its point, and how high.

    Where no place is free of lines it is over one of them, and where none is free at all it is the
    first one within the figure, over whatever is there.

    Args:
        name: The name to be written.
        point: The point that it belongs to.
        taken: The points and the other names.
        page: The figure, which it stays within.
        lines: Thin lines, over which a name can be read if need be.

    Returns:
        Its side, its height above the point, and the box that it takes up.
    """
    places = [
        (side, rise, _box(name, point, side, rise))
        for step in range(_MAX_STEPS)
        for rise in (6.0 * step, -6.0 * step)
        for side in (1, -1)
    ]
    free = [place for place in places if not _is_crowded(place[2], taken, page)]
    clear = (place for place in free if not _is_crowded(place[2], lines, page))
    within = (place for place in places if not _is_crowded(place[2], (), page))
    return next(clear, next(iter(free), next(within, places[0])))


def _box(name: str, point: tuple[float, float], side: int, rise: float) -> Box:
    near, width = point[0] + side * 12, side * _PIXELS_A_LETTER * len(name)
    left, right = sorted((near, near + width))
    return (left, point[1] + rise - 8, right, point[1] + rise + 8)


def _is_crowded(box: Box, taken: Sequence[Box], page: Box) -> bool:
    is_off = box[0] < page[0] or box[1] < page[1] or box[2] > page[2] or box[3] > page[3]
    return is_off or any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in taken
    )
