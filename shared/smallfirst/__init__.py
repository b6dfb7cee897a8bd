"""Smallfirst, for producers: the contract and the client.

Each name is imported when it is first asked for (PEP 562): whoever needs one module of the package,
such as the health probe, does not wait for pydantic and redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallfirst.client import AsyncClient, Client
    from smallfirst.client.transports import JobLocation, State
    from smallfirst.errors import (
        BacklogFull,
        ClientClosed,
        ClientError,
        ClientMoved,
        FleetRefused,
        FleetUnreachable,
        ResultTimeout,
        ResultUnreadable,
        SmallfirstError,
    )
    from smallfirst.jobs import (
        Answer,
        Attempt,
        Evidence,
        Job,
        LabelAnswer,
        LabelsAnswer,
        Outcome,
        Priority,
        Problem,
        RecordAnswer,
        Result,
        Span,
        SpansAnswer,
        Status,
        TextAnswer,
        Tier,
        VectorAnswer,
    )

__all__ = [
    "Answer",
    "AsyncClient",
    "Attempt",
    "BacklogFull",
    "Client",
    "ClientClosed",
    "ClientError",
    "ClientMoved",
    "Evidence",
    "FleetRefused",
    "FleetUnreachable",
    "Job",
    "JobLocation",
    "LabelAnswer",
    "LabelsAnswer",
    "Outcome",
    "Priority",
    "Problem",
    "RecordAnswer",
    "Result",
    "ResultTimeout",
    "ResultUnreadable",
    "SmallfirstError",
    "Span",
    "SpansAnswer",
    "State",
    "Status",
    "TextAnswer",
    "Tier",
    "VectorAnswer",
]

#: Which module each name comes from, as above; a test holds the two together.
_NAMES = {
    "smallfirst.client": (
        "AsyncClient",
        "Client",
    ),
    "smallfirst.client.transports": (
        "State",
        "JobLocation",
    ),
    "smallfirst.errors": (
        "BacklogFull",
        "ClientClosed",
        "ClientError",
        "ClientMoved",
        "FleetRefused",
        "FleetUnreachable",
        "ResultTimeout",
        "ResultUnreadable",
        "SmallfirstError",
    ),
    "smallfirst.jobs": (
        "Answer",
        "Attempt",
        "Evidence",
        "Job",
        "LabelAnswer",
        "LabelsAnswer",
        "Outcome",
        "Priority",
        "Problem",
        "RecordAnswer",
        "Result",
        "Span",
        "SpansAnswer",
        "Status",
        "TextAnswer",
        "Tier",
        "VectorAnswer",
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

# A type checker that saw it would take every misspelt name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what is asked for, once."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
