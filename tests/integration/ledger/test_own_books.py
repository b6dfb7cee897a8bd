"""A process's own books: what grew is entered once, at its price, and nothing is lost."""

from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from tests.support.ledgers import KEYS, ledger_of
from tests.support.shapes import attempt_for

from smallfirst.ledger.books import Cell, DayBook, Spent, Use, read_day_books
from smallfirst.ledger.keys import date_of
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.own_books import OwnBooks
from smallfirst.ledger.slices import Slice


def todays(redis: Any) -> DayBook:
    """All that is booked today."""
    today = date_of(int(redis.time()[0]) * 1000)
    return read_day_books([Slice(redis, KEYS)], [today])[today]


def test_sums_are_entered_as_they_grow_each_at_the_price_of_its_time(redis: Any) -> None:
    """A price that changes changes nothing that was entered before."""
    told, price = {"idle": Use(10.0)}, [3600.0]
    books = OwnBooks(ledger_of(redis, "w"), "cpu", lambda: told, lambda: price[0])
    books.enter()
    books.enter()
    told["idle"], price[0] = Use(13.0, joules=2.5, metered_seconds=3.0), 7200.0
    books.note_attempt("topic", attempt_for(seconds=0.5, cost=0.1, tokens=7), "given_back")
    books.close()
    books.close()
    book = todays(redis)
    assert book.pools == {"cpu": {"idle": Use(13.0, 16.0, 2.5, 3.0)}}
    given_back = Spent(num_attempts=1, seconds=0.5, cost=0.1, num_tokens=7)
    assert book.attempts == {Cell("topic", 0, "given_back"): given_back}
    [key] = redis.keys(KEYS.booked("*"))
    assert redis.ttl(key) > 0


def test_what_redis_could_not_be_told_is_entered_later(redis: Any) -> None:
    """An outage loses nothing, and books nothing twice."""

    class AwayLedger(Ledger):
        """A ledger whose connection is away until it is told to be back."""

        is_away = True

        def book(self, amounts: Any) -> None:
            """Fail as a client does whose server is gone, before anything was sent."""
            if self.is_away:
                Redis(port=1).ping()
            super().book(amounts)

    ledger = AwayLedger(redis, KEYS, "w")
    books = OwnBooks(ledger, "cpu", lambda: {"lost": Use(2.0)}, lambda: 0.0)
    books.note_attempt("topic", attempt_for(seconds=0.5), "fenced")
    with pytest.raises(RedisError):
        books.enter()
    ledger.is_away = False
    books.enter()
    book = todays(redis)
    assert book.pools == {"cpu": {"lost": Use(2.0)}}
    assert book.attempts[Cell("topic", 0, "fenced")].seconds == 0.5
