"""A log that removes old records: what is left is whole, and what was proven stays proven."""

import base64
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs
from tests.support.audit_logs import GONE, KEY, SIZE, is_killed_before, log_of, records
from tests.support.ledgers import KEYS, ended
from tests.support.waiting import WaitUntil
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import InclusionProof

from smallfirst.audit_log.folder import Entry, LogFolder, read_checkpoint
from smallfirst.audit_log.index import FILE, Index, Position
from smallfirst.audit_log.keeping import Keeper
from smallfirst.audit_log.notes import Checkpoint
from smallfirst.audit_log.proofs import prove
from smallfirst.audit_log.pruning import told_below
from smallfirst.audit_log.tiles import Tiles, tile_name
from smallfirst.audit_log.verifying import verify
from smallfirst.errors import AuditLogError
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.records import PrunedRecord, read_record

#: Records were put down at 1 ms, 2 ms and so on, so that the first tile is older than this.
THAN_MS = 300
ALL = 10**15


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


@contextmanager
def keeper_of(log: Path, redis_url: str) -> Iterator[Keeper]:
    """A keeper that was started anew."""
    with Redis.from_url(redis_url) as redis, LogFolder(log, KEY) as folder:
        yield Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier)


def prune(log: Path, redis_url: str, than_ms: int = THAN_MS) -> int:
    """Have a keeper remove old records that was started for it."""
    with keeper_of(log, redis_url) as keeper:
        return keeper.prune(than_ms)


def state_of(log: Path) -> tuple[object, ...]:
    """What is left of a whole log: its files of records, their salts, and the records but the last.

    Whoever died after it had said that records are removed says so again.
    """
    assert breaks_of(log) == []
    files = {path.relative_to(log) for path in (log / "tile/entries").rglob("*")}
    tiles = Tiles(log, read_checkpoint(log, KEY.verifier).size)
    records = [each for each in tiles.entries() if not told_below(each)]
    with Index(log) as index:
        rows = list(index.rows())
    last = {path for path in files if path.match("002.p/*")}
    return files - last, rows, records, next(reversed(list(map(told_below, tiles.entries()))))


def test_a_keeper_that_is_killed_leaves_nothing_that_the_next_does_not_remove(
    grown: Path, redis_url: str, tmp_path: Path
) -> None:
    """At every step on disk; the records are whole meanwhile, and in the end as without it."""
    unharmed = shutil.copytree(grown, tmp_path / "unharmed")
    assert prune(unharmed, redis_url, ALL) == 512
    expected, salts = state_of(unharmed), salts_below(grown, 512)
    step, was_killed = 0, True
    while was_killed:
        step += 1
        log = Path(shutil.copytree(grown, tmp_path / f"killed-{step}"))
        opened = partial(keeper_of, log, redis_url)
        was_killed = is_killed_before(step, opened, lambda keeper: keeper.prune(ALL))
        assert breaks_of(log) == []
        prune(log, redis_url, ALL)
        assert state_of(log) == expected
        content = b"".join(path.read_bytes() for path in log.glob(f"{FILE}*"))
        assert not any(salt in content for salt in salts)
    assert step > 15


def salts_below(log: Path, below: int) -> list[bytes]:
    """The salts of the records below a number."""
    with Index(log) as index:
        return [row.salt for row in index.rows() if row.number < below]


def test_a_keeper_that_is_killed_while_it_adds_leaves_no_part_of_a_tile(
    grown: Path, tmp_path: Path
) -> None:
    """At every step on disk: once its tile is whole, and once that is removed."""
    more, to = records(SIZE, 780), {0: Position("780-0")}
    step, was_killed = 0, True
    while was_killed:
        step += 1
        log = Path(shutil.copytree(grown, tmp_path / f"killed-{step}"))
        opened = partial(LogFolder, log, KEY)
        was_killed = is_killed_before(step, opened, lambda folder: folder.append(more, to))
        with LogFolder(log, KEY) as folder:
            size = folder.size
            left = [
                path for level in ("0", "entries") for path in (log / "tile" / level).glob("*.p")
            ]
            assert all(int(path.stem) >= size // 256 for path in left)
            folder.append(records(size, 800), {0: Position("800-0")})
            assert folder.remove(folder.older(ALL))
        assert {path.name for path in (log / "tile/entries").iterdir()} == {"003.p"}
    assert step > 10


def test_what_an_earlier_version_has_left_of_removed_records_is_removed(
    log: Path, redis_url: str
) -> None:
    """Parts of tiles, tiles behind a missing one, and a tile that was brought back."""
    kept = (log / tile_name("entries", 0)).read_bytes()
    prune(log, redis_url)
    part = log / tile_name("entries", 0, 44)
    part.parent.mkdir()
    part.write_bytes(kept)
    (log / tile_name("entries", 0)).write_bytes(kept)
    assert prune(log, redis_url) == 256
    assert {path.name for path in (log / "tile/entries").iterdir()} == {"001", "002.p"}
    with keeper_of(log, redis_url) as keeper:
        part.parent.mkdir()
        part.write_bytes(kept)
        assert keeper.prune(THAN_MS) == 0
        assert not part.parent.exists()
    assert breaks_of(log) == []


def test_a_tile_that_somebody_took_out_is_named_before_and_after(
    tmp_path: Path, redis: Redis
) -> None:
    """What is older is removed, and nothing behind it: no record is to cover what is missing."""
    log = log_of(tmp_path / "long", 1500)
    (log / tile_name("entries", 2)).unlink()
    taken_out = [f"tile/entries/002: record 512 {GONE}"]
    assert breaks_of(log) == taken_out
    for _ in range(2):
        with LogFolder(log, KEY) as folder:
            keeper = Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier)
            for _ in range(2):
                with suppress(AuditLogError):
                    assert keeper.prune(ALL) == 512
        assert breaks_of(log) == taken_out
        names = {path.name for path in (log / "tile/entries").iterdir()}
        assert names == {"003", "004", "005.p"}


def test_the_first_tile_taken_out_is_not_taken_for_removed(log: Path, keeper: Keeper) -> None:
    """No record says so."""
    (log / tile_name("entries", 0)).unlink()
    with pytest.raises(AuditLogError, match="tile/entries/000: is missing"):
        keeper.prune(ALL)
    assert breaks_of(log) == [f"tile/entries/000: record 0 {GONE}"]


def test_any_flipped_bit_in_a_tile_stops_its_removal_alone(
    log: Path, folder: LogFolder, redis: Redis
) -> None:
    """Be it in a length, a letter, a brace or a digit; new records are taken up, and it is told."""
    path, rng = log / tile_name("entries", 0), random.Random(6)
    whole = path.read_bytes()
    places = [0, 1, 2, 4, whole.index(b"entry") + 9, *rng.sample(range(len(whole)), 10)]
    keeper = Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier)
    keeper.open()
    begin = folder.size
    for number, place in enumerate(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        ended(redis, f"a{number}")
        told = told_in_a_turn(Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier))
        [unpruned] = [each for each in told if each["log_level"] == "error"]
        assert unpruned["event"] == "audit_log.unpruned"
        assert "audit-log verify" in unpruned["remedy"]
        assert folder.size == begin + number + 1
        assert bytes(flipped) == path.read_bytes()
        assert any(each.startswith("tile/entries/000") for each in breaks_of(log)), place
    path.write_bytes(whole)
    assert keeper.prune(THAN_MS) == 256


def told_in_a_turn(keeper: Keeper) -> list[Any]:
    """Run a keeper for a turn, with records of 1970 to remove; give what it logged."""
    stop, keep = threading.Event(), timedelta(seconds=time() - 1.0)
    with capture_logs() as told:
        keeper.run(stop, timedelta(seconds=0.01), stop.set, keep)
    return told


def test_records_that_are_removed_while_somebody_verifies_are_not_said_to_be_taken_out(
    log: Path, folder: LogFolder, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was signed meanwhile says so; what it does not speak of is named as ever."""
    meanwhile(monkeypatch, lambda: keeper.prune(THAN_MS))
    assert breaks_of(log) == []
    (log / tile_name("entries", 1)).unlink()
    more = records(SIZE, 640)
    meanwhile(monkeypatch, lambda: folder.append(more, {}))
    assert breaks_of(log) == [f"tile/entries/001: record 256 {GONE}"]


def test_a_log_that_grows_while_somebody_verifies_is_whole(
    log: Path, folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tile that was not whole when it began is, and its parts are gone."""
    more = records(SIZE, 800)
    meanwhile(monkeypatch, lambda: folder.append(more, {0: Position("800-0")}))
    assert breaks_of(log) == []


def meanwhile(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Do something as soon as the one who verifies has read the checkpoint for the first time."""
    todo = [do]

    def read(*given: Any) -> Checkpoint:
        found = read_checkpoint(*given)
        for each in todo[:]:
            todo.clear()
            each()
        return found

    monkeypatch.setattr("smallfirst.audit_log.verifying.read_checkpoint", read)


def test_a_workers_record_keeps_no_older_one_from_being_removed(log: Path) -> None:
    """One that an earlier version took up: when it was put down is what its keeper wrote."""
    said = b'{"slice":0,"entry":"601-0","kind":"result","entry":"99999999999999-0"}'
    with LogFolder(log, KEY) as folder:
        folder.append([Entry(said), *records(SIZE, 800)], {})
        assert folder.older(801) == 768


def test_a_workers_record_removes_none(log: Path) -> None:
    """One that an earlier version took up, whatever stands in it, and whether its salt is there."""
    said = b'{"slice":0,"entry":"700-0","kind":"result","slice":0,"kind":"pruned","below":512}'
    with LogFolder(log, KEY) as folder:
        folder.append([Entry(said)], {})
    (log / tile_name("entries", 0)).unlink()
    assert breaks_of(log) == [f"tile/entries/000: record 0 {GONE}"]
    with LogFolder(log, KEY) as folder, pytest.raises(AuditLogError, match="is missing"):
        folder.older(ALL)


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
        assert keeper.prune(ALL) == 768
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
        assert Keeper(folder, [RecordStream(redis, KEYS)], KEY.verifier).prune(ALL) == 0


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
