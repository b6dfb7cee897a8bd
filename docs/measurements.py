"""What was measured, put into the page on performance: the tables of `benchmarks/results`.

Nothing is typed in anew, so the page says what the last run of each benchmark found.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from smallfirst.accounting.words import USES
from smallfirst.evaluation.figure_style import figure_of
from smallfirst.evaluation.svg import COLOURS, inline_svg
from smallfirst.ledger.keys import ROUTERS

_RESULTS: Final = Path(__file__).parents[1] / "benchmarks" / "results"
_HEADING: Final = re.compile(r"^#+ .*\n+", re.MULTILINE)
#: Whose processes a job passes, in its order, and how the figure calls them.
_PARTS: Final = ("client", "router", "redis", "worker")


def table_of(name: str) -> str:
    """The results of one benchmark, without their heading.

    Raises:
        FileNotFoundError: When it was never run.
    """
    return _HEADING.sub("", (_RESULTS / f"{name}.md").read_text("utf-8"), count=1)


def speed() -> str:
    """The fleet beside its ceiling and its rivals: figures, then the table."""
    found = json.loads((_RESULTS / "speed_banking77.json").read_text("utf-8"))
    return "\n\n".join((_costs(found), table_of("speed_banking77"), _shares(found[0])))


def load() -> str:
    """What a job waits under load, by each way to form batches: a figure, then the table."""
    found = json.loads((_RESULTS / "load.json").read_text("utf-8"))["waits_ms"]
    return "\n\n".join((_waits(found), table_of("load")))


def _waits(found: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Draw the 99th percentile of each way, the fleet's line in another colour."""
    heading = "Wait of 99 jobs of 100, ms, by the load as a share of full speed"
    with figure_of(heading, "") as (figure, axes):
        for name, waits in found.items():
            shares = [100 * float(share) for share in waits]
            slowest = [p99 for _, p99 in waits.values()]
            colour = COLOURS["accent" if name == "fleet" else "quiet"]
            axes.plot(shares, slowest, marker="o", color=colour)
            axes.annotate(
                name.removeprefix("simulated: "),
                (shares[0], slowest[0]),
                textcoords="offset points",
                xytext=(0, 6),
                fontsize="small",
            )
        axes.set_yscale("log")
        axes.set_xticks(shares, [f"{share:.0f} %" for share in shares])
        return _in_page(inline_svg(figure, "load", "Wait by load and way to form batches", {}))


def _costs(found: Sequence[dict[str, Any]]) -> str:
    """Draw what a text costs of the processors, the fleet's bar in another colour.

    Not texts a second: other work on the machine takes these from whoever has its turn.
    """
    with figure_of("CPU of a text, microseconds, median of the turns", "") as (figure, axes):
        names = [each["name"] for each in found][::-1]
        spent = [median(sum(turn.values()) for turn in each["cpu_us"]) for each in found][::-1]
        colours = [COLOURS["accent" if name == "fleet" else "quiet"] for name in names]
        bars = axes.barh(names, spent, color=colours, height=0.62)
        axes.bar_label(bars, labels=[f"{each:,.0f}" for each in spent], padding=5)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.16)
        return _in_page(inline_svg(figure, "costs", "CPU of a text by contestant", {}))


def _shares(fleet: dict[str, Any]) -> str:
    """Draw where the fleet's CPU goes, part by part of a job's way."""
    with figure_of("CPU of a job, microseconds, median of the fleet's turns", "") as (figure, axes):
        spent = [median(turn[part] for turn in fleet["cpu_us"]) for part in _PARTS][::-1]
        bars = axes.barh(_PARTS[::-1], spent, color=COLOURS["accent"], height=0.62)
        axes.bar_label(bars, labels=[f"{each:,.0f}" for each in spent], padding=5)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.14)
        return _in_page(inline_svg(figure, "shares", "CPU of a job by process", {}))


def books() -> str:
    """Where the time of a fleet went that answered a file: a figure, then the tables."""
    found = json.loads((_RESULTS / "books.json").read_text("utf-8"))
    return "\n\n".join((_uses(found["pools"]), table_of("books")))


def _uses(pools: dict[str, dict[str, dict[str, float]]]) -> str:
    """Draw each pool's time as one bar, its uses one behind the other."""
    heading = "Where the time went, as a share of what was paid for"
    with figure_of(heading, "", (6.4, 2.6)) as (figure, axes):
        names = ["routers" if pool == ROUTERS else pool for pool in pools]
        lefts = [0.0] * len(names)
        for number, (use, called) in enumerate(USES.items()):
            seconds = [each[use]["seconds"] for each in pools.values()]
            wholes = [sum(use["seconds"] for use in each.values()) for each in pools.values()]
            shares = [100 * max(0.0, s) / w for s, w in zip(seconds, wholes, strict=True)]
            colour = COLOURS[f"series-{number}"]
            axes.barh(names, shares, left=lefts, color=colour, height=0.5, label=called)
            lefts = [left + share for left, share in zip(lefts, shares, strict=True)]
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.16, 1.0), ncols=5, frameon=False, fontsize=10,
            handlelength=0.9, handleheight=0.9, columnspacing=1.2, borderpad=0,
        )  # fmt: skip
        return _in_page(inline_svg(figure, "books", "Time of a fleet's workers by use", {}))


def _in_page(svg: str) -> str:
    return f'<div class="figure">\n{svg}\n</div>'
