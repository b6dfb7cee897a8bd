"""A worker whose engine ends or stops the whole process on one text; all around it is real.

python -m tests.support.dying_worker REDIS_URL abort|kill|raise|stop BATCHES_AT_ONCE
"""

import base64
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

from redis import Redis

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Priority, Tier
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.telemetry.tracing import Tracing
from smallfirst_workers.batches import BatchRunner, run_message
from smallfirst_workers.engines import EngineRequest, EngineResult, ServedModel
from smallfirst_workers.leases import LeaseKeeper
from smallfirst_workers.metrics import WorkerMetrics
from smallfirst_workers.observers.standard import standard_observers
from smallfirst_workers.watchdog import Watchdog

LEASE = timedelta(seconds=1)
#: Of a pass, where several are to be under way at once.
PASS_SECONDS = 0.1


class Deadly:
    """Answers every text but one."""

    def __init__(self, how: str, *, pass_seconds: float) -> None:
        self._how = how
        self._pass_seconds = pass_seconds

    def revision_of(self, task: str, options: object = None) -> str:  # noqa: ARG002 - of every engine
        return "1"

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer all in one pass, or end; or stand still until somebody lets it go on."""
        time.sleep(self._pass_seconds)
        if any("poison" in one.text for one in asked):
            if self._how == "raise":
                raise MemoryError
            if self._how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._how == "abort":
                os.abort()
            os.kill(os.getpid(), signal.SIGSTOP)
        answers = [LabelAnswer(label="a", confidence=0.99) for _ in asked]
        ones = [1] * len(asked)
        yield EngineResult([*answers], ones, len(asked), 0.01).at(*range(len(asked)))


def main(url: str, how: str, at_once: str = "1") -> None:
    """Take batches from Celery's list until killed, as many at once as is said."""
    keys = Keys()
    redis = Redis.from_url(url)
    ledger = Ledger(redis, keys, str(Holder.here("cpu")))
    holder = LeaseKeeper(ledger, "cpu", lease=LEASE, beat=LEASE / 3)
    holder.open()
    metrics = WorkerMetrics("cpu")
    observers = standard_observers(Watchdog(None), metrics, Tracing())
    runner = BatchRunner(ledger, keys, holder, LEASE, observers)
    pass_seconds = PASS_SECONDS if int(at_once) > 1 else 0.0
    served = ServedModel(Deadly(how, pass_seconds=pass_seconds), Tier.SLM, 0.0)
    for _ in range(int(at_once) - 1):
        threading.Thread(target=serve, args=(redis, runner, served), daemon=True).start()
    serve(redis, runner, served)


def serve(redis: Redis, runner: BatchRunner, served: ServedModel) -> None:
    """Run one batch after another."""
    keys = Keys()
    while True:
        raw = redis.rpop(keys.queue("cpu", Priority.BULK))
        if not isinstance(raw, bytes):
            time.sleep(0.01)
            continue
        body = json.loads(base64.b64decode(json.loads(raw)["body"]))
        with suppress(RuntimeError):
            run_message(runner, BatchMessage.model_validate(body[0][0], strict=False), served)


if __name__ == "__main__":
    main(*sys.argv[1:])
