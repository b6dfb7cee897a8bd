"""The card of a fitting: all that was found, for programs. Pure."""

from typing import Any

from smallfirst.fitting.conclusions import headline, sentences
from smallfirst.fitting.fitting import Found, Standing


def card_of(found: Found) -> dict[str, Any]:
    """Lay out what a fitting came to as JSON has it."""
    promise = found.promise
    return {
        "task": found.task,
        "target": found.aim.target,
        "confidence": found.aim.confidence,
        "is_target_kept": found.is_kept,
        "said": [headline(found), *sentences(found)],
        "rows": {
            "learning": len(found.dealt.learning),
            "promising": len(found.dealt.promising),
            "choosing": found.selection.num_judges,
        },
        "cascade": [each.name for each in found.chosen],
        "promise": promise.model_dump(mode="json", exclude_none=True) if promise else None,
        "alone": [_standing(each) for each in found.standings],
        "tried": [
            {
                "cascade": [found.names[at] for at in each.places],
                "target": each.target,
                "share": round(each.share_answered, 6),
                "cost_per_million": each.cost * 1e6,
            }
            for each in found.selection.tried
        ],
    }


def _standing(each: Standing) -> dict[str, Any]:
    alone = each.alone
    return {
        "name": each.candidate.name,
        "tier": each.candidate.tier,
        "rows": alone.num_rows,
        "is_on_promising_rows": each.is_on_promising,
        "accuracy": alone.accuracy,
        "interval": [alone.accuracy_interval.low, alone.accuracy_interval.high],
        "share_at_target": each.share_at_target,
        "cost_per_million": alone.cost_per_million,
        "worker_seconds": alone.seconds,
    }
