"""The folder of one fleet on this machine: who holds it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smallfirst.local.errors import FleetInUseError
from smallfirst.process.announcement import LOCK_FILE


@contextmanager
def only_fleet_in(folder: Path) -> Iterator[None]:
    """Hold the folder; the hold ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / LOCK_FILE).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetInUseError(folder) from None
        yield
