"""Meters of energy: what a kernel or a driver counts, and what of it is this process's.

Nothing is modelled: where no meter may be read, there is none. The kernel's counters (RAPL, by the
powercap files) are of a whole machine; of what they grow by, a process takes as large a share as of
the time that all its processors were busy. A GPU's counter is taken to be of the worker it is given
to. Source: Documentation/power/powercap/powercap.rst of Linux; NVML's reference for
`nvmlDeviceGetTotalEnergyConsumption`.
"""

import ctypes
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

log = structlog.get_logger()

POWERCAP: Final = Path("/sys/class/powercap")
_PROC: Final = Path("/proc")
#: How a processor's own counters begin that add up: a package holds its cores, and not the memory.
#: `psys` holds packages and would count them twice.
_DOMAINS: Final = ("package", "dram")
#: How long the share of a process is taken to stay the same.
_SHARE_SECONDS: Final = 1.0
#: How long a GPU's counter is not asked again; it grows in steps of some twenty milliseconds.
_GPU_SECONDS: Final = 0.05
#: The driver's library.
_NVML: Final = "libnvidia-ml.so.1"

ReadJoules = Callable[[], float]


@dataclass
class Counter:
    """One domain's counter, which begins anew when it is full.

    Attributes:
        path: The file that tells microjoules.
        most: The highest it tells.
        last: What it told last.
        total: Microjoules since it was first read.
    """

    path: Path
    most: int
    last: int
    total: int = 0

    @classmethod
    def open(cls, domain: Path) -> "Counter":
        """Begin to count a domain.

        Raises:
            OSError: When its files may not be read.
            ValueError: When they hold no numbers.
        """
        most = int((domain / "max_energy_range_uj").read_text())
        return cls(domain / "energy_uj", most, int((domain / "energy_uj").read_text()))

    def read(self) -> int:
        """Microjoules since it was first read; a reading that fails adds nothing."""
        try:
            now = int(self.path.read_text())
        except (OSError, ValueError):
            return self.total
        self.total += now - self.last if now >= self.last else now + self.most + 1 - self.last
        self.last = now
        return self.total


class PowercapMeter:
    """The joules of a machine's processors and memory, by the kernel's files.

    Args:
        counters: Of its domains.
    """

    def __init__(self, counters: Sequence[Counter]) -> None:
        self._counters = counters

    @classmethod
    def open(cls, root: Path = POWERCAP) -> "PowercapMeter | None":
        """Find the domains that may be read; None where there are none.

        On most systems their files are readable for root alone.
        """
        counters = []
        for domain in sorted(root.glob("*")):
            try:
                name = (domain / "name").read_text().strip()
                if name.startswith(_DOMAINS):
                    counters.append(Counter.open(domain))
            except (OSError, ValueError) as error:
                log.debug("meter.unread", domain=domain.name, error=type(error).__name__)
        return cls(counters) if counters else None

    def read(self) -> float:
        """Joules since it was opened."""
        return sum(counter.read() for counter in self._counters) / 1e6


class OwnShare:
    """What of a machine's joules this process takes: as its share of all busy processor time.

    Args:
        read: The machine's joules.
        proc: Where the kernel tells of processes.
    """

    def __init__(self, read: ReadJoules, proc: Path = _PROC) -> None:
        self._read = read
        self._proc = proc
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._machine, self._own = self._machine_seconds(), self._own_seconds()
        self._since = time.monotonic()
        self._share = self._total = 0.0
        self._last = read()

    def read(self) -> float:
        """Joules of this process since it was made."""
        now, told = time.monotonic(), self._read()
        if now - self._since >= _SHARE_SECONDS:
            self._look(now)
        self._total += max(0.0, told - self._last) * self._share
        self._last = told
        return self._total

    def _look(self, now: float) -> None:
        """Find out the share of the last second or more."""
        machine, own = self._machine_seconds(), self._own_seconds()
        busy, ours = machine - self._machine, own - self._own
        self._share = min(1.0, max(0.0, ours / busy)) if busy > 0 else 0.0
        self._machine, self._own, self._since = machine, own, now

    def _machine_seconds(self) -> float:
        """Seconds that all processors were busy: in programs, in the kernel, in interrupts."""
        fields = (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:]
        user, nice, system, _idle, _waiting, *interrupts = map(int, fields[:7])
        return (user + nice + system + sum(interrupts)) / self._ticks

    def _own_seconds(self) -> float:
        """Those of this process and of the processes that its engines started."""
        children = (child.pid for child in multiprocessing.active_children())
        return time.process_time() + sum(self._seconds_of(pid) for pid in children if pid)

    def _seconds_of(self, pid: int) -> float:
        try:
            fields = (self._proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / self._ticks
        except (OSError, ValueError, IndexError):
            return 0.0


class GpuMeter:
    """The joules of the GPUs that this worker sees, by their driver.

    Args:
        nvml: The driver's library, initialised.
        handles: Of the GPUs.
    """

    def __init__(self, nvml: Any, handles: Sequence[ctypes.c_void_p]) -> None:
        self._nvml = nvml
        self._handles = handles
        self._asked = self._told = 0.0

    @classmethod
    def open(cls) -> "GpuMeter | None":
        """Find the GPUs whose energy may be read; None where there are none."""
        try:
            nvml = ctypes.CDLL(_NVML)
        except OSError:
            return None
        if nvml.nvmlInit_v2() != 0:
            return None
        handles = [handle for handle in _handles(nvml) if _millijoules(nvml, handle) is not None]
        return cls(nvml, handles) if handles else None

    def read(self) -> float:
        """Joules since the driver was loaded."""
        now = time.monotonic()
        if now - self._asked >= _GPU_SECONDS:
            told = [_millijoules(self._nvml, handle) for handle in self._handles]
            if None not in told:
                self._told = sum(each for each in told if each is not None) / 1000
            self._asked = now
        return self._told


def _handles(nvml: Any) -> Iterable[ctypes.c_void_p]:
    """The GPUs that CUDA is shown; without a word of that, all."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    number = ctypes.c_uint()
    if shown is None and nvml.nvmlDeviceGetCount_v2(ctypes.byref(number)) == 0:
        shown = ",".join(map(str, range(number.value)))
    for name in (shown or "").split(","):
        handle, at = ctypes.c_void_p(), ctypes.byref
        if name.strip().isdecimal():
            status = nvml.nvmlDeviceGetHandleByIndex_v2(int(name), at(handle))
        else:
            status = nvml.nvmlDeviceGetHandleByUUID(name.strip().encode(), at(handle))
        if status == 0:
            yield handle


def _millijoules(nvml: Any, handle: ctypes.c_void_p) -> int | None:
    told = ctypes.c_ulonglong()
    status = nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(told))
    return told.value if status == 0 else None


def meter_of(*, has_gpu: bool, root: Path = POWERCAP) -> ReadJoules | None:
    """Put together what measures the energy of this process; None where nothing does.

    Args:
        has_gpu: Whether its models run on the GPUs that it sees.
        root: Where the kernel tells of the machine's energy.
    """
    reads: list[ReadJoules] = []
    if (machine := PowercapMeter.open(root)) is not None:
        reads.append(OwnShare(machine.read).read)
    if has_gpu and (gpus := GpuMeter.open()) is not None:
        reads.append(gpus.read)
    return (lambda: sum(read() for read in reads)) if reads else None
