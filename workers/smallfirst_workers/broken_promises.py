"""Broken promises: answers that are not accepted any more, since an audit says what they are worth.

A router sends such jobs to no machine. What was parked before it knew is asked, and goes on.
"""

from collections.abc import Sequence

from smallfirst.acceptance import NEVER
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.held_jobs import HeldJob


def without_broken(jobs: Sequence[HeldJob], audits: Audits) -> list[HeldJob]:
    """The same jobs, of which those escalate whose promise is broken.

    Redis is asked only where some task of theirs stops by it.
    """
    orders = [held.slip.asked.audit for held in jobs]
    stopping = {h.slip.task for h, order in zip(jobs, orders, strict=True) if order and order.stops}
    broken = audits.broken_series(stopping)
    return [
        _escalating(held) if order and broken.get(held.slip.task) == order.series else held
        for held, order in zip(jobs, orders, strict=True)
    ]


def _escalating(held: HeldJob) -> HeldJob:
    asked = held.slip.asked
    never = asked.acceptance.model_copy(update={"threshold": NEVER, "raised": None})
    request = asked.model_copy(update={"acceptance": never})
    return held._replace(slip=held.slip.model_copy(update={"request": request}))
