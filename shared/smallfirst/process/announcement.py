"""Where a fleet that runs on this machine tells other programs of the same user where it is.

It owns the file that is read, and how a program knows that the fleet behind it still runs. Who may
hold the folder is `local.folder`'s.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

#: By the first file a fleet holds its folder; in the second, other programs read its addresses.
LOCK_FILE, ADDRESS_FILE = "lock", "fleet.json"


@dataclass(frozen=True)
class Addresses:
    """Where the fleet is found."""

    redis_url: str
    namespace: str
    catalogue: str
    folder: str
    flower_url: str | None
    pid: int
    desk_url: str | None = None


def default_folder() -> Path:
    """Where `smallfirst up` keeps its data, where nothing else is said.

    Raises:
        RuntimeError: When this user has no home.

    Source: XDG Base Directory Specification, $XDG_STATE_HOME.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "smallfirst"


def find_fleet(folder: Path | None = None) -> Addresses | None:
    """Look up the fleet that runs in a folder, if one does; in the default one where left out."""
    with suppress(OSError, RuntimeError):
        folder = folder or default_folder()
        if _is_held(folder / LOCK_FILE):
            with suppress(ValueError, TypeError):
                return Addresses(**json.loads((folder / ADDRESS_FILE).read_text("utf-8")))
    return None


@contextmanager
def announced(addresses: Addresses) -> Iterator[None]:
    """Tell other programs on this machine where the fleet is."""
    path = Path(addresses.folder) / ADDRESS_FILE
    path.write_text(json.dumps(asdict(addresses), indent=2) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _is_held(lock: Path) -> bool:
    """Whether a fleet that lives has the folder: its hold ends with it, however that ends."""
    try:
        import fcntl  # noqa: PLC0415 - a producer's system may have none, and then runs no fleet
    except ImportError:
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
