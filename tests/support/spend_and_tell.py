"""Settles an entry that cost something, and prints what the exporter tells of it.

python -m tests.support.spend_and_tell REDIS_URL
"""

import sys

import yaml
from prometheus_client import CollectorRegistry
from redis import Redis
from tests.support.one_task import CATALOGUE
from tests.support.shapes import attempt_for, result_for

from smallfirst.catalogue import Catalogue
from smallfirst.exporter import Fleet
from smallfirst.jobs import Priority
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Finish
from smallfirst.ledger.slices import Slice

KEYS = Keys()
STREAM = KEYS.backlog("cpu", Priority.BULK)
LABELS = {"task": "topic", "step": "0", "tier": "slm", "outcome": "accepted"}


def settle_one(redis: Redis) -> None:
    """Be a holder for one entry."""
    ledger = Ledger(redis, KEYS, "w")
    ledger.open([STREAM], POOL_GROUP)
    redis.xadd(STREAM, {"id": "a"})
    [entry] = ledger.read([STREAM], POOL_GROUP, count=1)
    row = Finish(
        entry=entry.entry, producer="default", result=result_for("a"), spent=(attempt_for(),)
    )
    ledger.settle(STREAM, POOL_GROUP, [row])


def main(url: str) -> None:
    """Settle, scrape, print."""
    catalogue = Catalogue.model_validate(yaml.safe_load(CATALOGUE))
    registry = CollectorRegistry(auto_describe=False)
    with Redis.from_url(url) as redis:
        settle_one(redis)
        registry.register(Fleet([Slice(redis, KEYS)], CeleryLists(redis, KEYS), lambda: catalogue))
        sys.stdout.write(f"{registry.get_sample_value('smallfirst_attempts_total', LABELS)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
