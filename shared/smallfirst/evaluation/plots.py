"""Drawing an evaluation: quiet lines, direct labels, colours that colour-blind people tell apart.

Its figures' look is `figure_style`'s.
"""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from smallfirst.evaluation.alternatives import Alternative, Way
from smallfirst.evaluation.amounts import percent, price
from smallfirst.evaluation.evaluating import Evaluation
from smallfirst.evaluation.figure_style import (
    PERCENT,
    SIZE,
    STYLE,
    colour_of,
    figure_of,
    shortened,
)
from smallfirst.evaluation.figures import Reliability, RiskCurve
from smallfirst.evaluation.label_placement import Box, room_for
from smallfirst.evaluation.svg import COLOURS, inline_svg

#: Costs that differ by more than this are shown by their logarithm.
_LOG_ABOVE = 20.0
#: And by one tick for each power of ten where they differ by more than this.
_ONE_A_DECADE_ABOVE = 200.0
#: So many costs, the longest of them 1,000,000, stand beside each other below a figure.
_MAX_COST_TICKS = 5


def risk_coverage_svg(found: Evaluation, target: float | None) -> str:
    """Draw risk against coverage, where the cascade works, and what was promised."""
    tooltips: dict[str, str] = {}
    with figure_of("share of jobs answered", "wrong among answers") as (figure, axes):
        top = _draw_curves(axes, found.curves, tooltips)
        top = max(top, _draw_target(axes, target), _draw_working_point(axes, found, tooltips))
        axes.set(xlim=(0, 1.02), ylim=(0, max(0.02, top) * 1.15))
        axes.xaxis.set_major_formatter(PERCENT)
        axes.yaxis.set_major_formatter(PERCENT)
        return inline_svg(figure, "risk", "Risk against coverage", tooltips)


def _draw_curves(axes: Axes, curves: Sequence[RiskCurve], tooltips: dict[str, str]) -> float:
    ends: list[tuple[float, float, str, str]] = []
    for number, curve in enumerate(curves):
        is_cascade = curve.step is None
        colour = COLOURS["accent"] if is_cascade else colour_of(curve.step or 0)
        [line] = axes.plot(
            curve.coverages, curve.risks, color=colour, linewidth=2.6 if is_cascade else 1.5
        )
        line.set_gid(f"curve-{number}")
        tooltips[f"curve-{number}"] = f"{curve.name}, threshold swept"
        ends.append((curve.coverages[-1], curve.risks[-1], curve.name, colour))
    top = max((max(curve.risks) for curve in curves), default=0.0)
    _label_ends(axes, ends, gap=0.065 * max(top, 0.02) * 1.15)
    return top


def _label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]], *, gap: float) -> None:
    """Write every curve's name beside its end, none over another."""
    floor = -gap
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        floor = max(y, floor + gap)
        axes.annotate(
            shortened(name), (x, floor), (9, 0), textcoords="offset points", color=colour,
            va="center", annotation_clip=False,
        )  # fmt: skip


def _draw_target(axes: Axes, target: float | None) -> float:
    if target is None:
        return 0.0
    axes.axhline(target, color=COLOURS["ink"], linewidth=1.0, linestyle=(0, (2, 3)))
    axes.annotate(
        f"promised: at most {percent(target)}", (0.01, target), (0, 4), textcoords="offset points"
    )
    return target


def _draw_working_point(axes: Axes, found: Evaluation, tooltips: dict[str, str]) -> float:
    cascade = found.cascade
    if cascade.error is None:
        return 0.0
    [point] = axes.plot(
        cascade.coverage, cascade.error, "o", markersize=9, color=COLOURS["accent"],
        markeredgecolor=COLOURS["paper"], markeredgewidth=2, zorder=5,
    )  # fmt: skip
    point.set_gid("works")
    tooltips["works"] = (
        f"where the cascade works: {percent(cascade.coverage)} answered,"
        f" {percent(cascade.error, 2)} of it wrong"
    )
    return cascade.error


def cost_quality_svg(found: Evaluation) -> str:
    """Draw what every alternative costs and how often it is right, with 95 % intervals."""
    # What hardly answers, such as a rule alone, would press all else into a corner.
    fewest = found.cascade.coverage / 2
    shown = [found.cascade, *(each for each in found.alternatives if each.coverage >= fewest)]
    return costs_svg(shown, found.currency, by_lot=True)


def costs_svg(shown: Sequence[Alternative], currency: str, *, by_lot: bool = False) -> str:
    """Draw what each of these costs and how often it is right, with 95 % intervals.

    Args:
        shown: At least one.
        currency: Of their costs.
        by_lot: Whether to draw what can be had by lot between single steps.
    """
    tooltips: dict[str, str] = {}
    with figure_of(f"{currency} per million jobs", "right, of all jobs") as (figure, axes):
        if by_lot:
            _draw_frontier(axes, shown)
        for number, each in enumerate(shown):
            _draw_point(axes, each, currency, f"point-{number}", tooltips)
        scale_costs(axes, [each.cost_per_million for each in shown])
        axes.yaxis.set_major_formatter(PERCENT)
        axes.margins(y=0.12)
        _label_points(figure, axes, shown)
        return inline_svg(figure, "cost", "Cost against quality", tooltips)


def _draw_frontier(axes: Axes, alternatives: Sequence[Alternative]) -> None:
    """Join the single steps: what lies on the line can be had by lot."""
    singles = sorted((a.cost_per_million, a.accuracy) for a in alternatives if a.way is Way.ALONE)
    axes.plot(*zip(*singles, strict=True), color=COLOURS["line"], linewidth=1.2, zorder=1)


def _draw_point(
    axes: Axes, each: Alternative, currency: str, gid: str, tooltips: dict[str, str]
) -> None:
    interval, is_cascade = each.accuracy_interval, each.way is Way.CASCADE
    x, y = each.cost_per_million, each.accuracy
    colour = _colour_of_way(each)
    axes.vlines(x, interval.low, interval.high, color=colour, linewidth=1.2, alpha=0.45)
    [point] = axes.plot(
        x, y, "o" if each.way in {Way.CASCADE, Way.ALONE} else "D", color=colour,
        markersize=11 if is_cascade else 7, markeredgecolor=COLOURS["paper"],
        markeredgewidth=1.5, zorder=5 if is_cascade else 3, clip_on=False,
    )  # fmt: skip
    point.set_gid(gid)
    tooltips[gid] = (
        f"{each.name}: {price(x, currency)} per million, {percent(y)} right"
        f" ({percent(interval.low)} to {percent(interval.high)})"
    )


def scale_costs(axes: Axes, costs: Sequence[float]) -> None:
    """Scale the axis of costs: by their logarithm where they are far apart."""
    axes.set_xlim(0, 1.18 * max(costs) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(_MAX_COST_TICKS - 1, steps=[1, 2, 2.5, 5, 10]))
    positive = [cost for cost in costs if cost > 0]
    if positive and min(costs) > 0 and max(positive) / min(positive) > _LOG_ABOVE:
        axes.set_xscale("log")
        subs = (1.0, 3.0) if max(positive) / min(positive) < _ONE_A_DECADE_ABOVE else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=_MAX_COST_TICKS))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(min(positive) / 2, max(positive) * 2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: _amount(cost)))


def _amount(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 1000 else f"{cost:.4g}"


def _label_points(figure: Figure, axes: Axes, shown: Sequence[Alternative]) -> None:
    """Write a name beside every point, as near as there is room."""
    figure.canvas.draw()
    points = [_pixels(axes, each.cost_per_million, each.accuracy) for each in shown]
    width, height = figure.canvas.get_width_height()
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    lines = [_interval_box(axes, each) for each in shown]
    for each, point in zip(shown, points, strict=True):
        name = _name_in_figure(each)
        page = (axes.bbox.x0, 0.0, width, height)
        side, rise, box = room_for(name, point, taken, page, lines=lines)
        taken.append(box)
        label = axes.annotate(
            name, (each.cost_per_million, each.accuracy),
            (9 * side, rise * 72 / figure.dpi), textcoords="offset points",
            ha="left" if side > 0 else "right", va="center", color=_colour_of_way(each),
            weight="bold" if each.way is Way.CASCADE else "normal", annotation_clip=False,
        )  # fmt: skip
        # The layout would make room for it, and so move the points from where they were measured.
        label.set_in_layout(False)


def _pixels(axes: Axes, x: float, y: float) -> tuple[float, float]:
    [[right, up]] = axes.transData.transform([(x, y)])
    return float(right), float(up)


def _interval_box(axes: Axes, each: Alternative) -> Box:
    """The line of an alternative's interval, as what a name must not stand on."""
    x, low = _pixels(axes, each.cost_per_million, each.accuracy_interval.low)
    _, high = _pixels(axes, each.cost_per_million, each.accuracy_interval.high)
    return (x - 2, low, x + 2, high)


def _name_in_figure(each: Alternative) -> str:
    """The table has the whole names."""
    match each.way:
        case Way.RANDOM:
            return "escalated by lot"
        case Way.MIXTURE:
            return "by lot, same cost"
        case Way.SUREST:
            return shortened(each.name.partition(" alone")[0], 20) + ", surest"
    return shortened(each.name)


def reliability_svg(found: Reliability) -> str:
    """Draw how often answers of each confidence are right, and below it how many there are."""
    tooltips: dict[str, str] = {}
    name, colour = f"reliability-{found.step}", colour_of(found.step)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE)
        axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 1], [0, 1], color=COLOURS["line"], linewidth=1.2)
        axes.annotate(
            f"ECE {found.error:.3f}", (0.02, 0.97), va="top", weight="bold", color=COLOURS["ink"]
        )
        _draw_bins(axes, counts, found, colour, tooltips)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="right")
        counts.set(xlabel="confidence", ylabel="answers")
        for side in (axes.yaxis, counts.xaxis):
            side.set_major_formatter(PERCENT)
        return inline_svg(figure, name, f"Reliability of {found.name}", tooltips)


def _draw_bins(
    axes: Axes, counts: Axes, found: Reliability, colour: str, tooltips: dict[str, str]
) -> None:
    for number, each in enumerate(found.bins):
        axes.vlines(
            each.mean_confidence, each.interval.low, each.interval.high, color=colour, alpha=0.45
        )
        [point] = axes.plot(
            each.mean_confidence, each.accuracy, "o", color=colour, markersize=7,
            markeredgecolor=COLOURS["paper"], markeredgewidth=1.5,
        )  # fmt: skip
        [bar] = counts.bar(
            each.low, each.count, width=each.high - each.low, align="edge", color=colour,
            edgecolor=COLOURS["paper"],
        )  # fmt: skip
        words = (
            f"{each.count} answers as sure as {percent(each.low, 0)} to {percent(each.high, 0)}:"
            f" {percent(each.accuracy)} right"
        )
        for part, artist in (("bin", point), ("bar", bar)):
            artist.set_gid(f"{part}-{number}")
            tooltips[f"{part}-{number}"] = words


def _colour_of_way(each: Alternative) -> str:
    if each.way is Way.CASCADE:
        return COLOURS["accent"]
    return colour_of(each.steps[0]) if each.way in {Way.ALONE, Way.SUREST} else COLOURS["quiet"]
