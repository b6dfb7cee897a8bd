"""The report as one HTML page: in the style of every other report, without a script."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smallfirst.accounting.figures import Figures, PoolFigures
from smallfirst.accounting.words import (
    USES,
    balance_words,
    energy_words,
    escalation_words,
    how_to_measure,
    pool_name,
    saving_words,
    share_of,
)
from smallfirst.evaluation.report_page import page_environment, unbroken

#: What a pool's bar shows, from what earns something to what does not.
_ORDER: Final = tuple(USES)


@dataclass(frozen=True)
class Part:
    """A part of a pool's bar; `series` is the number of its colour."""

    name: str
    share: float
    seconds: float
    cost: float
    series: int


def report_page(found: Figures, watts: float | None = None) -> str:
    """Write a report as one HTML page.

    Args:
        found: What the books come to.
        watts: Of a worker, where an estimate of energy is wanted.
    """
    page = (
        page_environment(found.currency, "smallfirst.accounting")
        .get_template("page.html.j2")
        .render(
            found=found,
            saving_words=lambda saving: saving_words(saving, found.currency),
            escalation_words=lambda step: escalation_words(step, found.currency),
            how_to_measure=how_to_measure,
            parts=lambda pool: list(_parts(pool)),
            pool_name=pool_name,
            uses=list(enumerate(USES.values())),
            balance=balance_words(found),
            energy=energy_words(found, watts),
            has_energy=bool(found.spent.metered_seconds),
        )
    )
    return unbroken(page)


def _parts(pool: PoolFigures) -> Iterator[Part]:
    uses = {"asked": pool.asked, **pool.uses}
    for series, name in enumerate(_ORDER):
        use = uses[name]
        yield Part(
            USES[name], max(0.0, share_of(use, pool.whole) or 0.0), use.seconds, use.cost, series
        )
