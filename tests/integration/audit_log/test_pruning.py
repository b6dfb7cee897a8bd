"""A log that removes old records: what is left is whole, and what was proven stays proven."""

import base64
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import time

import pytest
from redis import Redis
from tests.support.audit_logs import KEY, log_of, records
from tests.support.ledgers import KEYS
from tests.support.waiting import WaitUntil
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import InclusionProof

from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.index import FILE, Position
from smallfirst.audit_log.keeping import Keeper
from smallfirst.audit_log.proofs import prove
from smallfirst.audit_log.tiles import Tiles, tile_name
from smallfirst.audit_log.verifying import verify
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.records import PrunedRecord, read_record

SIZE = 600
#: Records were put down at 1 ms, 2 ms and so on, so that the first tile is older than this.
THAN_MS = 300


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two whole tiles of records, and a part of one."""
    return log_of(tmp_path / "log", 300, 520, SIZE)


@pytest.fixture
def folder(log: Path) -> Iterator[LogFolder]:
    """The same, as its writer has it."""
    with LogFolder(log, KEY) as opened:
        yield opened


@pytest.fixture
def keeper(folder: LogFolder, redis: Redis) -> Keeper:
    """Who keeps it."""
    return Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier)


def breaks_of(log: Path) -> list[str]:
    """Where it is broken."""
    return [str(each) for each in verify(log, KEY.verifier)[1]]


def test_what_is_older_is_removed_and_the_log_says_so(log: Path, keeper: Keeper) -> None:
    """By whole tiles, with the salts; a second look removes no more."""
    assert keeper.prune(THAN_MS) == 256
    assert keeper.prune(THAN_MS) == 0
    assert breaks_of(log) == []
    assert not (log / tile_name("entries", 0)).exists()
    assert (log / tile_name(0, 0)).exists()
    tiles = Tiles(log, SIZE + 1)
    assert tiles.first == 256
    *others, last = map(read_record, tiles.entries())
    assert len(others) == SIZE - 256
    assert isinstance(last, PrunedRecord)
    assert last.below == 256
    assert prove(log, KEY.verifier, "default", "j255") is None
    assert prove(log, KEY.verifier, "default", "j256") is not None


def test_proofs_of_before_hold_and_so_do_checkpoints(log: Path, keeper: Keeper) -> None:
    """A verifier that is not ours takes both, and proves what is left."""
    signed, _ = verify(log, KEY.verifier)
    assert signed is not None
    record, proof = Tiles(log, SIZE).entry(5), prove(log, KEY.verifier, "default", "j5")
    assert proof is not None
    keeper.prune(THAN_MS)
    assert verify(log, KEY.verifier, since=signed)[1] == []
    lines = proof.partition("\n\n")[0].split("\n")[3:]
    path = [base64.b64decode(line) for line in lines]
    InclusionProof(5, SIZE, path).check(leaf_hash(record), signed.root)
    reader = TilesReader(LocalBackend(log))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(KEY.verifier.line))
    found = reader.get_inclusion_proof(300, checkpoint.size)
    found.check(leaf_hash(reader.get_entry(300)), checkpoint.root_hash)
    reader.get_consistency_proof(SIZE, checkpoint.size).check(signed.root, checkpoint.root_hash)


def test_records_that_somebody_took_out_are_named(log: Path, keeper: Keeper) -> None:
    """Whatever was removed before by right."""
    keeper.prune(THAN_MS)
    (log / tile_name("entries", 1)).unlink()
    [broken] = breaks_of(log)
    assert broken.startswith("tile/entries/001: record 256 and the 255 after it are gone")


def test_a_crash_before_all_is_removed_leaves_a_whole_log(
    log: Path, keeper: Keeper, tmp_path: Path
) -> None:
    """The next look removes what is left."""
    kept = shutil.copy(log / tile_name("entries", 0), tmp_path / "kept")
    keeper.prune(THAN_MS)
    shutil.copy(kept, log / tile_name("entries", 0))
    assert breaks_of(log) == []
    assert keeper.prune(THAN_MS) == 256
    assert not (log / tile_name("entries", 0)).exists()
    assert breaks_of(log) == []


def test_it_grows_on_and_needs_no_index_for_that(log: Path, redis: Redis) -> None:
    """Where a slice is stands in the records that are left."""
    with LogFolder(log, KEY) as folder:
        Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier).prune(THAN_MS)
    for path in log.glob(f"{FILE}*"):
        path.unlink()
    with LogFolder(log, KEY) as folder:
        assert folder.positions == {0: Position(f"{SIZE}-0")}
        folder.append(records(SIZE, 800), {0: Position("800-0")})
        keeper = Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier)
        assert keeper.prune(10**15) == 768
    assert breaks_of(log) == []
    assert Tiles(log, 802).first == 768


def test_a_log_of_young_records_and_an_empty_one_stay(
    log: Path, keeper: Keeper, redis: Redis, tmp_path: Path
) -> None:
    """Nothing is written about nothing."""
    before = (log / "checkpoint").read_bytes()
    assert keeper.prune(256) == 0
    assert (log / "checkpoint").read_bytes() == before
    with LogFolder(tmp_path / "empty", KEY) as folder:
        assert Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier).prune(10**15) == 0


def test_a_keeper_removes_by_itself_what_is_older_than_it_keeps(
    log: Path, keeper: Keeper, wait_until: WaitUntil
) -> None:
    """Records of 1970 are; what came within the last minutes is not."""
    keeper.open()
    stop, keep = threading.Event(), timedelta(seconds=time() - 1.0)
    running = threading.Thread(
        target=keeper.run, args=(stop, timedelta(seconds=0.02), lambda: None, keep)
    )
    running.start()
    wait_until(lambda: Tiles(log, SIZE).first == 512, description="old records are removed")
    stop.set()
    running.join()
    assert breaks_of(log) == []
