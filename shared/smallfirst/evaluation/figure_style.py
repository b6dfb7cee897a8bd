"""The look of every figure: quiet lines, a page's own colours, no window.

It loads matplotlib, and nothing else that is heavy: whoever draws needs no statistics.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from smallfirst.evaluation.svg import COLOURS

#: Inches; small, so that the words are still read on a telephone.
SIZE = (5.4, 3.9)
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "smallfirst",
    "font.size": 11,
    # A name with a dollar sign is no formula.
    "text.parse_math": False,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["quiet"],
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["line"],
    "ytick.color": COLOURS["line"],
    "xtick.labelcolor": COLOURS["quiet"],
    "ytick.labelcolor": COLOURS["quiet"],
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
    "figure.constrained_layout.use": True,
}
_NUM_SERIES = sum(role.startswith("series") for role in COLOURS)
PERCENT = FuncFormatter(lambda value, _: f"{value * 100:.3g} %")


def colour_of(step: int) -> str:
    """Colour of a step, the same in every figure."""
    return COLOURS[f"series-{step % _NUM_SERIES}"]


def shortened(name: str, longest: int = 30) -> str:
    """Cut a name to what a figure has room for."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


@contextmanager
def figure_of(
    xlabel: str, ylabel: str, size: tuple[float, float] = SIZE
) -> Iterator[tuple[Figure, Axes]]:
    """Open a figure in the page's style, of so many inches; no window is opened."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size)
        axes = figure.subplots()
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        yield figure, axes
