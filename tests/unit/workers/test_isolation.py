"""Which batches of a process run side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.waiting import WaitUntil

from smallfirst_workers.isolation import STARTS_IN_COMPANY, Isolation


def test_batches_that_nobody_suspects_run_at_once() -> None:
    """Three of them meet within the isolation."""
    isolation, meeting = Isolation(), threading.Barrier(3)

    def run(starts: int | None) -> None:
        with isolation.of(starts):
            meeting.wait(timeout=10)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(run, starts) for starts in (None, 0, STARTS_IN_COMPANY - 1)]:
            done.result(timeout=10)


def test_a_suspect_runs_by_itself_and_before_those_that_come_later(
    wait_until: WaitUntil,
) -> None:
    """It waits for who is at work; whoever comes meanwhile waits for it."""
    isolation, order = Isolation(), list[str]()
    began, may_end = threading.Event(), threading.Event()

    def run_first() -> None:
        with isolation.of(0):
            began.set()
            may_end.wait(timeout=10)
            order.append("first")

    def run(name: str, starts: int) -> None:
        with isolation.of(starts):
            order.append(name)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(run_first)]
        assert began.wait(timeout=10)
        running.append(pool.submit(run, "suspect", STARTS_IN_COMPANY))
        wait_until(lambda: isolation.num_suspects_waiting, description="the suspect waits")
        running.append(pool.submit(run, "last", 0))
        may_end.set()
        for done in running:
            done.result(timeout=10)
    assert order == ["first", "suspect", "last"]


def test_a_batch_that_raises_makes_way() -> None:
    """Whatever comes of a suspect, the next one may run."""
    isolation = Isolation()
    for starts in (STARTS_IN_COMPANY, 0):
        with pytest.raises(MemoryError), isolation.of(starts):
            raise MemoryError
    with isolation.of(STARTS_IN_COMPANY):
        pass
