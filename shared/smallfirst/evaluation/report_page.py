"""The report page: one HTML file with all in it, without a script.

Pages get mailed around: a row's text stands in one only where that was asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smallfirst.answers import Reasons
from smallfirst.catalogue import Promise
from smallfirst.evaluation.amounts import percent, price
from smallfirst.evaluation.asking_why import NO_REASONS, AnswerPlace
from smallfirst.evaluation.conclusions import headline, marks_of, sentences
from smallfirst.evaluation.evaluating import Evaluation, StepShare
from smallfirst.evaluation.figures import Confusion
from smallfirst.evaluation.intervals import Interval
from smallfirst.evaluation.plots import cost_quality_svg, reliability_svg, risk_coverage_svg
from smallfirst.evaluation.wrong_rows import wrong_rows
from smallfirst.jobs import Tier

#: More labels than this make a table that nobody reads.
MAX_LABELS_IN_TABLE = 20
#: Mistakes that are listed where there is no table.
NUM_TOP_CONFUSIONS = 20
#: The darkest shade of a cell, in per cent: the figure in it must be read.
_DARKEST = 55
#: The space in `95 %`, at which no line may break.
_PER_CENT = re.compile(r"(?<=\d) %")


@dataclass(frozen=True)
class Plot:
    """A figure and what is said of it."""

    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Cell:
    """One count of the confusion table; `shade` is in per cent, `colour` a role of the page."""

    count: int
    shade: int
    words: str
    colour: str


def report_page(
    found: Evaluation,
    measured: Sequence[tuple[str, str]],
    promise: Promise | None = None,
    texts: Sequence[str] | None = None,
    reasons: Mapping[AnswerPlace, Reasons] = NO_REASONS,
) -> str:
    """Write an evaluation as one HTML page.

    Args:
        found: What it came to.
        measured: How it was measured: names and values, as they are shown.
        promise: The one in force, if any.
        texts: Of the rows, where those that are wrong are to be shown with theirs.
        reasons: Why steps said what is wrong, for the words that drove it.
    """
    verdict, *more = sentences(found, promise)
    confusion = found.confusion
    is_small = confusion is not None and len(confusion.labels) <= MAX_LABELS_IN_TABLE
    page = (
        page_environment(found.currency)
        .get_template("report_page.html.j2")
        .render(
            found=found,
            verdict=verdict,
            more=more,
            headline=headline(found),
            lines=[found.cascade, *found.alternatives],
            marks=lambda each: marks_of(each, found),
            plots=list(_plots(found, promise)),
            confusion_table=_table(confusion) if confusion and is_small else None,
            top_confusions=_top(confusion) if confusion and not is_small else [],
            wrong_rows=wrong_rows(found, texts, reasons),
            num_wrong=sum(end.is_wrong for end in found.ends),
            measured=measured,
        )
    )
    return unbroken(page)


def unbroken(page: str) -> str:
    """Let no line break between a number and its `%`."""
    return _PER_CENT.sub("\N{NO-BREAK SPACE}%", page)


def page_environment(currency: str, *rooms: str) -> Environment:
    """What fills in pages: templates of this room, and of others; one style for all."""
    loader = ChoiceLoader(
        [PackageLoader(room, package_path="") for room in (*rooms, "smallfirst.evaluation")]
    )
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "share": percent,
        "span": _span,
        "seconds": seconds,
        "price": lambda value: price(value, currency),
        "amount": lambda value: price(value, "").strip(),
        "bar": _bar,
    }
    return environment


def _plots(found: Evaluation, promise: Promise | None) -> Iterator[Plot]:
    yield Plot(
        "Risk against coverage",
        "How many answers are wrong as more and more of them stand, the surest first.",
        # What matplotlib wrote is XML already; names in it were escaped there.
        Markup(risk_coverage_svg(found, promise.target if promise else None)),  # noqa: S704
    )
    yield Plot(
        "Cost against quality",
        "Up and to the left is better. What lies on the grey line can be had by lot. What answers"
        " less than half as much as the cascade is left out.",
        Markup(cost_quality_svg(found)),  # noqa: S704 - the same
    )
    for each in found.reliabilities:
        yield Plot(
            f"Does {each.name} know how sure it is?",
            "On the diagonal, confidence means what it says. Expected calibration error (ECE) over"
            " 10 bins of equal width.",
            Markup(reliability_svg(each)),  # noqa: S704 - the same
        )


def _table(confusion: Confusion) -> dict[str, Any]:
    lines = [
        {"label": label, "cells": list(_cells(confusion, number))}
        for number, label in enumerate(confusion.labels)
    ]
    return {"labels": confusion.labels, "lines": lines}


def _cells(confusion: Confusion, line: int) -> Iterator[Cell]:
    counts = [*confusion.counts[line], confusion.abstained[line]]
    total = max(1, sum(counts))
    for column, count in enumerate(counts):
        said = confusion.labels[column] if column < len(confusion.labels) else "abstained"
        words = f"{confusion.labels[line]}: {count} of {total} {said} ({percent(count / total)})"
        wrong = "bad" if column < len(confusion.labels) else "quiet"
        shade = 6 + round((_DARKEST - 6) * count / total)
        yield Cell(count, shade, words, "accent" if column == line else wrong)


def _top(confusion: Confusion) -> list[tuple[str, str, int]]:
    """The commonest mistakes."""
    mistakes = [
        (right, said, confusion.counts[line][column])
        for line, right in enumerate(confusion.labels)
        for column, said in enumerate(confusion.labels)
        if line != column and confusion.counts[line][column]
    ]
    return sorted(mistakes, key=lambda mistake: -mistake[2])[:NUM_TOP_CONFUSIONS]


def seconds(value: float) -> str:
    """Write seconds with the digits that mean something."""
    return f"{value * 1000:,.3g} ms" if value < 1 else f"{value:,.3g} s"


def _span(interval: Interval | None) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}" if interval else ""


def _bar(step: StepShare) -> str:
    """What an answer must reach, in words."""
    acceptance = step.acceptance
    if step.is_void:
        return "void: another revision"
    if acceptance.is_never:
        return "never asked"
    if step.about.tier is Tier.RULE:
        return "a match"
    if acceptance.by_label is not None:
        return "by label"
    return f"{acceptance.threshold:.3g}" if acceptance.threshold else "anything"
