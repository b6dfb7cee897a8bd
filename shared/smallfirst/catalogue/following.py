"""Following the catalogue: each good version of its file is taken up, now or as soon as it can be.

A version that reads well may still not be taken up: a model's folder is yet to come, a disk does
not answer. Then the one before stays in force, and the new one is tried again until it is taken up
or the file changes.
"""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic

import structlog

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.watching import CatalogueWatch

log = structlog.get_logger()

#: Between two tries to take up the same version.
RETRY = timedelta(seconds=3)


class CatalogueFollower:
    """Has somebody take up what a watch finds. Not for several threads at once.

    Args:
        watch: Finds new versions.
        take_up: Puts a catalogue in force, or raises and leaves the one before it in force.
        expected: The errors whose words say all that is to be known; others show where they rose.
        passing: The errors that end by themselves: what a version waits for is being made.
        retry: Between two tries of one version.
    """

    def __init__(
        self,
        watch: CatalogueWatch,
        take_up: Callable[[Catalogue], object],
        *,
        expected: tuple[type[Exception], ...],
        passing: tuple[type[Exception], ...] = (),
        retry: timedelta = RETRY,
    ) -> None:
        self._watch = watch
        self._take_up = take_up
        self._expected = expected
        self._passing = passing
        self._retry = retry
        #: When the version that is not in force is tried next; None where there is none.
        self._due: float | None = None
        self._problem = ""

    def look(self) -> bool:
        """Take up what is new, or was not taken up before; say whether anything was."""
        try:
            return self._look()
        except Exception as error:  # noqa: BLE001 - whoever follows must not end; told below
            self._due = monotonic() + self._retry.total_seconds()
            self._warn(error)
            return False

    def _look(self) -> bool:
        if self._watch.refresh():
            self._due, self._problem = monotonic(), ""
        if self._due is None or monotonic() < self._due:
            return False
        self._take_up(self._watch.current)
        self._due = None
        log.info("catalogue.reloaded", revision=self._watch.revision)
        return True

    def _warn(self, error: Exception) -> None:
        """Warn of a problem once, however often it comes again."""
        problem = f"{type(error).__name__}: {error}"
        if problem == self._problem:
            return
        self._problem = problem
        if isinstance(error, self._passing):
            consequence = "the catalogue before it stays in force until then"
            log.info("catalogue.waits", waits_for=str(error), consequence=consequence)
            return
        log.warning(
            "catalogue.rejected",
            problem=str(error) if isinstance(error, self._expected) else problem,
            revision=self._watch.revision,
            consequence="the catalogue before it stays in force",
            remedy=f"mend what it names; it is tried again every {self._retry.seconds} s",
            exc_info=not isinstance(error, self._expected),
        )
