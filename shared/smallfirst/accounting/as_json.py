"""A report for programs: the figures, and what is said of them. Pure."""

from typing import Any, Final

from smallfirst.accounting.figures import Figures, PoolFigures, Saving, StepFigures, TaskFigures
from smallfirst.accounting.words import (
    balance_words,
    energy_words,
    how_to_measure,
    machine_seconds,
    saving_words,
)
from smallfirst.ledger.books import Spent, Use

_DIGITS: Final = 9


def as_json(found: Figures, watts: float | None = None) -> dict[str, Any]:
    """Lay a report out as JSON; shares are from 0 to 1, costs in the catalogue's currency."""
    laid: dict[str, Any] = _rounded(
        {
            "first_day": found.first,
            "last_day": found.last,
            "currency": found.currency,
            "tasks": {each.task: _task(each, found.currency) for each in found.tasks},
            "pools": {each.pool: _pool(each) for each in found.pools},
            "cost_of_jobs": found.spent.cost,
            "cost_of_no_job": found.not_charged.cost,
            "balance": {
                "charged_seconds": machine_seconds(found),
                "asked_seconds": found.asked.seconds,
                "in_words": balance_words(found),
            },
            "energy": {
                "joules": found.spent.joules if found.spent.metered_seconds else None,
                "joules_of_no_job": _joules(found.not_charged),
                "estimated_joules": None if watts is None else machine_seconds(found) * watts,
                "in_words": energy_words(found, watts),
            },
        }
    )
    return laid


def _task(each: TaskFigures, currency: str) -> dict[str, Any]:
    return {
        "jobs": each.num_jobs,
        "answers": each.num_answers,
        "coverage": each.coverage,
        "cost_per_thousand": each.cost_per_thousand,
        **_spent(each.spent),
        "saving": {
            "all_llm": _saving(each.llm, currency),
            "cheapest_equal_step": _saving(each.single, currency),
            "to_measure": list(how_to_measure(each)),
        },
        "steps": [_step(step) for step in each.steps],
    }


def _step(step: StepFigures) -> dict[str, Any]:
    spent = step.spent
    return {
        "step": step.step,
        "tier": step.tier,
        "name": step.name,
        "tried": step.num_tried,
        "accepted": step.num_accepted,
        "in_vain": step.num_in_vain,
        "coverage": step.coverage,
        "cost_per_thousand": step.cost_per_thousand,
        **_spent(spent),
        "escalation": {
            "compared": spent.num_compared,
            "changed": spent.num_changed,
            "judged": spent.num_judged,
            "better": spent.num_better,
            "worse": spent.num_worse,
            "cost_per_change": step.cost_per_change,
        },
    }


def _spent(spent: Spent) -> dict[str, Any]:
    return {
        "seconds": spent.seconds,
        "cost": spent.cost,
        "tokens": spent.num_tokens,
        "tokens_written": spent.num_written,
        "joules": spent.joules if spent.metered_seconds else None,
    }


def _saving(saving: Saving, currency: str) -> dict[str, Any]:
    return {
        "rival": saving.rival.name or None,
        "by_rival": saving.by_rival,
        "spent": saving.spent,
        "saved": saving.saved,
        "share": saving.share,
        "in_words": saving_words(saving, currency),
    }


def _pool(each: PoolFigures) -> dict[str, Any]:
    uses = {"asked": each.asked, **each.uses}
    return {name: _use(use) for name, use in uses.items()}


def _use(use: Use) -> dict[str, Any]:
    """One use of time."""
    return {"seconds": use.seconds, "cost": use.cost, "joules": _joules(use)}


def _joules(use: Use) -> float | None:
    return use.joules if use.metered_seconds else None


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, _DIGITS)
        case dict():
            return {key: _rounded(member) for key, member in value.items()}
        case list():
            return [_rounded(member) for member in value]
    return value
