"""Kinds of task: what an answer of each looks like, and everything that follows from that.

Each kind is one module, listed once in `registry`. How a large model is asked a task of a kind is
the workers' half of it: the module of the same name in `smallfirst_workers.prompting.kinds`.
"""

from smallfirst.kinds.registry import EXAMPLE_KEYS, KINDS, Example, Kind, TaskKeys, in_words, named
from smallfirst.kinds.spec import Gold, GoldError, HeadForm, KindSpec, Scoring

__all__ = [
    "EXAMPLE_KEYS",
    "KINDS",
    "Example",
    "Gold",
    "GoldError",
    "HeadForm",
    "Kind",
    "KindSpec",
    "Scoring",
    "TaskKeys",
    "in_words",
    "named",
]
