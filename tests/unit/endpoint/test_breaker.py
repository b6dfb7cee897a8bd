"""When an endpoint is asked, and when it is left alone."""

import pytest

from smallfirst_workers.llm.endpoint.breaker import (
    FIRST_SECONDS,
    LAST_SECONDS,
    MAX_FAILURES,
    Breaker,
)


def broken(now: float = 0.0) -> Breaker:
    """One that has just opened."""
    return Breaker().failed(now, is_probe=False, at_once=True)


def test_it_opens_after_failures_in_a_row() -> None:
    """One fewer leaves it closed."""
    breaker = Breaker()
    for _ in range(MAX_FAILURES - 1):
        breaker = breaker.failed(0.0, is_probe=False)
    assert breaker.is_closed
    assert not breaker.failed(0.0, is_probe=False).admits(0.0)


def test_a_success_between_failures_starts_the_count_afresh() -> None:
    """Failures that are not in a row open nothing."""
    breaker = Breaker()
    for _ in range(MAX_FAILURES * 3):
        breaker = breaker.failed(0.0, is_probe=False).succeeded()
    assert breaker == Breaker(num_successes=MAX_FAILURES * 3)


def test_one_failure_may_tell_enough() -> None:
    """A refused connection or a wrong key opens it at once."""
    assert not broken().is_closed


def test_it_admits_one_probe_when_its_time_comes() -> None:
    """Nobody before, one then, nobody beside that one."""
    breaker = broken(now=10.0)
    assert not breaker.admits(10.0 + FIRST_SECONDS / 2)
    assert breaker.admits(10.0 + FIRST_SECONDS)
    assert not breaker.entered().admits(99.0)


def test_a_probe_that_succeeds_closes_it() -> None:
    """And all that was counted against the endpoint is forgotten."""
    assert broken().entered().succeeded() == Breaker(num_successes=1)


def test_each_probe_that_fails_doubles_the_wait_up_to_a_bound() -> None:
    """An endpoint that is down for long is asked seldom, but never less than twice a minute."""
    breaker, now, waits = broken(), 0.0, []
    for _ in range(20):
        wait = breaker.seconds_to_wait(now)
        assert wait is not None
        waits.append(wait)
        now += wait
        breaker = breaker.entered().failed(now, is_probe=True)
    assert waits[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert waits[-1] == LAST_SECONDS


@pytest.mark.parametrize(("asked", "wait"), [(7.0, 7.0), (0.0, FIRST_SECONDS), (9e9, 60.0)])
def test_an_endpoint_that_says_when_is_asked_then(asked: float, wait: float) -> None:
    """However often it failed before; but neither at once nor never."""
    breaker = broken().entered().failed(0.0, is_probe=True).entered()
    assert breaker.failed(0.0, is_probe=True, asked=asked).seconds_to_wait(0.0) == wait


def test_news_from_before_it_opened_changes_nothing() -> None:
    """Requests that were on their way when it opened do not make the wait longer."""
    breaker = broken()
    assert breaker.failed(0.5, is_probe=False) == breaker


def test_a_probe_that_was_withdrawn_makes_room_for_the_next() -> None:
    """A deadline in the midst of the probe tells nothing of the endpoint."""
    breaker = broken().entered()
    assert breaker.seconds_to_wait(99.0) is None
    assert breaker.abandoned().admits(99.0)
