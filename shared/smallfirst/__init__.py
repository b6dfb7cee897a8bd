"""Smallfirst, for producers: the contract and the client.

Each name is imported when it is first asked for (PEP 562): whoever needs one module of the package,
such as the health probe, does not wait for pydantic and redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

#: The names of the contract, by the module that each comes from.
_NAMES = {
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
        "Answer",
        "AnyAnswer",
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
        "UnknownAnswer",
        "VectorAnswer",
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = list(_HOMES)

if TYPE_CHECKING:
    # The same names for type checkers and editors, which run nothing; a test compares the two.
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
    from smallfirst.jobs import Answer as Answer
    from smallfirst.jobs import AnyAnswer as AnyAnswer
    from smallfirst.jobs import Attempt as Attempt
    from smallfirst.jobs import Evidence as Evidence
    from smallfirst.jobs import Job as Job
    from smallfirst.jobs import LabelAnswer as LabelAnswer
    from smallfirst.jobs import LabelsAnswer as LabelsAnswer
    from smallfirst.jobs import Outcome as Outcome
    from smallfirst.jobs import Priority as Priority
    from smallfirst.jobs import Problem as Problem
    from smallfirst.jobs import RecordAnswer as RecordAnswer
    from smallfirst.jobs import Result as Result
    from smallfirst.jobs import Span as Span
    from smallfirst.jobs import SpansAnswer as SpansAnswer
    from smallfirst.jobs import Status as Status
    from smallfirst.jobs import TextAnswer as TextAnswer
    from smallfirst.jobs import Tier as Tier
    from smallfirst.jobs import UnknownAnswer as UnknownAnswer
    from smallfirst.jobs import VectorAnswer as VectorAnswer
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
