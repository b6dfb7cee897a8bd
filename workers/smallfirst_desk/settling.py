"""Settling: makes results of decisions that are final, whichever desk they were made at.

Beside it the thread ends blind checks, and reads the books for the dashboard.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from redis.exceptions import RedisError

from smallfirst.errors import RedisUnfit
from smallfirst.health import Health
from smallfirst.telemetry.outages import tell
from smallfirst_desk.answers_kept import AnswersKept
from smallfirst_desk.auditing import Auditor
from smallfirst_desk.candidates import judge_decided
from smallfirst_desk.dashboard.recording import Recorder
from smallfirst_desk.desk import Desk

log = structlog.get_logger()

#: How often it is looked for decisions that are final, and for a new catalogue.
_POLL_SECONDS: Final = 0.25
#: How long nobody is asked after Redis could not be reached.
_OUTAGE_SECONDS: Final = 1.0


class Settler:
    """A thread's work beside the pages.

    Args:
        desk: Whose decisions are settled.
        health: Told that the thread lives.
        answers: Keeps what was answered.
        auditor: Ends blind checks, and says what they tell.
        check: Raises where the fleet has another number of slices than the desk was told.
    """

    def __init__(
        self,
        desk: Desk,
        health: Health,
        answers: AnswersKept,
        auditor: Auditor,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._desk = desk
        self._answers = answers
        self._auditor = auditor
        self._recorder = Recorder(desk)
        self._health = health
        self._check = check
        self._stopping = threading.Event()
        self._is_checked = False
        self._is_out = False

    def run(self) -> None:
        """Settle until told to stop, through outages of Redis; once more at the end."""
        while not self._stopping.wait(_OUTAGE_SECONDS if self._is_out else _POLL_SECONDS):
            self._health.beat()
            self._desk.refresh()
            self.settle()
            self._recorder.tend()
        self.settle()

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()

    def settle(self) -> int:
        """Settle what is final; return how many decisions."""
        try:
            if not self._is_checked:
                self._is_checked = bool(self._check())
            num_settled = sum(self._settle(number) for number in range(len(self._desk.reviews)))
            self._auditor.tend()
        except RedisUnfit as error:
            log.warning("desk.unfit", problem=str(error), consequence="nothing is settled here")
        except OSError as error:
            log.exception(
                "desk.answers_not_kept",
                error=type(error).__name__,
                consequence="decisions wait in Redis until their rows can be written",
                remedy="make room in the folder that SMALLFIRST_DESK_ANSWERS names",
            )
        except RedisError as error:
            # Of one outage it is told once.
            if not self._is_out:
                tell(error, consequence="decisions wait in Redis; nothing is lost")
        else:
            self._is_out = False
            return num_settled
        self._is_out = True
        return 0

    def _settle(self, number: int) -> int:
        num_settled = 0
        end_check = partial(self._auditor.end_check, number)
        settle_decided = self._desk.reviews[number].settle_decided
        while settled := settle_decided(self._answers.keep, end_check):
            num_settled += len(settled)
            for each in settled:
                if self._desk.catalogue.candidate_of(each.held.slip.task):
                    judge_decided(self._desk.shadows[number], each)
                log.info(
                    "desk.settled",
                    person=each.last.person,
                    task=each.held.job.task,
                    job_id=each.held.job.id,
                )
        return num_settled
