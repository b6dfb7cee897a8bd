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
#: In the place of a promise's hash: the alarm of the task was ended then. An older version takes it
#: for another promise's.
ENDED: Final = "ended"
#: For how long that is known at least; a judgement takes less.
ENDED_FOR: Final = timedelta(minutes=2)
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
        return _alarms(_read(self._redis.hgetall(self._keys.drift)))

    def say(self, alarms: Standing, *, began_ms: int | None = None) -> None:
        """Write down all that stands, in the place of what stood.

        Args:
            alarms: By task.
            began_ms: When whoever judged began to read what was counted, on Redis's clock: what was
                ended since then stays ended. None: a moment ago.
        """
        key = self._keys.drift
        ended = _ended_since(_read(self._redis.hgetall(key)), began_ms)
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hgetall(key)
        pipeline.delete(key)
        if told := {**alarms, **ended}:
            pipeline.hset(key, mapping=_written(told))
            pipeline.expire(key, round(STANDS_FOR.total_seconds()))
        replaced = _read(pipeline.execute()[0])
        # What was ended between the two reads; an end that comes later finds the alarm itself.
        if late := _ended_since(replaced, began_ms).items() - ended.items():
            self._redis.hset(key, mapping=_written(dict(late)))
            self._redis.expire(key, round(STANDS_FOR.total_seconds()))

    def end(self, task: str, now_ms: int) -> bool:
        """End a task's alarm, and what comes of a judgement under way; whether an alarm stood.

        Args:
            task: Its name.
            now_ms: Redis's clock, that of the first slice; read after what was counted was dropped.
        """
        key, ended = self._keys.drift, StandingAlarm(promise=ENDED, since_ms=now_ms)
        stood = task in self.standing()
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(key, task, ended.to_json())
        pipeline.ttl(key)
        _, seconds = pipeline.execute()
        # No more than that: other alarms are to outlive no fleet in which nobody judges.
        self._redis.expire(key, max(seconds, round(ENDED_FOR.total_seconds())))
        return stood


def _read(said: Mapping[bytes, bytes]) -> dict[str, StandingAlarm]:
    found: dict[str, StandingAlarm] = {}
    for task, raw in said.items():
        with suppress(ValueError):
            found[task.decode()] = StandingAlarm.model_validate_json(raw)
    return found


def _written(alarms: Standing) -> dict[str, str]:
    return {task: alarm.to_json() for task, alarm in alarms.items()}


def _alarms(said: Standing) -> dict[str, StandingAlarm]:
    return {task: alarm for task, alarm in said.items() if alarm.promise != ENDED}


def _ended_since(said: Standing, began_ms: int | None) -> dict[str, StandingAlarm]:
    """What was ended since a judgement began; in the same millisecond, too."""
    if began_ms is None:
        return {}
    ended = said.keys() - _alarms(said).keys()
    return {task: said[task] for task in ended if said[task].since_ms >= began_ms}


def of_promises(standing: Standing, promises: Mapping[str, str]) -> dict[str, StandingAlarm]:
    """The alarms of tasks whose promise is the one that jobs are unlike.

    Args:
        standing: What stands.
        promises: The hash of each task's promise in force.
    """
    return {task: alarm for task, alarm in standing.items() if promises.get(task) == alarm.promise}
