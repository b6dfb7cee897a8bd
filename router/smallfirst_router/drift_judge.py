"""Judges whether jobs have drifted, where the catalogue has something done then.

Of all routers one judges, once a minute. It reads what was counted of jobs in five weeks, which may
take half a second, and does so on a thread; meanwhile jobs go on. The routers of all slices of its
process then write down what it said, each in its own slice.
"""

import threading
from types import MappingProxyType
from typing import NamedTuple

import structlog
from redis.exceptions import RedisError

from smallfirst.catalogue import Catalogue
from smallfirst.ledger.alarms import Standing
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.slices import Slice
from smallfirst.telemetry.drift import read_alarms
from smallfirst.telemetry.outages import tell

log = structlog.get_logger()

#: How long the end of a process waits for a judgement under way.
_LEAVING_SECONDS = 5.0


class Judgement(NamedTuple):
    """What was said.

    Attributes:
        number: The how manieth time; the first is 1.
        alarms: Those that stand.
        began_ms: When it was begun, before what was counted was read.
    """

    number: int = 0
    alarms: Standing = MappingProxyType({})
    began_ms: int = 0


class DriftJudge:
    """The judge of one process; for the routers of all its slices.

    Args:
        first: The fleet's first slice, where jobs are counted.
    """

    def __init__(self, first: Slice) -> None:
        self._first = first
        self._ledger = Ledger(first.redis, first.keys, "drift-judge")
        self._thread: threading.Thread | None = None
        self._said = Judgement()

    @property
    def said(self) -> Judgement:
        """What was said last."""
        return self._said

    @property
    def is_busy(self) -> bool:
        """Whether a judgement is under way."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, catalogue: Catalogue) -> None:
        """Begin a judgement."""
        self._thread = threading.Thread(
            target=self._judge, args=(catalogue,), name="drift-judge", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Wait a little for what is under way."""
        if self._thread is not None:
            self._thread.join(_LEAVING_SECONDS)

    def _judge(self, catalogue: Catalogue) -> None:
        consequence = "what was said of drift stands, for ten minutes at most; another judges next"
        try:
            began_ms = self._ledger.now_ms()
            standing = self._ledger.alarms.standing()
            alarms = read_alarms(self._first, catalogue, standing, began_ms)
        except RedisError as error:
            tell(error, consequence=consequence)
        except Exception:  # a thread's outermost line
            log.exception("drift.not_judged", consequence=consequence)
        else:
            self._said = Judgement(self._said.number + 1, alarms, began_ms)
