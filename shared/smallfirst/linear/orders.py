"""Having a linear model trained by another process, without waiting for it."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

from pydantic import BaseModel

from smallfirst.catalogue import Task
from smallfirst.jobs import Name

#: Most characters of what a process that failed said.
_MAX_SAID = 500


class TrainingOrder(BaseModel):
    """What the process that trains is told."""

    name: Name
    task: Task


class Training:
    """A model that is being trained by a process of its own."""

    def __init__(self, name: str, task: Task, cache: Path) -> None:
        self._said = TemporaryFile()  # noqa: SIM115 - it is read when the process has ended
        order = TrainingOrder(name=name, task=task)
        with TemporaryFile() as told:
            told.write(order.model_dump_json(exclude_unset=True).encode())
            told.seek(0)
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "smallfirst.linear", str(cache)],
                stdin=told,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )

    def has_ended(self, *, within: float = 0.0) -> bool:
        """Whether it has ended, well or not, waiting so many seconds for it."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def failure(self) -> str | None:
        """What it said last, where it has ended without a model; else None."""
        if self._process.poll() in {None, 0}:
            return None
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return (lines or [f"exit status {self._process.returncode}"])[-1][-_MAX_SAID:]

    def end(self) -> None:
        """End it, whatever it has come to."""
        self._process.kill()
        self._process.wait()
        self._said.close()
