"""Figures of the dashboard, drawn by the library that reports use; one at a time.

Loaded when the first dashboard is opened, since matplotlib takes a second. What is drawn is kept,
so that the same numbers are drawn once, whoever looks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, wraps
from itertools import pairwise
from threading import Lock
from typing import Any, Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from smallfirst.evaluation.figure_style import PERCENT, figure_of, shortened
from smallfirst.evaluation.svg import COLOURS, inline_svg
from smallfirst.jobs import Tier
from smallfirst.ledger.history import EVERY_MS
from smallfirst_desk.dashboard.flow import GONE, SERIES, UNSURE, Span, stretches
from smallfirst_desk.dashboard.strict_svg import strict_svg

#: What each series is drawn in; each tier has its colour in every figure.
_COLOURS: Final = {
    Tier.RULE: COLOURS["series-4"],
    Tier.LINEAR: COLOURS["series-2"],
    Tier.SLM: COLOURS["series-0"],
    Tier.LLM: COLOURS["series-1"],
    Tier.HUMAN: COLOURS["series-3"],
    GONE: COLOURS["ink"],
    UNSURE: COLOURS["quiet"],
}
#: What each series is called where it is shown.
SERIES_NAMES: Final = {GONE: "steps no longer there", UNSURE: "no sure answer"}
#: Of the whole width, and as high as is read at a glance.
_SIZE: Final = (5.4, 2.9)
_ROW_INCHES, _FRAME_INCHES = 0.42, 0.75
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
#: Only one figure is drawn at a time: the style is the library's own, for all threads.
_drawing = Lock()


@dataclass(frozen=True)
class Bar:
    """A row of a figure of bars: its name, how long it is, what stands beside it."""

    name: str
    value: float
    words: str


@dataclass(frozen=True)
class Mark:
    """A row of a figure of intervals; what is not known is None."""

    name: str
    rate: float
    lower: float
    upper: float
    target: float | None


def _kept(draw: Callable[..., str]) -> Callable[..., Markup]:
    """Draw the same numbers once."""

    @lru_cache(maxsize=32)
    def drawn(*args: Any) -> Markup:
        with _drawing:
            # What matplotlib wrote is XML; names in it were escaped there.
            return Markup(strict_svg(draw(*args)))  # noqa: S704

    @wraps(draw)
    def kept(*args: Any) -> Markup:
        return drawn(*args)

    return kept


@_kept
def flow_svg(spans: tuple[Span, ...]) -> str:
    """Draw how many answers of each tier stood in each ten minutes; grey where nobody read."""
    first_ms, last_ms = spans[0].start_ms, spans[-1].start_ms + EVERY_MS
    with figure_of("", "answers in 10 min", _SIZE) as (figure, axes):
        used = _used(spans)
        for start_ms, end_ms in _gaps(spans):
            axes.axvspan(start_ms, end_ms, color=COLOURS["line"], alpha=0.45, linewidth=0)
        for stretch in stretches(spans):
            _stack(axes, stretch, used)
        step = 4 * _HOUR_MS
        ticks = range(first_ms - first_ms % step + step, last_ms + 1, step)
        axes.xaxis.set_major_locator(FixedLocator([*ticks]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{_at(ms):%H:%M}"))
        axes.set_xlim(first_ms, last_ms)
        highest = max(sum(each.counts) for each in spans if each.counts is not None)
        axes.set_ylim(0, 1.08 * max(highest, 1))
        _count_up(axes)
        _legend(axes, used, has_gap=any(each.counts is None for each in spans))
        return inline_svg(figure, "flow", "Answers by tier in the last 24 hours", {})


@_kept
def days_svg(days: tuple[Span, ...]) -> str:
    """Draw how many answers of each tier stood on each day."""
    with figure_of("", "answers in a day", _SIZE) as (figure, axes):
        used = _used(days)
        lefts = [each.start_ms + 0.1 * _DAY_MS for each in days]
        bottoms = [0.0] * len(days)
        for place in used:
            heights = [float(each.counts[place]) if each.counts else 0.0 for each in days]
            _bars(axes, lefts, 0.8 * _DAY_MS, bottoms, heights, _COLOURS[SERIES[place]])
            bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
        every = -(-len(days) // 5)
        ticks = [each.start_ms + 0.5 * _DAY_MS for each in reversed(days)][::every]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{_at(ms):%d %b}"))
        axes.set_xlim(
            days[0].start_ms, max(days[-1].start_ms, days[0].start_ms + 6 * _DAY_MS) + _DAY_MS
        )
        axes.set_ylim(0, 1.08 * max([*bottoms, 1]))
        _count_up(axes)
        _legend(axes, used)
        return inline_svg(figure, "days", "Answers by tier on each day", {})


@_kept
def hours_svg(counts: tuple[tuple[int, int], ...], name: str) -> str:
    """Draw how many jobs were decided on in each hour: its start in ms, and the number."""
    with figure_of("", "decisions in an hour", _SIZE) as (figure, axes):
        lefts = [start + 0.1 * _HOUR_MS for start, _ in counts]
        heights = [float(number) for _, number in counts]
        _bars(axes, lefts, 0.8 * _HOUR_MS, [0.0] * len(counts), heights, _COLOURS[Tier.HUMAN])
        step = 4 * _HOUR_MS
        ticks = [start for start, _ in counts if start % step == 0]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{_at(ms):%H:%M}"))
        axes.set_xlim(counts[0][0], counts[-1][0] + _HOUR_MS)
        axes.set_ylim(0, 1.08 * max([*heights, 1]))
        _count_up(axes)
        return inline_svg(figure, name, "Decisions of people in each hour", {})


@_kept
def bars_svg(rows: tuple[Bar, ...], name: str, title: str, full: float | None) -> str:
    """Draw rows of bars, each with its words behind it; and a line where `full` is reached."""
    with figure_of("", "", (5.4, _FRAME_INCHES + _ROW_INCHES * len(rows))) as (figure, axes):
        _name_rows(axes, [row.name for row in rows])
        longest = max([*(row.value for row in rows), full or 0.0]) or 1.0
        for place, row in enumerate(rows):
            axes.barh(place, row.value, height=0.5, color=COLOURS["accent"])
            is_long = row.value > 0.55 * longest
            axes.annotate(
                row.words, (row.value, place), (-6 if is_long else 6, 0), va="center",
                ha="right" if is_long else "left", textcoords="offset points",
                color=COLOURS["paper"] if is_long else COLOURS["ink"], annotation_clip=False,
            )  # fmt: skip
        if full is not None:
            axes.axvline(full, color=COLOURS["ink"], linewidth=1.0, linestyle=(0, (2, 3)))
            axes.xaxis.set_major_formatter(PERCENT)
        else:
            _count_along(axes)
        axes.set_xlim(0, 1.04 * longest)
        return inline_svg(figure, name, title, {})


@_kept
def errors_svg(rows: tuple[Mark, ...]) -> str:
    """Draw the estimated error of each task, its interval, and what was promised."""
    with figure_of("", "", (5.4, _FRAME_INCHES + _ROW_INCHES * len(rows))) as (figure, axes):
        _name_rows(axes, [row.name for row in rows])
        for place, row in enumerate(rows):
            axes.hlines(
                place, row.lower, row.upper, color=COLOURS["accent"], linewidth=3, alpha=0.5
            )
            axes.plot(row.rate, place, "o", markersize=8, color=COLOURS["accent"],
                      markeredgecolor=COLOURS["paper"], markeredgewidth=1.5)  # fmt: skip
            if row.target is not None:
                axes.vlines(
                    row.target, place - 0.32, place + 0.32, color=COLOURS["ink"], linewidth=2
                )
        farthest = max(max(row.upper, row.target or 0.0) for row in rows)
        axes.set_xlim(0, 1.08 * (farthest or 0.01))
        axes.xaxis.set_major_formatter(PERCENT)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return inline_svg(figure, "errors", "Estimated error and promise of each task", {})


def series_name(series: str) -> str:
    """What a series is called where it is shown."""
    return SERIES_NAMES.get(series, series)


def _used(spans: Iterable[Span]) -> list[int]:
    """The places of the series that anything is counted in."""
    known = [each.counts for each in spans if each.counts is not None]
    return [place for place in range(len(SERIES)) if any(counts[place] for counts in known)]


def _gaps(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """From when until when nobody read, each stretch of time once."""
    found: list[tuple[int, int]] = []
    for each in spans:
        if each.counts is None:
            end_ms = each.start_ms + EVERY_MS
            if found and found[-1][1] == each.start_ms:
                found[-1] = (found[-1][0], end_ms)
            else:
                found.append((each.start_ms, end_ms))
    return found


def _stack(axes: Axes, stretch: Sequence[Span], used: Sequence[int]) -> None:
    """Draw one stretch of time, the series upon each other in steps."""
    edges = [*(each.start_ms for each in stretch), stretch[-1].start_ms + EVERY_MS]
    counts = [each.counts for each in stretch if each.counts is not None]
    # From the highest down, each on the ground: half as many corners as of shapes upon shapes.
    for number in range(len(used), 0, -1):
        tops = [sum(each[place] for place in used[:number]) for each in counts]
        colour = _COLOURS[SERIES[used[number - 1]]]
        axes.add_patch(PathPatch(_skyline(edges, tops), facecolor=colour, linewidth=0))


def _skyline(edges: Sequence[float], tops: Sequence[float]) -> Path:
    """The outline of steps: one top from each edge to the next."""
    corners = [(edges[0], 0.0)]
    for (left, right), top in zip(pairwise(edges), tops, strict=True):
        corners += [(left, top), (right, top)]
    corners += [(edges[-1], 0.0), (edges[0], 0.0)]
    codes = [Path.MOVETO, *[Path.LINETO] * (len(corners) - 2), Path.CLOSEPOLY]
    return Path(corners, codes)


def _bars(
    axes: Axes,
    lefts: Sequence[float],
    width: float,
    bottoms: Sequence[float],
    heights: Sequence[float],
    colour: str,
) -> None:
    """Draw many bars as one shape, which is a tenth of as many shapes."""
    corners: list[tuple[float, float]] = []
    codes: list[Any] = []
    for left, bottom, height in zip(lefts, bottoms, heights, strict=True):
        if height > 0:
            top, right = bottom + height, left + width
            corners += [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]
            codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    if corners:
        axes.add_patch(PathPatch(Path(corners, codes), facecolor=colour, linewidth=0))


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shortened(name, 20) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")


def _count_up(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _count_along(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _legend(axes: Axes, used: Sequence[int], *, has_gap: bool = False) -> None:
    """Name the colours above the figure."""
    keys = [
        Patch(color=_COLOURS[SERIES[place]], label=series_name(SERIES[place])) for place in used
    ]
    if has_gap:
        keys.append(Patch(color=COLOURS["line"], alpha=0.45, label="not read"))
    if keys:
        axes.legend(
            handles=keys, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False,
            handlelength=0.9, handleheight=0.9, columnspacing=1.2, borderpad=0, fontsize=10,
        )  # fmt: skip


def _at(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
