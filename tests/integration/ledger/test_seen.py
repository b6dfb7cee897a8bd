"""What was seen of jobs is written down with a process's books, once, whatever Redis does."""

from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from tests.support.drifting import KEYS
from tests.support.shapes import attempt_for, result_for

from smallfirst.ledger.books import BOOKED_TTL_SECONDS, SEEN_HOUR_TTL_SECONDS
from smallfirst.ledger.keys import date_of
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.own_books import OwnBooks
from smallfirst.ledger.seen import Period, Quantity, SeenJobs, read_seen
from smallfirst.ledger.settlements import Basis, Finish
from smallfirst.ledger.slices import Slice

PROMISE = "0123456789abcdef"


def finish() -> Finish:
    """A job of forty characters, answered at once."""
    attempt = attempt_for(confidence=0.95)
    result = result_for(trail=(attempt,))
    basis = Basis("x" * 40, "", PROMISE)
    return Finish(entry="1-1", producer="default", result=result, spent=(attempt,), basis=basis)


def books_of(redis: Any, seen: SeenJobs) -> OwnBooks:
    """The books of a process whose time nobody counts."""
    return OwnBooks(Ledger(redis, KEYS, "w1"), "cpu", dict, lambda: 0.0, seen)


def lengths(redis: Any) -> dict[str, int]:
    """The lengths of today."""
    today = date_of(int(redis.time()[0]) * 1000)
    [day] = read_seen(Slice(redis, KEYS), [Period(today)]).values()
    return dict(day.get(Quantity("topic", PROMISE, "length", None), {}))


def test_what_was_seen_is_entered_with_the_books(redis: Redis) -> None:
    """Once, however often they are entered, and for as long as books are kept."""
    seen = SeenJobs()
    books = books_of(redis, seen)
    seen.count([finish()] * 3)
    books.enter()
    books.enter()
    assert lengths(redis) == {"32": 3}
    of_hour, of_day = sorted(redis.scan_iter(KEYS.seen("*") + "*"), key=len, reverse=True)
    assert 0 < redis.ttl(of_day) <= BOOKED_TTL_SECONDS
    assert 0 < redis.ttl(of_hour) <= SEEN_HOUR_TTL_SECONDS
    assert redis.hgetall(of_day) == redis.hgetall(of_hour)
    seen.count([finish()])
    books.close()
    assert lengths(redis) == {"32": 4}


def test_what_redis_was_not_told_is_told_the_next_time(redis: Redis) -> None:
    """While Redis refuses writes, counts wait; another day's books hold them then."""
    seen = SeenJobs()
    books = books_of(redis, seen)
    seen.count([finish()])
    redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(RedisError):
            books.enter()
        seen.count([finish()])
        with pytest.raises(RedisError):
            books.enter()
    finally:
        redis.config_set("min-replicas-to-write", 0)
    books.enter()
    assert lengths(redis) == {"32": 2}
