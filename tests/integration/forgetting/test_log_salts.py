"""The salts of a person's records are erased, however many records of others come meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.audit_logs import KEY
from tests.support.ledgers import KEYS, ended

from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.keeping import Keeper
from smallfirst.forgetting.errors import WrongPlace
from smallfirst.forgetting.forgotten import JobName
from smallfirst.forgetting.log_salts import erase, look_at
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.slices import Slice


@pytest.fixture
def folder(tmp_path: Path, redis: Any) -> Path:
    """A log in which a person's record is."""
    with keeper_of(tmp_path / "log", redis) as keeper:
        ended(redis, "ann")
        keeper.turn()
    return tmp_path / "log"


@contextmanager
def keeper_of(folder: Path, redis: Redis) -> Iterator[Keeper]:
    """Who keeps the log."""
    with LogFolder(folder, KEY) as log:
        keeper = Keeper(log, [RecordStream(redis, KEYS)], KEY.verifier)
        keeper.open()
        yield keeper


@contextmanager
def repeated(*deeds: Any) -> Iterator[None]:
    """Do each thing over and over, on a thread of its own."""
    over = threading.Event()

    def repeat(deed: Any) -> None:
        while not over.is_set():
            deed()

    threads = [threading.Thread(target=repeat, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def num_salts(folder: Path, job_id: str) -> int:
    """How many records are known as a job's."""
    with Index(folder) as index:
        return len(index.find("default", job_id))


def test_records_that_come_later_are_not_waited_for(redis: Any, folder: Path) -> None:
    """On a busy fleet some wait at any time; theirs are in the log once the next ones are."""
    ended(redis, "ann2")
    record = dict(redis.xrange(KEYS.log)[0][1])
    jobs = [JobName("default", name) for name in ("ann", "ann2")]
    with keeper_of(folder, redis) as keeper:

        def add() -> None:
            pipeline = redis.pipeline()
            for _ in range(100):
                pipeline.xadd(KEYS.log, {**record, "id": "bob"}, maxlen=5000)
            pipeline.execute()

        with repeated(add, keeper.turn):
            erased = erase(folder, jobs, [Slice(redis, KEYS)], seconds=20)
    assert (erased.number, erased.failures) == (2, ())
    assert [num_salts(folder, name) for name in ("ann", "ann2")] == [0, 0]


def test_where_nobody_takes_records_up_the_others_salts_go(redis: Any, folder: Path) -> None:
    """And it is told what to do."""
    ended(redis, "ann2")
    jobs = [JobName("default", name) for name in ("ann", "ann2")]
    erased = erase(folder, jobs, [Slice(redis, KEYS)], seconds=0)
    assert erased.number == 1
    [failure] = erased.failures
    assert (failure.place, failure.remedy) == (str(folder), "start it")
    assert num_salts(folder, "ann") == 0


def test_a_broken_index_is_told(redis: Any, folder: Path) -> None:
    """It ends nothing else, and its file is named."""
    (folder / "index").write_bytes(b"?" * 5000)
    erased = erase(folder, [JobName("default", "ann")], [Slice(redis, KEYS)])
    assert (erased.number, [failure.place for failure in erased.failures]) == (
        0,
        [str(folder / "index")],
    )


def test_a_folder_without_a_log_is_known_before(tmp_path: Path) -> None:
    """Nothing is made there."""
    with pytest.raises(WrongPlace, match="no audit log is there; see --log"):
        look_at(tmp_path)
    assert list(tmp_path.iterdir()) == []
