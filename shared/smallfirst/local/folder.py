"""The folder of one fleet on this machine: who holds it, and where others find that fleet."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from smallfirst.local.errors import FleetInUseError

#: By the first file a fleet holds its folder; in the second, other commands read its addresses.
_LOCK_FILE, _ADDRESS_FILE = "lock", "fleet.json"


@dataclass(frozen=True)
class Addresses:
    """Where the fleet is found."""

    redis_url: str
    namespace: str
    catalogue: str
    folder: str
    flower_url: str | None
    pid: int


def find_fleet(folder: Path) -> Addresses | None:
    """Look up the fleet that runs in a folder, if one does."""
    try:
        with (folder / _LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError, ValueError, TypeError):
            return Addresses(**json.loads((folder / _ADDRESS_FILE).read_text("utf-8")))
    except OSError:
        return None
    return None


@contextmanager
def only_fleet_in(folder: Path) -> Iterator[None]:
    """Hold the folder; the hold ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / _LOCK_FILE).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetInUseError(folder) from None
        yield


@contextmanager
def announced(addresses: Addresses) -> Iterator[None]:
    """Tell other commands on this machine where the fleet is."""
    path = Path(addresses.folder) / _ADDRESS_FILE
    path.write_text(json.dumps(asdict(addresses), indent=2) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
