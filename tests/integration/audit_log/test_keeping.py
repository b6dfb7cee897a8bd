"""Each result has one record in the log, whatever happened; and nobody pays without one."""

import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.audit_logs import KEY
from tests.support.ledgers import (
    BACKLOG,
    KEYS,
    OWN,
    cancellation,
    dispatched,
    ended,
    finish_of,
    ledger_of,
    refusal_of,
    submission,
)

from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.index import Index, Position
from smallfirst.audit_log.keeping import Keeper
from smallfirst.audit_log.replaying import Records
from smallfirst.audit_log.tiles import Tiles
from smallfirst.audit_log.verifying import verify
from smallfirst.errors import AuditLogError
from smallfirst.jobs import Status
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.records import (
    AuditRecord,
    GapRecord,
    ResultRecord,
    VoidRecord,
    read_record,
    record_of,
    salt_digest,
    salted,
)


@pytest.fixture
def stream(redis: Redis) -> RecordStream:
    """The records of the one slice."""
    return RecordStream(redis, KEYS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the log lies."""
    return tmp_path / "log"


@pytest.fixture
def keeper(folder: Path, stream: RecordStream) -> Iterator[Keeper]:
    """Who keeps the log."""
    with LogFolder(folder, KEY) as log:
        keeper = Keeper(log, [stream], KEY.verifier)
        keeper.open()
        yield keeper


def logged(folder: Path) -> list[AuditRecord]:
    """All records of a log, which is whole."""
    signed, breaks = verify(folder, KEY.verifier)
    assert signed is not None
    assert not breaks
    return [read_record(raw) for raw in Tiles(folder, signed.size).entries()]


def statuses(folder: Path) -> Counter[str | None]:
    """How the jobs ended whose results are recorded."""
    return Counter(each.status for each in logged(folder) if isinstance(each, ResultRecord))


def test_a_fleet_without_a_log_keeps_no_record(redis: Any, stream: RecordStream) -> None:
    """Nothing grows where nobody reads."""
    ended(redis)
    assert not stream.is_open
    assert not redis.keys(f"{KEYS.log}*")


def test_every_way_to_a_result_leaves_one_record(redis: Any, keeper: Keeper, folder: Path) -> None:
    """A result, a refusal, a cancellation in flight, and one that came before its job."""
    ended(redis, "a1")
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [refusal_of(redis, "b1", "wrong")])
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "c1")])
    ledger.settle(OWN.jobs, ROUTER_GROUP, [cancellation(redis, "c1")])
    ledger.settle(OWN.jobs, ROUTER_GROUP, [cancellation(redis, "d1")])
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "d1")])
    assert keeper.turn() == 4
    assert keeper.turn() == 0
    assert statuses(folder) == {Status.ANSWERED: 1, Status.REFUSED: 1, Status.CANCELLED: 2}
    assert redis.xlen(KEYS.log) == 0


def test_a_late_answer_leaves_no_record(redis: Any, keeper: Keeper, folder: Path) -> None:
    """Nor does a job whose id is taken."""
    ended(redis, "a1")
    [entry] = dispatched(redis, "a1")
    ledger = ledger_of(redis)
    assert ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry)]).fenced == 1
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")]).joined == 1
    keeper.turn()
    assert statuses(folder) == {Status.ANSWERED: 1}


def test_who_settled_before_the_log_was_opened_records_what_it_settles_next(
    redis: Any, folder: Path, stream: RecordStream
) -> None:
    """No setting tells routers and workers of a log: the stream does. And when it is closed."""
    worker, entries = ledger_of(redis, "worker"), dispatched(redis, "a1", "b1", "c1", "d1")
    rows = [
        finish_of(e, job_id) for e, job_id in zip(entries, ("a1", "b1", "c1", "d1"), strict=True)
    ]
    worker.settle(BACKLOG, POOL_GROUP, rows[:1])
    with LogFolder(folder, KEY) as log:
        keeper = Keeper(log, [stream], KEY.verifier)
        keeper.open()
        worker.settle(BACKLOG, POOL_GROUP, rows[1:2])
        assert worker.settle_streams({BACKLOG: rows[2:3]}, POOL_GROUP) == {}
        keeper.turn()
    stream.close()
    assert worker.settle(BACKLOG, POOL_GROUP, rows[3:]).results == 1
    assert not redis.keys(f"{KEYS.log}*")
    assert statuses(folder) == {Status.ANSWERED: 2}


def test_records_that_nobody_took_up_are_counted_once_there_is_no_room(
    redis: Any, keeper: Keeper, folder: Path
) -> None:
    """The fleet goes on, and the log says how many results have no record; once."""
    fill = "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'void', '0-1') end"
    redis.eval(fill, 1, KEYS.log)
    ended(redis, "a1")
    ended(redis, "b1")
    redis.xtrim(KEYS.log, maxlen=0, approximate=False)
    ended(redis, "c1")
    keeper.turn()
    keeper.turn()
    found = logged(folder)
    assert [each.lost for each in found if isinstance(each, GapRecord)] == [2]
    assert statuses(folder) == {Status.ANSWERED: 1}


def test_a_stream_that_is_gone_is_told_and_made_anew(
    redis: Any, keeper: Keeper, folder: Path
) -> None:
    """As after a failover to an empty replica: nobody knows what was lost."""
    ended(redis, "a1")
    keeper.turn()
    redis.flushall()
    keeper.turn()
    ended(redis, "b1")
    keeper.turn()
    assert [each.kind for each in logged(folder)] == ["result", "gap", "result"]


def test_a_void_record_is_none(redis: Any, keeper: Keeper, folder: Path) -> None:
    """Whether it was taken up already, or not."""
    ended(redis, "a1")
    [[entry, _]] = redis.xrange(KEYS.log)
    redis.xadd(KEYS.log, {"void": entry})
    ended(redis, "b1")
    keeper.turn()
    [only] = logged(folder)
    redis.xadd(KEYS.log, {"void": only.entry})
    keeper.turn()
    [_, void] = logged(folder)
    assert isinstance(void, VoidRecord)
    assert void.of == only.entry


def test_nonsense_in_the_stream_stops_no_log(redis: Any, keeper: Keeper, folder: Path) -> None:
    """What stands there was written by the fleet alone; a record that is none is told as bare."""
    for record in (b"", b"nonsense", b'{"kind":"result",' + b"x" * 70_000):
        fields = {"producer": "default", "id": "a1", "record": record, "salt": b"s" * 16}
        redis.xadd(KEYS.log, fields)
    assert keeper.turn() == 3
    assert [each.kind for each in logged(folder)] == ["result"] * 3
    assert statuses(folder) == {None: 3}


@pytest.mark.parametrize(
    "more",
    [
        ',"kind":"pruned","below":99999}',
        ',"k\\u0069nd":"pruned","below":99999}',
        ',"kind":"gap","lost":7}',
        ',"kind":"void","of":"1-0"}',
        ',"kind":"none"}',
        ',"entry":"99999999999999-0"}',
        ',"\\u0065ntry":"0-1"}',
        ',"slice":3}',
        ',"salt":"0123456789abcdef"}',
        "}}",
        "",
    ],
)
def test_a_record_that_says_what_its_writer_may_not_is_told_as_bare(
    redis: Any, keeper: Keeper, folder: Path, more: str
) -> None:
    """A key that stands twice makes it no other kind, nor of another entry: the result stays."""
    record, salt = record_of(finish_of("1-1"))
    fields = {"producer": "default", "id": "a1", "record": record[:-1] + more, "salt": salt}
    entry = redis.xadd(KEYS.log, fields).decode()
    assert keeper.turn() == 1
    [only] = logged(folder)
    assert isinstance(only, ResultRecord)
    assert (only.slice, only.entry, only.status) == (0, entry, None)
    with Index(folder) as index:
        [row] = index.find("default", "a1")
    assert only.job == salted(row.salt, "job", "default", "a1")


def test_a_record_that_is_not_whole_holds_nothing_up(
    redis: Any, folder: Path, stream: RecordStream
) -> None:
    """It says nothing of its result; a log that lost its index goes on behind it all the same."""
    fields = {"producer": "default", "id": "a1", "salt": b"s" * 16}
    record = f'{{"kind":"result","salt":"{salt_digest(b"s" * 16)}"}}'
    with LogFolder(folder, KEY) as log:
        keeper = Keeper(log, [stream], KEY.verifier)
        keeper.open()
        entry = redis.xadd(KEYS.log, fields | {"record": record}).decode()
        keeper.turn()
    signed, breaks = verify(folder, KEY.verifier)
    assert signed is not None
    assert not breaks
    with Index(folder) as index:
        assert Records(index, Tiles(folder, 1), signed.root).last("default", "a1") is None
    for path in folder.glob("index*"):
        path.unlink()
    with LogFolder(folder, KEY) as log:
        assert log.positions == {0: Position(entry)}


def test_names_that_are_none_stop_no_log(redis: Any, keeper: Keeper, folder: Path) -> None:
    """No text, or more of it than there is room: all is taken up."""
    for name in (b"\xff", b"x" * 70_000, b"\0" * 5000, b"\xed\xa0\x80"):
        redis.xadd(KEYS.log, {"producer": name, "id": name, "record": b"", "salt": b"s"})
        redis.xadd(KEYS.log, {"void": name})
    assert keeper.turn() == 8
    assert [each.kind for each in logged(folder)] == ["result", "void"] * 4


def test_an_older_copy_of_the_folder_signs_nothing(
    redis: Any, folder: Path, stream: RecordStream, tmp_path: Path
) -> None:
    """Redis knows what was signed last; two logs of one fleet would contradict each other."""
    with LogFolder(folder, KEY) as log:
        Keeper(log, [stream], KEY.verifier).open()
        ended(redis, "a1")
        Keeper(log, [stream], KEY.verifier).turn()
    for name in (tmp_path / "older", folder):
        with LogFolder(name, KEY) as log:
            keeper = Keeper(log, [stream], KEY.verifier)
            if name == folder:
                keeper.open()
            else:
                with pytest.raises(AuditLogError, match="has 0 records, and 1 were signed"):
                    keeper.open()


KEEP = """
    import os, signal, sys
    from pathlib import Path
    from redis import Redis
    from tests.support.audit_logs import KEY
    from smallfirst.audit_log.folder import LogFolder
    from smallfirst.audit_log.keeping import Keeper
    from smallfirst.ledger.keys import Keys
    from smallfirst.ledger.record_streams import RecordStream

    count, sync = int(sys.argv[3]), os.fsync

    def fsync(place):
        global count
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(place)

    class Stream(RecordStream):
        def forget(self, until):
            os.kill(os.getpid(), signal.SIGKILL)

    redis = Redis.from_url(sys.argv[1])
    with LogFolder(Path(sys.argv[2]), KEY) as log:
        keeper = Keeper(log, [Stream(redis, Keys())], KEY.verifier)
        keeper.open()
        os.fsync = fsync
        keeper.turn()
"""


@pytest.mark.parametrize("moment", [3, 1000])
def test_a_keeper_that_is_killed_doubles_no_record_and_loses_none(
    redis: Any, redis_url: str, folder: Path, stream: RecordStream, moment: int
) -> None:
    """Between tiles and checkpoint, or between checkpoint and Redis: the next one goes on."""
    with LogFolder(folder, KEY) as log:
        Keeper(log, [stream], KEY.verifier).open()
    for number in range(5):
        ended(redis, f"a{number}")
    program = [sys.executable, "-c", textwrap.dedent(KEEP), redis_url, str(folder), str(moment)]
    killed = subprocess.run(program, check=False)
    assert killed.returncode == -signal.SIGKILL
    with LogFolder(folder, KEY) as log:
        keeper = Keeper(log, [stream], KEY.verifier)
        keeper.open()
        keeper.turn()
    assert statuses(folder) == {Status.ANSWERED: 5}
    entries = [each.entry for each in logged(folder)]
    assert len(set(entries)) == 5
