"""The process that trains: a child of this one, which does not outlive it."""

import os
import signal
import sys

from smallfirst.local import die_with_parent

_MODULE = "smallfirst_workers.training"


def training_command() -> list[str]:
    """What to start: it takes a plan as JSON on stdin, and prints what came of it."""
    kill = str(int(signal.SIGKILL))
    tied = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), kill]
    return [*tied, sys.executable, "-m", _MODULE]
