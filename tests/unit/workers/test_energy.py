"""Meters of energy: the kernel's files, counters that begin anew, and shares of a machine."""

import os
import time
from pathlib import Path

import pytest
from tests.support.waiting import WaitUntil

from smallfirst_workers.energy import OwnShare, PowercapMeter, meter_of

MOST = 262_143_328_850


def domain(root: Path, folder: str, name: str, told: int, most: int = MOST) -> Path:
    """Lay out one domain; the kernel's subdomains stand beside it too, as links."""
    at = root / folder
    at.mkdir(parents=True)
    (at / "name").write_text(f"{name}\n")
    (at / "max_energy_range_uj").write_text(f"{most}\n")
    (at / "energy_uj").write_text(f"{told}\n")
    return at


def tell(at: Path, told: int) -> None:
    """Let a counter grow."""
    (at / "energy_uj").write_text(f"{told}\n")


def test_packages_and_memory_are_counted_once(tmp_path: Path) -> None:
    """Cores are within their package, and the whole platform holds everything: neither adds."""
    package = domain(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    core = domain(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    memory = domain(tmp_path, "intel-rapl:0:1", "dram", 2_000_000)
    platform = domain(tmp_path, "intel-rapl:1", "psys", 9_000_000)
    other = domain(tmp_path, "intel-rapl:2", "package-1", 0)
    meter = PowercapMeter.open(tmp_path)
    assert meter is not None
    assert meter.read() == 0.0
    for at, told in ((package, 8_000_000), (core, 3_000_000), (memory, 2_500_000),
                     (platform, 99_000_000), (other, 1_000_000)):  # fmt: skip
        tell(at, told)
    assert meter.read() == pytest.approx(3.0 + 0.5 + 1.0)


def test_a_counter_that_is_full_begins_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    """It wraps at its own range, however often."""
    package = domain(tmp_path, "intel-rapl:0", "package-0", 900, most=999)
    meter = PowercapMeter.open(tmp_path)
    assert meter is not None
    told = 900
    for _ in range(25):
        told = (told + 150) % 1000
        tell(package, told)
        meter.read()
    assert meter.read() == pytest.approx(25 * 150 / 1e6)


@pytest.mark.parametrize("odd", ["", "lots", "-", "12 uj"])
def test_a_reading_that_is_none_adds_nothing(tmp_path: Path, odd: str) -> None:
    """A file may be empty, or gone; what comes after is counted from what stood before."""
    package = domain(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    meter = PowercapMeter.open(tmp_path)
    assert meter is not None
    (package / "energy_uj").write_text(odd)
    assert meter.read() == 0.0
    (package / "energy_uj").unlink()
    assert meter.read() == 0.0
    tell(package, 3_000_000)
    assert meter.read() == pytest.approx(2.0)


def test_where_nothing_may_be_read_there_is_no_meter(tmp_path: Path) -> None:
    """No folder, a domain without a counter, one that is not a number: nothing is made up."""
    assert PowercapMeter.open(tmp_path / "nowhere") is None
    at = domain(tmp_path, "intel-rapl:0", "package-0", 0)
    (at / "max_energy_range_uj").write_text("unknown")
    assert PowercapMeter.open(tmp_path) is None
    (at / "energy_uj").unlink()
    assert meter_of(has_gpu=False, root=tmp_path) is None


def proc_of(folder: Path, busy_seconds: float) -> None:
    """What the kernel tells of a machine that was busy so long, and idle longer."""
    ticks = round(busy_seconds * os.sysconf("SC_CLK_TCK"))
    (folder / "stat").write_text(f"cpu  {ticks} 0 0 999999 500 0 0 0 0 0\ncpu0 1 1 1 1\n")


def test_a_process_takes_the_share_of_its_processor_time(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    """On a machine that was busy ten seconds more, of which it had what it had."""
    proc_of(tmp_path, 100.0)
    told = [0.0]
    own, before = OwnShare(lambda: told[0], tmp_path), time.process_time()
    proc_of(tmp_path, 110.0)

    def has_looked() -> bool:
        told[0] += 1.0
        return own.read() > 0.0

    wait_until(has_looked, description="a second has passed")
    used = time.process_time() - before
    assert own._share == pytest.approx(used / 10.0, rel=0.2)
    assert own.read() <= told[0]
