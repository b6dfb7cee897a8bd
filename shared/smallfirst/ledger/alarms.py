"""Alarms on the ledger: which tasks' jobs have drifted, where the catalogue has something done.

One router in a minute judges, and each slice has a copy of what was said, so that routers and
workers of a slice ask no other. Where nobody judges any more, it is over soon: nothing is held back
for ever by what nobody can take back.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from pydantic import Field
from redis import Redis

from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import Moment
from smallfirst.wire import Wire

#: Between two judgements.
JUDGED_EVERY: Final = timedelta(seconds=60)
#: For how long what was said stands where nobody judges.
STANDS_FOR: Final = timedelta(minutes=10)
#: Another process may judge a little before the next judgement is due.
_EARLY: Final = timedelta(seconds=5)


class StandingAlarm(Wire):
    """What is said of a task whose jobs have drifted."""

    promise: str = Field(
        description="The hash of the promise that jobs are unlike; under another one it is over."
    )
    since_ms: Moment = Field(description="The time since which it stands, on Redis's clock.")


#: The alarms that stand, by task.
Standing = Mapping[str, StandingAlarm]


class Alarms:
    """The alarms of one slice.

    Args:
        redis: Connected.
        keys: Of the slice.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys

    def may_judge(self) -> bool:
        """Whether a judgement is due, and nobody else makes it; asked of the first slice."""
        age = round((JUDGED_EVERY - _EARLY).total_seconds())
        return bool(self._redis.set(self._keys.drift_judge, "1", nx=True, ex=age))

    def standing(self) -> dict[str, StandingAlarm]:
        """Read what stands; what is of another version, and unreadable, does not."""
        found: dict[str, StandingAlarm] = {}
        for task, said in self._redis.hgetall(self._keys.drift).items():
            with suppress(ValueError):
                found[task.decode()] = StandingAlarm.model_validate_json(said)
        return found

    def say(self, alarms: Standing) -> None:
        """Write down all that stands, in the place of what stood."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.delete(self._keys.drift)
        if alarms:
            said = {task: alarm.to_json() for task, alarm in alarms.items()}
            pipeline.hset(self._keys.drift, mapping=said)
            pipeline.expire(self._keys.drift, round(STANDS_FOR.total_seconds()))
        pipeline.execute()

    def end(self, task: str) -> bool:
        """End a task's alarm; whether one stood."""
        return bool(self._redis.hdel(self._keys.drift, task))


def of_promises(standing: Standing, promises: Mapping[str, str]) -> dict[str, StandingAlarm]:
    """The alarms of tasks whose promise is the one that jobs are unlike.

    Args:
        standing: What stands.
        promises: The hash of each task's promise in force.
    """
    return {task: alarm for task, alarm in standing.items() if promises.get(task) == alarm.promise}
