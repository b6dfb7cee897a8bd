"""When this process was born: the time it is paid for begins there, and not at our first line."""

import os
import time
from contextlib import suppress
from pathlib import Path

#: Behind the name of the program, which may hold any character: the moment of the start in ticks.
_START_FIELD = 19
_STAT = Path("/proc/self/stat")


def born() -> float:
    """The moment this process was born, by `time.monotonic`; now where the system does not tell."""
    now = time.monotonic()
    with suppress(OSError, ValueError, IndexError, AttributeError):
        fields = _STAT.read_text().rpartition(")")[2].split()
        started = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
        return now - max(0.0, age)
    return now
