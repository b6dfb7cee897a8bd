"""Kinds of task: what an answer of each looks like, and everything that follows from that.

Each kind is one module, listed once in `registry`: its right answers and how they are compared, the
words in which a large model is asked, and how what it wrote is read. No model is run here.
"""

from smallfirst.kinds.registry import (
    EXAMPLE_KEYS,
    KINDS,
    Example,
    Kind,
    TaskKeys,
    in_words,
    named,
    prompting_of,
)
from smallfirst.kinds.spec import Gold, GoldError, HeadForm, KindSpec, Prompting, Scoring

__all__ = [
    "EXAMPLE_KEYS",
    "KINDS",
    "Example",
    "Gold",
    "GoldError",
    "HeadForm",
    "Kind",
    "KindSpec",
    "Prompting",
    "Scoring",
    "TaskKeys",
    "in_words",
    "named",
    "prompting_of",
]
