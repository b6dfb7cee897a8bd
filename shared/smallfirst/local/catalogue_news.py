"""What becomes of the catalogue's file while a fleet on this machine runs.

Routers and workers follow the file by themselves, and log what they make of it. Here it is looked
at with the same checks, to tell whoever started the fleet, and to leave word for other commands.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

from smallfirst.catalogue.checking import CheckedCatalogue, check_catalogue
from smallfirst.catalogue.file_stamps import stamp_of
from smallfirst.catalogue.whole_files import write_whole

#: Beside the fleet's addresses.
_STATE_FILE = "catalogue.json"
#: How often a file that was rejected is looked at again: a model's folder may have come since.
_AGAIN = timedelta(seconds=3)


@dataclass(frozen=True)
class CatalogueState:
    """Which version of the catalogue a fleet goes by, and what is wrong with a newer one.

    Attributes:
        revision: Of the one in force: the hash of its files.
        rejected: What is wrong with the file as it stands; empty where it is in force.
    """

    revision: str
    rejected: tuple[str, ...] = ()


def read_catalogue_state(folder: Path) -> CatalogueState | None:
    """Read what the fleet in a folder left word of; None where there is no such word."""
    with suppress(OSError, ValueError, TypeError, LookupError):
        found = json.loads((folder / _STATE_FILE).read_text("utf-8"))
        return CatalogueState(str(found["revision"]), tuple(map(str, found["rejected"])))
    return None


class CatalogueNews:
    """Looks at the catalogue of a fleet that runs, as often as asked. For one thread.

    Args:
        path: Of the catalogue.
        tell: Told of each version that is taken up, and of each that is rejected, once.
    """

    def __init__(self, path: Path, tell: Callable[[CatalogueState], object]) -> None:
        self._path = path
        self._tell = tell
        self._checked = check_catalogue(path)
        self._looked_at = monotonic()
        self.state = _state_of(self._checked, before="")

    def look(self) -> bool:
        """Look whether a file changed, and tell what that means; say whether anything did."""
        stamps = self._checked.files.stamps
        is_changed = any(stamp_of(path) != stamp for path, stamp in stamps.items())
        is_due = monotonic() - self._looked_at > _AGAIN.total_seconds()
        if not is_changed and not (self.state.rejected and is_due):
            return False
        self._checked, self._looked_at = check_catalogue(self._path), monotonic()
        state = _state_of(self._checked, before=self.state.revision)
        if state == self.state:
            return False
        self.state = state
        self._tell(state)
        return True


def _state_of(checked: CheckedCatalogue, *, before: str) -> CatalogueState:
    if checked.fatal:
        return CatalogueState(before, tuple(map(str, checked.fatal)))
    return CatalogueState(checked.files.revision)


@contextmanager
def left_word(folder: Path, state: CatalogueState) -> Iterator[Callable[[CatalogueState], None]]:
    """Leave word of the catalogue's state for other commands, for as long as the fleet runs.

    Yields what replaces it.
    """
    path = folder / _STATE_FILE

    def write(now: CatalogueState) -> None:
        write_whole(path, json.dumps(asdict(now)) + "\n")

    write(state)
    try:
        yield write
    finally:
        path.unlink(missing_ok=True)
