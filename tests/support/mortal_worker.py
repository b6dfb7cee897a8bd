"""A real worker whose small models end its process on one text: a job that kills.

SMALLFIRST_POOL=cpu-small python -m tests.support.mortal_worker
"""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from smallfirst_workers import models
from smallfirst_workers.__main__ import main as main_of_worker
from smallfirst_workers.engines import EngineRequest, EngineResult, LoadedEngine

#: What a text must hold to kill.
POISON = "(this text kills)"


class Mortal:
    """An engine that answers every text but one."""

    def __init__(self, engine: LoadedEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        """Be the engine in everything else."""
        return getattr(self._engine, name)

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer, or end as native code ends that went wrong."""
        if any(POISON in one.text for one in asked):
            os.abort()
        yield from self._engine.answer(asked)


def main() -> int:
    """Run a worker until SIGTERM or SIGINT."""
    load = models.load_engine
    models.load_engine = lambda *args: Mortal(load(*args))
    return main_of_worker()


if __name__ == "__main__":
    sys.exit(main())
