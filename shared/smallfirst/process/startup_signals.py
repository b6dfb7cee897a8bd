"""What a process does that is told to end while it still starts, and has nothing in hand."""

import os
import signal

from smallfirst.process.exit_codes import EXIT_TOLD


def end_when_told() -> None:
    """End at the first SIGTERM, at once, until somebody who has work in hand handles it.

    That is what a signal without a handler does, but not to the first process of a container: the
    kernel drops it there, and who was told to end while it loaded its models would then take work,
    until it is killed at the end of its grace. Source: kill(2), pid_namespaces(7).
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_TOLD))
