"""Drawing what every cascade that was tried costs, and how much it answers."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from smallfirst.evaluation.amounts import percent, price
from smallfirst.evaluation.figure_style import PERCENT, figure_of
from smallfirst.evaluation.plots import scale_costs
from smallfirst.evaluation.svg import COLOURS, inline_svg
from smallfirst.fitting.choosing import Choice
from smallfirst.fitting.fitting import Found


def frontier_svg(found: Found) -> str:
    """Draw the cascades that were tried, the frontier among them, and the one that was chosen."""
    tooltips: dict[str, str] = {}
    tried, choice = found.selection.tried, found.selection.choice
    ylabel = "answered at the target" if choice.target is not None else "right, of all"
    with figure_of(f"{found.currency} per million jobs", ylabel) as (figure, axes):
        _draw_frontier(axes, tried)
        for number, each in enumerate(tried):
            _draw_tried(axes, each, found, f"tried-{number}", tooltips)
        scale_costs(axes, [each.cost * 1e6 for each in tried])
        axes.yaxis.set_major_formatter(PERCENT)
        axes.margins(y=0.15)
        for each in tried:
            _name_point(axes, each, found)
        return inline_svg(figure, "frontier", "What each cascade costs and answers", tooltips)


def frontier_of(tried: Sequence[Choice]) -> list[Choice]:
    """The cascades that no other beats at its cost, the cheapest first."""
    best: list[Choice] = []
    for each in sorted(tried, key=lambda each: (each.cost, -each.share_answered)):
        if not best or each.share_answered > best[-1].share_answered:
            best.append(each)
    return best


def _draw_frontier(axes: Axes, tried: Sequence[Choice]) -> None:
    best = frontier_of(tried)
    axes.plot(
        [each.cost * 1e6 for each in best],
        [each.share_answered for each in best],
        drawstyle="steps-post",
        color=COLOURS["line"],
        linewidth=1.6,
        zorder=1,
    )


def _draw_tried(axes: Axes, each: Choice, found: Found, gid: str, tooltips: dict[str, str]) -> None:
    is_chosen = each == found.selection.choice
    is_single = len(each.places) == 1
    cost, name = each.cost * 1e6, name_of(each, found.names)
    [point] = axes.plot(
        cost, each.share_answered, "o",
        color=COLOURS["accent"] if is_chosen else COLOURS["series-1" if is_single else "quiet"],
        markersize=12 if is_chosen else 7, markeredgecolor=COLOURS["paper"],
        markeredgewidth=1.5, zorder=5 if is_chosen else 3, clip_on=False,
    )  # fmt: skip
    point.set_gid(gid)
    tooltips[gid] = (
        f"{name}: {price(cost, found.currency)} per million, {percent(each.share_answered)}"
    )


def _name_point(axes: Axes, each: Choice, found: Found) -> None:
    """Write its name at the cascade that was chosen, above, and at each single step, below."""
    is_chosen = each == found.selection.choice
    if not is_chosen and len(each.places) > 1:
        return
    x, y = each.cost * 1e6, each.share_answered
    across, _ = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
    label = axes.annotate(
        name_of(each, found.names), (x, y), (0, 11 if is_chosen else -15),
        textcoords="offset points", annotation_clip=False,
        ha="left" if across < 1 / 3 else "center" if across < 2 / 3 else "right",
        color=COLOURS["accent" if is_chosen else "series-1"],
        weight="bold" if is_chosen else "normal",
    )  # fmt: skip
    # The layout would make room for it, and so make the figure narrow.
    label.set_in_layout(False)


def name_of(choice: Choice, names: Sequence[str]) -> str:
    """Name a cascade by its steps."""
    return ", then ".join(names[at] for at in choice.places)
