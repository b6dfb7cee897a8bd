"""How many processor cores this process may really use; a container's limit counts."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

#: Where version 2 of Linux's control groups says "MICROSECONDS PERIOD", or "max PERIOD".
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Count the cores: those this process may run on, or fewer where a container is limited."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = _CPU_MAX.read_text().split()
        cores = min(cores, ceil(int(quota) / int(period)))
    return max(1, cores)
