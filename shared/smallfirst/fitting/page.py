"""The page of a fitting: one HTML file with all in it, no script and no row's text."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from smallfirst.evaluation.amounts import percent
from smallfirst.evaluation.plots import costs_svg
from smallfirst.evaluation.report_page import Plot, page_environment, unbroken
from smallfirst.fitting.conclusions import headline, sentences
from smallfirst.fitting.fitting import Found
from smallfirst.fitting.plots import frontier_of, frontier_svg, name_of


def fit_page(found: Found, next_commands: Sequence[str]) -> str:
    """Write what a fitting came to as one HTML page.

    Args:
        found: What it came to.
        next_commands: What to type next.
    """
    template = page_environment(found.currency, "smallfirst.fitting").get_template(
        "fit_page.html.j2"
    )
    page = template.render(
        found=found,
        headline=headline(found),
        sentences=sentences(found),
        plots=list(_plots(found)),
        frontier=[
            {"name": name_of(each, found.names), "choice": each}
            for each in frontier_of(found.selection.tried)
        ],
        next_commands=next_commands,
    )
    return unbroken(page)


def _plots(found: Found) -> Iterator[Plot]:
    target = found.selection.choice.target
    aimed = f"with {percent(target, 0)} of its answers wrong, " if target is not None else ""
    yield Plot(
        "Every cascade that was tried",
        f"How much each answers {aimed}by cross-validation on {found.selection.num_judges:,}"
        " learning rows. Up and to the left is better; nothing lies above the line. Orange: one"
        " step alone. Bold: the one that was chosen.",
        # What matplotlib wrote is XML already; names in it were escaped there.
        Markup(frontier_svg(found)),  # noqa: S704
    )
    shown = [each.alone for each in found.standings if each.candidate.models]
    yield Plot(
        "Each step alone, answering everything",
        "On rows that nothing was learned from and nothing chosen on, with 95 % intervals; those"
        " with a star below, on a sample of the rows that chose.",
        Markup(costs_svg(shown, found.currency)),  # noqa: S704 - the same
    )
