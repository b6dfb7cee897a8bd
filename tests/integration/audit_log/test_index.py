"""The index of a log: what is deleted there is on disk no more, whoever has it open."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.audit_logs import KEY, is_killed_before, log_of

from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.index import FILE, Index, Row, job_key

SIZE = 600


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two whole tiles and a part of one."""
    return log_of(tmp_path / "log", SIZE)


@pytest.fixture
def keeper(log: Path) -> Iterator[LogFolder]:
    """Its writer, which has the index open."""
    with LogFolder(log, KEY) as opened:
        yield opened


@pytest.fixture
def reader(log: Path) -> Iterator[sqlite3.Connection]:
    """Who is in the midst of reading the index, and sees what stood there."""
    connection = sqlite3.connect(log / FILE)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM records").fetchone()
    yield connection
    connection.close()


def salts_of(log: Path) -> list[bytes]:
    """The salts of all records."""
    with Index(log) as index:
        return [row.salt for row in index.rows()]


def num_found(log: Path, salts: list[bytes]) -> int:
    """How many of these stand in the index's files."""
    content = b"".join(path.read_bytes() for path in log.glob(f"{FILE}*"))
    return sum(salt in content for salt in salts)


def erase(log: Path, begin: int, end: int, patience: float = 10.0) -> bool:
    """Erase the salts of jobs as `smallfirst forget` does; say whether they are overwritten."""
    with Index(log, may_write=True, patience=patience) as index:
        return erase_in(index, begin, end)


def erase_in(index: Index, begin: int, end: int) -> bool:
    """Likewise, in an index that is open."""
    index.erase([("default", f"j{number}") for number in range(begin, end)])
    return index.overwrite()


@pytest.mark.parametrize(("begin", "end"), [(300, 301), (0, 200), (0, SIZE)])
def test_erased_salts_are_on_disk_no_more_while_the_keeper_lives(
    log: Path, keeper: LogFolder, begin: int, end: int
) -> None:
    """One, many and all; the others stay."""
    salts = salts_of(log)
    assert erase(log, begin, end)
    assert num_found(log, salts[begin:end]) == 0
    assert num_found(log, salts) == SIZE - (end - begin)
    assert keeper.size == SIZE


def test_salts_of_removed_records_are_on_disk_no_more(log: Path, keeper: LogFolder) -> None:
    """As soon as the keeper has removed them, whoever has the index open besides."""
    salts = salts_of(log)
    with Index(log):
        assert keeper.remove(256)
        assert num_found(log, salts[:256]) == 0
    assert num_found(log, salts[256:]) == SIZE - 256


def test_salts_that_somebody_still_reads_are_told_and_overwritten_later(
    log: Path, keeper: LogFolder, reader: sqlite3.Connection
) -> None:
    """Nothing waits for a reader for long; who asks again has them overwritten."""
    salts = salts_of(log)
    with Index(log, may_write=True, patience=0.05) as index:
        assert index.erase([("default", "j5")]) == 1
        assert not index.overwrite()
        assert num_found(log, salts[5:6]) == 1
        reader.rollback()
        assert index.overwrite()
    assert num_found(log, salts[5:6]) == 0
    assert keeper.size == SIZE


def test_who_asks_again_overwrites_what_was_erased_before(
    log: Path, keeper: LogFolder, reader: sqlite3.Connection
) -> None:
    """Though there is nothing left to erase."""
    salts = salts_of(log)
    assert not erase(log, 5, 6, patience=0.05)
    reader.rollback()
    assert erase(log, 7, 7)
    assert num_found(log, salts[5:6]) == 0
    assert keeper.size == SIZE


def test_whoever_looks_through_the_log_keeps_no_salt_from_being_overwritten(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads rows by the page, and between two nothing is held."""
    monkeypatch.setattr("smallfirst.audit_log.index._PAGE", 100)
    with Index(log) as index:
        rows = index.rows()
        numbers = [next(rows).number for _ in range(150)]
        assert erase(log, 0, 300, patience=0.05)
        numbers += [row.number for row in rows]
    assert numbers == [*range(200), *range(300, SIZE)]


def test_salts_that_a_killed_process_has_erased_are_overwritten_by_the_next(
    log: Path, keeper: LogFolder
) -> None:
    """Whichever statement it was killed before."""
    salts, step = salts_of(log), 1
    opened = partial(Index, log, may_write=True)
    while is_killed_before(step, opened, lambda index: erase_in(index, 0, 3)):
        step += 1
        assert erase(log, 0, 3)
        assert num_found(log, salts[:3]) == 0
        assert num_found(log, salts[3:]) == SIZE - 3
        put_back(log, salts[:3])
    assert step > 4
    assert keeper.size == SIZE


def put_back(log: Path, salts: list[bytes]) -> None:
    """Put the salts of the first jobs back."""
    with Index(log, may_write=True) as index:
        rows = [Row(n, job_key("default", f"j{n}"), salt) for n, salt in enumerate(salts)]
        index.add(SIZE, rows, {})
