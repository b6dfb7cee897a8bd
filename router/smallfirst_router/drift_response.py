"""What one slice's router does about drift: it has it judged, and goes by what was said.

Nothing is asked of Redis where no task has anything done about it.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog
from redis.exceptions import NoPermissionError

from smallfirst.catalogue import Catalogue
from smallfirst.ledger.alarms import Standing, of_promises
from smallfirst.ledger.ledger import Ledger
from smallfirst.telemetry.outages import tell
from smallfirst_router.drift_judge import DriftJudge

#: Between two looks whether a judgement is due: a judge that died leaves it so long.
_LOOK_SECONDS: Final = 10.0

log = structlog.get_logger()


class DriftResponse:
    """Which alarms stand, for one slice.

    Args:
        ledger: Of the slice.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: Of the process; None where another process judges.
        self.judge: DriftJudge | None = None
        self._catalogue: Catalogue | None = None
        self._watched: Mapping[str, str] = {}
        self._due = 0.0
        self._written = 0
        self._is_refused = False
        #: The alarms that stand under the promises in force.
        self.standing: Standing = MappingProxyType({})

    def watch(self, catalogue: Catalogue, watched: Mapping[str, str]) -> None:
        """Take up a catalogue, and the promises' hashes of the tasks where something is done."""
        self._catalogue, self._watched = catalogue, watched

    def look(self) -> bool:
        """Have jobs judged where that is due, and look what stands; whether that has changed.

        Where Redis's rules are of an older version, nothing stands.

        Raises:
            RedisError: When Redis does not answer.
        """
        if not self._watched and not self.standing:
            return False
        found: Standing = {}
        try:
            self._have_judged()
            found = of_promises(self._ledger.alarms.standing(), self._watched)
        except NoPermissionError as error:
            self._tell_refused(error)
        else:
            self._is_refused = False
        is_new = found != self.standing
        self._tell(found)
        self.standing = found
        return is_new

    def close(self) -> None:
        """Wait a little for a judgement under way."""
        if self.judge is not None:
            self.judge.close()

    def _have_judged(self) -> None:
        judge = self.judge
        if judge is None or not self._watched:
            return
        if self._ledger.keys.slice == 0 and time.monotonic() >= self._due:
            self._due = time.monotonic() + _LOOK_SECONDS
            self._begin_if_due(judge)
        said = judge.said
        if said.number != self._written:
            self._ledger.alarms.say(said.alarms, began_ms=said.began_ms)
            self._written = said.number

    def _begin_if_due(self, judge: DriftJudge) -> None:
        is_free = self._catalogue is not None and not judge.is_busy
        if is_free and self._ledger.alarms.may_judge():
            assert self._catalogue is not None
            judge.begin(self._catalogue)

    def _tell(self, found: Standing) -> None:
        for task in sorted(found.keys() - self.standing.keys()):
            log.warning(
                "drift.in_force",
                task=task,
                consequence="jobs are unlike the rows that its promise was made on: thresholds are"
                " raised, or more answers checked, as the catalogue says",
                remedy=f"look at it, smallfirst drift {task}; calibrate on rows of today",
            )
        for task in sorted(self.standing.keys() - found.keys()):
            log.info("drift.over", task=task)

    def _tell_refused(self, error: NoPermissionError) -> None:
        if not self._is_refused:
            tell(error, consequence="nothing is done about drift")
        self._is_refused = True
