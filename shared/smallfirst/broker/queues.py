"""What router and workers must name alike for Celery: queues, tasks, and a worker's node."""

from kombu import Exchange, Queue

from smallfirst.jobs import Tier
from smallfirst.ledger.holders import Holder


def queue_of(pool: str) -> Queue:
    """Build the queue of a pool: the list of its name.

    Without an exchange, and so without a binding, whose loss would lose the messages with it.
    """
    return Queue(pool, Exchange(""), routing_key=pool)


def task_name(tier: Tier, model: str) -> str:
    """Name the Celery task of a model, by which Flower lists its batches."""
    return f"{tier}.{model}"


def node_name(worker: Holder) -> str:
    """Name a worker as Flower lists it: its pool, and where it runs."""
    return f"{worker.pool}@{worker.host}-{worker.pid}-{worker.token}"
