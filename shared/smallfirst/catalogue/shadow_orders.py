"""Orders of shadows: what routers are told of a candidate, and under which hash it is counted."""

import hashlib
import json

from smallfirst.audit.drawing import EVEN
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.audit_orders import audit_series
from smallfirst.shadow.copies import ShadowOrder


def shadow_order(catalogue: Catalogue, task: str) -> ShadowOrder | None:
    """How a candidate runs in shadow of a task; None where none does."""
    name = catalogue.candidate_of(task)
    shadow = catalogue.tasks[name].shadow if name is not None else None
    if name is None or shadow is None:
        return None
    audit = catalogue.tasks[task].audit
    return ShadowOrder(
        candidate=name,
        share=shadow.share,
        series=shadow_series(catalogue, task, name),
        judged_share=min(shadow.share, audit.share * EVEN) if audit else 0.0,
        keep_seconds=round(audit.keep.total_seconds()) if audit else 1,
    )


def shadow_series(catalogue: Catalogue, task: str, candidate: str) -> str:
    """Hash both cascades: what was counted of other ones says nothing of these."""
    said = [audit_series(catalogue.tasks[name], catalogue.models) for name in (task, candidate)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
