"""What goes into a batch."""

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.jobs import Priority
from smallfirst_router.batches import (
    JOBS_BY_STARTS,
    JOBS_PER_TEXT,
    Batch,
    Limits,
    WaitingJob,
    WaitingJobs,
    fill_of,
    form_batches,
)

WIDE = Limits(jobs=64, tokens=100_000)


def waiting(
    number: int,
    *,
    chars: int = 40,
    model: str = "minilm",
    priority: Priority = Priority.BULK,
    starts: int = 0,
    task: str = "topic",
    text: str = "",
) -> WaitingJob:
    """Make the job that was parked as the number-th."""
    return WaitingJob(
        entry=f"{number}-0",
        priority=priority,
        task=task,
        model=model,
        num_chars=chars,
        num_tokens=2 + -(-chars // 4),
        text=text,
        parked_ms=number,
        starts=starts,
    )


def formed(
    backlog: Iterable[WaitingJob], limits: Limits, room: Mapping[Priority, int]
) -> list[Batch]:
    """Form batches of a backlog."""
    return form_batches(WaitingJobs(backlog), limits, room)


def rooms(number: int, urgent: int | None = None) -> dict[Priority, int]:
    """Make room for so many batches, and for so many in all where an interactive job leads one."""
    return {Priority.INTERACTIVE: number if urgent is None else urgent, Priority.BULK: number}


def padded_tokens(batch: Batch) -> int:
    """Positions that the batch's pass computes."""
    return len(batch.jobs) * max(job.num_tokens for job in batch.jobs)


jobs = st.lists(
    st.builds(
        waiting,
        st.integers(0, 10_000),
        chars=st.integers(1, 5000),
        model=st.sampled_from(["minilm", "deberta"]),
        priority=st.sampled_from(Priority),
        starts=st.integers(0, 4),
    ),
    max_size=80,
    unique_by=lambda job: job.key,
)


@given(jobs, st.integers(1, 64), st.integers(16, 4096), st.integers(1, 6))
def test_every_batch_is_within_its_limits(
    backlog: list[WaitingJob], most_jobs: int, most_tokens: int, room: int
) -> None:
    """No batch exceeds the room, the count or the token budget, unless one job alone does."""
    batches = formed(backlog, Limits(most_jobs, most_tokens), rooms(room))
    assert len(batches) <= room
    for batch in batches:
        assert len(batch.jobs) <= most_jobs
        assert padded_tokens(batch) <= most_tokens or len(batch.jobs) == 1


@given(jobs, st.integers(1, 6))
def test_a_job_is_in_one_batch_at_most_and_the_models_do_not_mix(
    backlog: list[WaitingJob], room: int
) -> None:
    """Batches are disjoint parts of the backlog, each of one model."""
    batches = formed(backlog, WIDE, rooms(room))
    taken = [job.key for batch in batches for job in batch.jobs]
    assert len(taken) == len(set(taken))
    assert set(taken) <= {job.key for job in backlog}
    assert all({job.model for job in batch.jobs} == {batch.model} for batch in batches)


@given(jobs)
def test_who_is_due_first_is_in_the_first_batch(backlog: list[WaitingJob]) -> None:
    """Nobody starves: the oldest of the most urgent priority always leads."""
    batches = formed(backlog, WIDE, rooms(1))
    first = min(backlog, key=lambda job: job.rank, default=None)
    assert first is None or first in batches[0].jobs


def test_interactive_jobs_go_before_older_bulk_jobs_and_without_them() -> None:
    """An interactive job waits neither behind a backlog of bulk nor for rows of it in its pass."""
    backlog = [waiting(n) for n in range(100)]
    backlog += [waiting(500 + n, priority=Priority.INTERACTIVE) for n in range(2)]
    urgent, bulk = formed(backlog, Limits(8, 10_000), rooms(2))
    assert [job.entry for job in urgent.jobs] == ["500-0", "501-0"]
    assert urgent.priority is Priority.INTERACTIVE
    assert bulk.priority is Priority.BULK
    assert len(bulk.jobs) == 8


def test_where_no_more_bulk_has_room_an_urgent_batch_may_have_some() -> None:
    """Beyond the bound of all batches those that an interactive job leads have their own."""
    backlog = [waiting(n, priority=Priority.INTERACTIVE) for n in range(20)]
    backlog += [waiting(100 + n) for n in range(20)]
    batches = formed(backlog, Limits(8, 10_000), rooms(0, urgent=2))
    assert [(batch.priority, len(batch.jobs)) for batch in batches] == [
        (Priority.INTERACTIVE, 8),
        (Priority.INTERACTIVE, 8),
    ]
    assert not formed(backlog[20:], Limits(8, 10_000), rooms(0, urgent=2))


def test_jobs_of_like_length_travel_together() -> None:
    """With as many short jobs as long ones, a pass over the short ones pads little."""
    backlog = [waiting(n, chars=20 if n % 2 else 2000) for n in range(64)]
    short, long = sorted(formed(backlog, Limits(32, 100_000), rooms(2)), key=padded_tokens)
    assert {job.num_chars for job in short.jobs} == {20}
    assert {job.num_chars for job in long.jobs} == {2000}


def test_a_small_backlog_is_shared_among_idle_workers() -> None:
    """Forty jobs and room for four batches make four batches, not one."""
    batches = formed([waiting(n) for n in range(40)], WIDE, rooms(4))
    assert [len(batch.jobs) for batch in batches] == [10, 10, 10, 10]


def test_a_few_jobs_stay_together() -> None:
    """Below the smallest share, splitting would cost more than it gains."""
    batches = formed([waiting(n) for n in range(6)], WIDE, rooms(4))
    assert [len(batch.jobs) for batch in batches] == [6]


def test_a_full_backlog_makes_full_batches() -> None:
    """Under load a batch is as large as its limits let it be."""
    batches = formed([waiting(n) for n in range(1000)], WIDE, rooms(4))
    assert [len(batch.jobs) for batch in batches] == [64, 64, 64, 64]


def test_what_was_started_before_travels_in_smaller_batches() -> None:
    """A job that did not end is with fewer others each time, and at last alone."""
    for starts, most in enumerate(JOBS_BY_STARTS):
        backlog = [waiting(n, starts=starts) for n in range(100)]
        [batch] = formed(backlog, WIDE, rooms(1))
        assert len(batch.jobs) == min(most, WIDE.jobs)


@given(jobs, st.integers(1, 6))
def test_all_of_a_batch_were_started_equally_often(backlog: list[WaitingJob], room: int) -> None:
    """One number tells it of each job, and so a worker knows an old message from a new one."""
    for batch in formed(backlog, WIDE, rooms(room)):
        assert {job.starts for job in batch.jobs} == {batch.starts}


def test_what_was_started_before_does_not_hold_fresh_jobs_up() -> None:
    """Fresh jobs do not share a pass with those that may be poisonous."""
    backlog = [waiting(0, starts=1), *(waiting(n) for n in range(1, 20))]
    suspect, fresh = formed(backlog, WIDE, rooms(2))
    assert [job.starts for job in suspect.jobs] == [1]
    assert {job.starts for job in fresh.jobs} == {0}


def test_a_batch_is_as_full_as_its_fuller_bound() -> None:
    """Half of its jobs, or three quarters of its tokens; never more than full."""
    eight = Batch("minilm", tuple(waiting(n, chars=40) for n in range(8)))
    assert fill_of(eight, Limits(jobs=16, tokens=10_000)) == 0.5
    assert fill_of(eight, Limits(jobs=16, tokens=128)) == 8 * 12 / 128
    assert fill_of(Batch("minilm", (waiting(0, chars=4000),)), Limits(jobs=16, tokens=128)) == 1.0


@given(jobs, st.integers(1, 64), st.integers(16, 4096))
def test_every_formed_batch_is_filled_within_its_bounds(
    backlog: list[WaitingJob], most_jobs: int, most_tokens: int
) -> None:
    """More than nothing, and no more than everything."""
    limits = Limits(most_jobs, most_tokens)
    for batch in formed(backlog, limits, rooms(3)):
        assert 0 < fill_of(batch, limits) <= 1


def test_equal_texts_of_several_tasks_travel_as_one_row() -> None:
    """Eight tasks about a text are one row of a pass, wherever in the backlog they stand."""
    tasks = [f"task-{number}" for number in range(JOBS_PER_TEXT)]
    backlog = [
        waiting(100 * place + number, task=task, text=f"text-{number}")
        for place, task in enumerate(tasks)
        for number in range(40)
    ]
    [batch] = formed(backlog, Limits(jobs=8, tokens=8 * 12), rooms(1))

    assert len({job.text for job in batch.jobs}) == 8
    assert len(batch.jobs) == 8 * JOBS_PER_TEXT
    assert fill_of(batch, Limits(jobs=8, tokens=1000)) == 1.0


def test_what_may_be_poisonous_is_counted_by_the_job() -> None:
    """Equal texts that killed a worker do not come back in one large batch."""
    backlog = [waiting(number, text="same", starts=1) for number in range(100)]
    [batch] = formed(backlog, WIDE, rooms(1))
    assert len(batch.jobs) == JOBS_BY_STARTS[1]


@given(jobs, st.data())
def test_what_is_dropped_is_in_no_batch(backlog: list[WaitingJob], data: st.DataObject) -> None:
    """The kept orders agree on who is there, whatever was added again and dropped."""
    held = WaitingJobs(backlog)
    gone = data.draw(st.lists(st.sampled_from(backlog))) if backlog else []
    for job in gone:
        held.drop(job.key)
    for job in set(backlog) - set(gone):
        held.add(job)

    left = [job for jobs in held.by_length().values() for job in jobs]
    assert sorted(left) == sorted(held) == sorted(set(backlog) - set(gone))
    assert {each: held.count(each) for each in Priority} == {
        each: sum(job.priority is each for job in left) for each in Priority
    }
