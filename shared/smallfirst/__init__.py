"""Smallfirst, for producers: the contract and the client.

Each name is imported when it is first asked for (PEP 562): whoever needs one module of the package,
such as the health probe, does not wait for pydantic and redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

#: The names of the contract, by the module that each comes from.
_NAMES = {
    "smallfirst.answers": (
        "Answer",
        "AnyAnswer",
        "Evidence",
        "Explanation",
        "LabelAnswer",
        "LabelsAnswer",
        "RecordAnswer",
        "Span",
        "SpansAnswer",
        "TextAnswer",
        "UnknownAnswer",
        "VectorAnswer",
    ),
    "smallfirst.client": ("AsyncClient", "Client"),
    "smallfirst.client.transports": ("JobLocation", "State"),
    "smallfirst.errors": (
        "BacklogFull",
        "ClientClosed",
        "ClientError",
        "ClientMoved",
        "FleetRefused",
        "FleetUnreachable",
        "IdConflict",
        "InvalidJob",
        "ResultTimeout",
        "ResultUnreadable",
        "ResultWithheld",
        "SmallfirstError",
    ),
    "smallfirst.jobs": (
        "Attempt",
        "Job",
        "Outcome",
        "Priority",
        "Problem",
        "Result",
        "Status",
        "Tier",
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = list(_HOMES)

if TYPE_CHECKING:
    # The same names for type checkers and editors, which run nothing; a test compares the two.
    from smallfirst.answers import Answer as Answer
    from smallfirst.answers import AnyAnswer as AnyAnswer
    from smallfirst.answers import Evidence as Evidence
    from smallfirst.answers import Explanation as Explanation
    from smallfirst.answers import LabelAnswer as LabelAnswer
    from smallfirst.answers import LabelsAnswer as LabelsAnswer
    from smallfirst.answers import RecordAnswer as RecordAnswer
    from smallfirst.answers import Span as Span
    from smallfirst.answers import SpansAnswer as SpansAnswer
    from smallfirst.answers import TextAnswer as TextAnswer
    from smallfirst.answers import UnknownAnswer as UnknownAnswer
    from smallfirst.answers import VectorAnswer as VectorAnswer
    from smallfirst.client import AsyncClient as AsyncClient
    from smallfirst.client import Client as Client
    from smallfirst.client.transports import JobLocation as JobLocation
    from smallfirst.client.transports import State as State
    from smallfirst.errors import BacklogFull as BacklogFull
    from smallfirst.errors import ClientClosed as ClientClosed
    from smallfirst.errors import ClientError as ClientError
    from smallfirst.errors import ClientMoved as ClientMoved
    from smallfirst.errors import FleetRefused as FleetRefused
    from smallfirst.errors import FleetUnreachable as FleetUnreachable
    from smallfirst.errors import IdConflict as IdConflict
    from smallfirst.errors import InvalidJob as InvalidJob
    from smallfirst.errors import ResultTimeout as ResultTimeout
    from smallfirst.errors import ResultUnreadable as ResultUnreadable
    from smallfirst.errors import ResultWithheld as ResultWithheld
    from smallfirst.errors import SmallfirstError as SmallfirstError
    from smallfirst.jobs import Attempt as Attempt
    from smallfirst.jobs import Job as Job
    from smallfirst.jobs import Outcome as Outcome
    from smallfirst.jobs import Priority as Priority
    from smallfirst.jobs import Problem as Problem
    from smallfirst.jobs import Result as Result
    from smallfirst.jobs import Status as Status
    from smallfirst.jobs import Tier as Tier
else:
    # A type checker that saw it would take every misspelt name for one of ours.
    def __getattr__(name: str) -> object:
        """Import what is asked for, once."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
