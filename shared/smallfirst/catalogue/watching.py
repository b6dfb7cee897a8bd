"""Watching the catalogue: the last good one, read again when a file of it changes.

It only asks the file system for stamps, so it may be asked every second, and it needs no
notification from the kernel, which does not cross every mount. Who acts on a change, and whether
the models fit the pools, is for its caller.
"""

from collections.abc import Callable
from pathlib import Path

import structlog

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.file_stamps import stamp_of
from smallfirst.catalogue.loading import Reading, read_catalogue
from smallfirst.errors import CatalogueError

log = structlog.get_logger()


class CatalogueWatch:
    """The catalogue of a file, kept current. Not for several threads at once.

    Args:
        path: Of the catalogue.
        on_error: Told of each bad version, once, after it was logged.

    Raises:
        CatalogueError: When the first reading finds anything wrong; there is no older one to keep.
    """

    def __init__(
        self, path: Path, on_error: Callable[[CatalogueError], object] | None = None
    ) -> None:
        self.path = path
        self._on_error = on_error
        self._rejected: str | None = None
        reading = read_catalogue(path)
        self._current = reading.unwrap()
        self._revision = reading.files.revision
        self._stamps = dict(reading.files.stamps)

    @property
    def current(self) -> Catalogue:
        """The last good catalogue."""
        return self._current

    @property
    def revision(self) -> str:
        """Hash of the contents that `current` was read from, its example files among them."""
        return self._revision

    def refresh(self) -> bool:
        """Look whether a file changed, and read again if one did; say whether `current` is new.

        A bad version leaves `current` as it is.
        """
        if all(stamp_of(path) == stamp for path, stamp in self._stamps.items()):
            return False
        reading = read_catalogue(self.path)
        self._stamps = dict(reading.files.stamps)
        if reading.catalogue is None:
            self._reject(reading)
            return False
        self._rejected = None
        is_new = reading.files.revision != self._revision
        if is_new:
            self._current, self._revision = reading.catalogue, reading.files.revision
        return is_new

    def _reject(self, reading: Reading) -> None:
        """Warn of a bad version; of one that is only touched or still missing, not again."""
        version = f"{reading.files.revision} {reading.error}"
        if reading.error is None or version == self._rejected:
            return
        self._rejected = version
        log.warning(
            "catalogue.rejected",
            problems=[str(problem) for problem in reading.error.problems],
            revision_in_force=self._revision,
            consequence="the catalogue read before stays in force",
            remedy="mend the file; it is read again as soon as it changes",
        )
        if self._on_error is not None:
            self._on_error(reading.error)
