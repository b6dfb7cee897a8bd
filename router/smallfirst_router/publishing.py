"""Puts batches on Celery's queues: ids only, with a description that tells size and never text."""

from collections import Counter
from uuid import uuid4

from celery import Celery

from smallfirst.broker.queues import queue_of, task_name
from smallfirst.jobs import Tier
from smallfirst.ledger.keys import MESSAGE_PRIORITIES
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst_router.batches import Batch

#: Units of size, each a thousand times the one before.
_UNITS = ("B", "kB", "MB")


class Publisher:
    """The way of one slice's batches to a worker."""

    def __init__(self, app: Celery, number: int = 0) -> None:
        self._app = app
        self._slice = number

    def publish(self, pool: str, tier: Tier, batch: Batch) -> str:
        """Put a batch on its pool's queue; return its name.

        Raises:
            kombu.exceptions.OperationalError: When Redis could not be reached.
        """
        message = message_of(pool, batch, self._slice)
        self._app.send_task(
            task_name(tier, batch.model),
            args=[message.model_dump(mode="json")],
            task_id=message.batch,
            queue=queue_of(pool),
            priority=MESSAGE_PRIORITIES[batch.priority],
            argsrepr=describe_size(batch),
            kwargsrepr=describe_tasks(batch),
        )
        return message.batch


def message_of(pool: str, batch: Batch, number: int) -> BatchMessage:
    """Write down where a batch's entries are: in which slice, and in which backlogs."""
    entries: dict[str, list[str]] = {}
    for job in batch.jobs:
        entries.setdefault(job.priority.value, []).append(job.entry)
    return BatchMessage(
        batch=uuid4().hex,
        model=batch.model,
        pool=pool,
        slice=number,
        entries={priority: tuple(ids) for priority, ids in entries.items()},
        starts=batch.starts,
    )


def describe_size(batch: Batch) -> str:
    """Say how much a batch is, for people: `32 jobs, 1.9 kB`."""
    size = float(sum(job.num_chars for job in batch.jobs))
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    jobs = f"{len(batch.jobs)} job{'s' if len(batch.jobs) > 1 else ''}"
    return f"{jobs}, {size:.1f} {_UNITS[unit]}" if unit else f"{jobs}, {size:.0f} B"


def describe_tasks(batch: Batch) -> str:
    """Say what is asked in a batch, for people: `topic 20, urgency 12`."""
    counts = Counter(job.task for job in batch.jobs)
    return ", ".join(f"{task} {count}" for task, count in counts.most_common())
