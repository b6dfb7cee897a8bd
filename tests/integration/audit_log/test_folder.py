"""A log on disk: read by a library that is not ours, whole after a crash, each flip named."""

import base64
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.audit_logs import GONE, KEY, SIZE, disk_that_fails_after, log_of, records
from tlog_scales import tlog
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash

from smallfirst.audit_log.folder import CHECKPOINT, LogFolder, read_checkpoint
from smallfirst.audit_log.index import Index, Position
from smallfirst.audit_log.merkle import root_of
from smallfirst.audit_log.notes import SigningKey
from smallfirst.audit_log.proofs import prove
from smallfirst.audit_log.tiles import Tiles
from smallfirst.audit_log.verifying import verify
from smallfirst.errors import AuditLogError
from smallfirst.ledger.records import ResultRecord, read_record, salted

VKEY = Vkey.from_string(KEY.verifier.line)


def test_a_verifier_that_is_not_ours_reads_the_log(grown: Path) -> None:
    """Its checkpoint, its tiles, the proof of each record, and that of an earlier checkpoint."""
    reader = TilesReader(LocalBackend(grown))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(VKEY)
    assert checkpoint.size == SIZE
    assert reader.calculate_root_hash() == checkpoint.root_hash
    for number in (0, 255, 256, 519, 520, SIZE - 1):
        proof = reader.get_inclusion_proof(number, SIZE)
        proof.check(leaf_hash(reader.get_entry(number)), checkpoint.root_hash)
    earlier = Tiles(grown, SIZE).root(0, 520)
    reader.get_consistency_proof(520, SIZE).check(earlier, checkpoint.root_hash)


def test_the_proof_of_a_job_is_verified_without_us(grown: Path) -> None:
    """Of the text that we print nothing is needed but the verifier key; and it tells the job."""
    proof = prove(grown, KEY.verifier, "default", "j300")
    assert proof is not None
    head, _, note = proof.partition("\n\n")
    form, extra, index, *path = head.split("\n")
    assert (form, index) == ("c2sp.org/tlog-proof@v1", "index 300")
    told = json.loads(base64.b64decode(extra.removeprefix("extra ")))
    checkpoint = tlog.Checkpoint.from_text(note)
    checkpoint.verify(VKEY)
    hashes = [base64.b64decode(line) for line in path]
    inclusion = tlog.InclusionProof(300, checkpoint.size, hashes)
    inclusion.check(leaf_hash(told["record"].encode()), checkpoint.root_hash)
    record, salt = json.loads(told["record"]), bytes.fromhex(told["salt"])
    assert record["job"] == salted(salt, "job", "default", "j300")
    assert record["input"] == salted(salt, "input", "text 300")
    assert record["answer"] == salted(salt, "answer", "yes")
    assert record["trail"][0]["threshold"] == 0.8
    assert "text" not in told["record"]
    assert "j300" not in told["record"]


def test_a_job_that_is_not_there_has_no_proof(grown: Path) -> None:
    """Nor has another producer's of the same id."""
    assert prove(grown, KEY.verifier, "default", "j600") is None
    assert prove(grown, KEY.verifier, "other", "j300") is None


def files_of(log: Path) -> Iterator[Path]:
    """Every file that a log is made of, but for what locks it and what is told for convenience."""
    for path in sorted(log.rglob("*")):
        if path.is_file() and path.name not in (".lock", "verifier-key"):
            yield path


def test_a_whole_log_is_found_whole(grown: Path) -> None:
    """And to hold what an earlier checkpoint signed."""
    signed, breaks = verify(grown, KEY.verifier)
    assert signed is not None
    assert (signed.size, breaks) == (SIZE, [])
    assert verify(grown, KEY.verifier, since=signed)[1] == []


def test_a_flipped_byte_is_named_in_every_file(log: Path) -> None:
    """By its file, whichever byte it is; and a record by its number."""
    rng = random.Random(4)
    seen = set()
    for path in files_of(log):
        name, content = path.relative_to(log).as_posix(), path.read_bytes()
        places = {0, len(content) - 1, rng.randrange(len(content))}
        if path.name == "index":
            # A page that SQLite has freed, and what it keeps for itself, say nothing.
            places = {content.index(row_salt(log, 10)) + 3}
        for place in places:
            changed = bytearray(content)
            changed[place] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            _, breaks = verify(log, KEY.verifier)
            assert any(each.file == name for each in breaks), (name, place, breaks)
            path.write_bytes(content)
        seen.add(name)
    assert {CHECKPOINT, "index", "tile/0/000", "tile/entries/000", "tile/1/000.p/2"} <= seen
    assert verify(log, KEY.verifier)[1] == []


def row_salt(log: Path, number: int) -> bytes:
    """The salt of a record."""
    with Index(log) as index:
        return next(row.salt for row in index.rows() if row.number == number)


@pytest.mark.parametrize("number", [0, 255, 256, 599])
def test_a_changed_record_is_named_by_its_number(log: Path, number: int) -> None:
    """The first of them, where there are several."""
    raw = Tiles(log, SIZE).entry(number)
    for path in (log / "tile" / "entries").rglob("*"):
        if path.is_file():
            changed = path.read_bytes().replace(raw, raw.replace(b"answered", b"answereD"))
            path.write_bytes(changed)
    _, [first, *_] = verify(log, KEY.verifier)
    assert first.record == number
    assert first.problem == "was changed"
    with pytest.raises(AuditLogError, match=f"record {number}"):
        prove(log, KEY.verifier, "default", f"j{number}")


def test_a_record_changed_with_its_hashes_is_not_missed(log: Path) -> None:
    """Whoever writes a whole log anew without the key has no checkpoint that fits."""
    others = log_of(log.parent / "others", 300, 520, SIZE)
    shutil.rmtree(log / "tile")
    shutil.copytree(others / "tile", log / "tile")
    _, breaks = verify(log, KEY.verifier)
    assert any(each.file == CHECKPOINT for each in breaks)


def test_records_that_are_gone_are_named(log: Path) -> None:
    """A tile that is missing, and the end that an older checkpoint would hide."""
    signed = read_checkpoint(log, KEY.verifier)
    (log / "tile/entries/001").unlink()
    _, [first, *_] = verify(log, KEY.verifier)
    assert (first.file, first.record, first.problem) == ("tile/entries/001", 256, GONE)
    older = log_of(log.parent / "older", 300)
    _, breaks = verify(older, KEY.verifier, since=signed)
    assert ["earlier checkpoint" in each.problem for each in breaks] == [True]


def test_another_key_has_signed_nothing_here(log: Path) -> None:
    """And adds nothing."""
    other = SigningKey(KEY.name, bytes(32))
    signed, [found] = verify(log, other.verifier)
    assert signed is None
    assert "not signed by" in found.problem
    with pytest.raises(AuditLogError, match="not signed by"), LogFolder(log, other):
        pass


def test_a_log_is_in_one_hand(log: Path) -> None:
    """A second writer is refused, and may begin when the first has ended."""
    with (
        LogFolder(log, KEY),
        pytest.raises(AuditLogError, match="in the hands of another"),
        LogFolder(log, KEY),
    ):
        pass
    with LogFolder(log, KEY) as again:
        assert again.size == SIZE


def test_whatever_a_crash_leaves_is_written_anew(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment on the way to a checkpoint: nothing is doubled, and nothing is missing."""
    more, size, cut = records(SIZE, SIZE + 300), SIZE, 0
    while size == SIZE:
        with LogFolder(log, KEY) as one, monkeypatch.context() as patch:
            patch.setattr(os, "fsync", disk_that_fails_after(cut))
            with suppress(OSError):
                one.append(more, {0: Position("900-0")})
        assert verify(log, KEY.verifier)[1] == []
        with LogFolder(log, KEY) as again:
            size = again.size
            assert again.positions == {0: Position(f"{size}-0")}
        cut += 1
    assert cut > 5
    numbers = [_entry_number(raw) for raw in Tiles(log, size).entries()]
    assert numbers == list(range(900))


def _entry_number(raw: bytes) -> int:
    record = read_record(raw)
    assert isinstance(record, ResultRecord)
    return int(record.entry.partition("-")[0]) - 1


def test_a_log_without_its_index_goes_on_where_it_was(log: Path) -> None:
    """Its records tell how far it is; only whose they are is known no more."""
    for path in log.glob("index*"):
        path.unlink()
    with LogFolder(log, KEY) as one:
        assert one.positions == {0: Position("600-0")}
        one.append(records(600, 601), {0: Position("601-0")})
    assert verify(log, KEY.verifier)[1] == []
    assert prove(log, KEY.verifier, "default", "j1") is None
    assert prove(log, KEY.verifier, "default", "j600") is not None


def test_an_empty_log_is_a_log(tmp_path: Path) -> None:
    """Signed, whole, and read by others."""
    log = log_of(tmp_path / "log")
    signed, breaks = verify(log, KEY.verifier)
    assert signed is not None
    assert (signed.size, signed.root, breaks) == (0, root_of([]), [])
    TilesReader(LocalBackend(log)).get_checkpoint().verify(VKEY)


def test_a_log_whose_disk_failed_twice_adds_nothing_to_what_is_not_there(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the records nor the way back could be written or read; then all is well again."""
    with LogFolder(log, KEY) as one:
        checkpoint = (log / CHECKPOINT).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", disk_that_fails_after(2))
            (log / CHECKPOINT).unlink()
            with pytest.raises(OSError, match="Input/output error"):
                one.append(records(SIZE, SIZE + 5), {0: Position("605-0")})
        (log / CHECKPOINT).write_bytes(checkpoint)
        one.append(records(SIZE, SIZE + 5), {0: Position("605-0")})
    assert verify(log, KEY.verifier)[1] == []
    assert [_entry_number(raw) for raw in Tiles(log, SIZE + 5).entries()] == list(range(SIZE + 5))
