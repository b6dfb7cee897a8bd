"""The action log: a chain in which no line changes, goes or comes unseen, by however many desks."""

import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst_desk.action_log import NOTHING, ActionLog, Head, hash_of, job_hash, verify
from smallfirst_desk.verify_log import main


def filled(folder: Path, count: int = 5) -> Path:
    """A log with some records; give its one file."""
    log = ActionLog(folder, "host/1")
    log.open()
    for number in range(count):
        log.add("leased", f"r-{number}", task="topic", place=f"0-bulk-{number}-0")
    (path,) = folder.glob("*.jsonl")
    return path


def lines(path: Path) -> list[str]:
    """The lines of a file."""
    return path.read_text("utf-8").splitlines()


def test_a_log_that_nobody_touched_is_whole(tmp_path: Path) -> None:
    """Each record has its number, and the hash of the one before; only the owner may look."""
    path = filled(tmp_path / "actions")
    found = verify(tmp_path / "actions")
    assert (found.first, found.head.number, found.breaks) == (1, 5, ())
    records = [json.loads(line) for line in lines(path)]
    assert [one["before"] for one in records] == [NOTHING, *(one["hash"] for one in records[:-1])]
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Another desk, or the same one anew, begins where the last one ended."""
    filled(tmp_path)
    log = ActionLog(tmp_path, "host/2")
    assert log.open() == verify(tmp_path).head
    log.add("signed in", "r-1", way="password")
    assert verify(tmp_path).head.number == 6
    assert verify(tmp_path).breaks == ()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_done_to_a_line_is_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A changed, missing, doubled, swapped or added line breaks the chain where it is."""
    folder = tmp_path_factory.mktemp("actions")
    path = filled(folder)
    held = lines(path)
    at = data.draw(st.integers(0, 3))
    what = data.draw(st.sampled_from(["change", "remove", "double", "swap", "add"]))
    if what == "change":
        record = json.loads(held[at])
        record[data.draw(st.sampled_from(["person", "did", "at", "task", "place"]))] = "other"
        held[at] = json.dumps(record)
    elif what == "remove":
        del held[at]
    elif what == "double":
        held.insert(at, held[at])
    elif what == "swap":
        held[at], held[at + 1] = held[at + 1], held[at]
    else:
        held.insert(at, json.dumps({"number": at + 1, "before": NOTHING, "hash": NOTHING}))
    path.write_text("\n".join(held) + "\n", "utf-8")
    found = verify(folder)
    # The first record may be taken away with all before it; that is told by its number.
    assert found.breaks or found.first > 1
    assert all(each.line <= at + 3 for each in found.breaks)


def test_who_mends_the_hash_of_a_line_breaks_the_next(tmp_path: Path) -> None:
    """To change one record unseen, all that come after must be written anew."""
    path = filled(tmp_path)
    held = [json.loads(line) for line in lines(path)]
    held[2]["person"] = "somebody-else"
    held[2]["hash"] = hash_of(held[2])
    path.write_text("".join(json.dumps(one) + "\n" for one in held), "utf-8")
    (found,) = verify(tmp_path).breaks
    assert (found.line, "not the one" in found.problem) == (4, True)


def test_a_lost_end_is_named_where_one_knows_how_many_there_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A chain alone cannot tell; with the number that a desk told its log it does."""
    path = filled(tmp_path)
    path.write_text("\n".join(lines(path)[:3]) + "\n", "utf-8")
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--last", "5"]) == 1
    assert "records 4 to 5 are missing at the end" in capsys.readouterr().out


def test_a_line_that_was_cut_off_is_named_and_spoils_no_other(tmp_path: Path) -> None:
    """The machine lost its power in the midst of a line: the next record follows the last whole."""
    path = filled(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert [each.problem for each in verify(tmp_path).breaks] == ["was cut off"]
    ActionLog(tmp_path, "host/2").add("signed in", "r-1")
    found = verify(tmp_path)
    assert [(each.line, each.problem) for each in found.breaks] == [(5, "is no record")]
    assert found.head.number == 5


def _write(folder: Path, name: str) -> None:
    log = ActionLog(folder, name)
    for number in range(50):
        log.add("decided", name, place=str(number))


def test_desks_that_share_a_folder_write_one_chain(tmp_path: Path) -> None:
    """Four processes at once: every record is there, once, and in a chain."""
    context = multiprocessing.get_context("spawn")
    desks = [context.Process(target=_write, args=(tmp_path, f"desk-{n}")) for n in range(4)]
    for desk in desks:
        desk.start()
    for desk in desks:
        desk.join(60)
    assert [desk.exitcode for desk in desks] == [0] * 4
    found = verify(tmp_path)
    assert (found.head.number, found.breaks) == (200, ())


def test_months_are_one_chain(tmp_path: Path) -> None:
    """The next file goes on; without the oldest one it is whole still, and says where it begins."""
    path = filled(tmp_path)
    path.rename(tmp_path / "actions-2020-01.jsonl")
    ActionLog(tmp_path, "host/1").add("signed in", "r-1")
    assert verify(tmp_path).head.number == 6
    assert verify(tmp_path).breaks == ()
    (tmp_path / "actions-2020-01.jsonl").unlink()
    found = verify(tmp_path)
    assert (found.first, found.breaks) == (6, ())


def test_what_cannot_be_written_waits_and_comes_first(tmp_path: Path) -> None:
    """Nothing is lost while the folder is away, and whoever asks is told that it is."""
    folder = tmp_path / "actions"
    log = ActionLog(folder, "host/1")
    log.open()
    folder.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        log.add("leased", "r-1")
    with pytest.raises(OSError, match="No such file"):
        log.check()
    (tmp_path / "away").rename(folder)
    log.check()
    log.add("decided", "r-1")
    (path,) = folder.glob("*.jsonl")
    assert [json.loads(line)["did"] for line in lines(path)] == ["leased", "decided"]


def test_nothing_is_kept_where_no_folder_is_named() -> None:
    """And nobody is stopped."""
    log = ActionLog(None, "host/1")
    assert log.open() == Head()
    log.add("leased", "r-1")
    log.check()


def test_a_jobs_hash_is_its_producers_and_its_own() -> None:
    """Two producers' jobs of one id are two jobs."""
    assert job_hash("a", "1") != job_hash("b", "1")
    assert job_hash("a", "b\n1") != job_hash("a\nb", "2")
    assert len(job_hash("a", "1")) == 32


def test_no_folder_and_nonsense_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, with a status of their own."""
    assert main([str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "actions-2026-01.jsonl").write_bytes(b"\xff\xfe\n[]\n{}\nnull\n")
    assert main([str(tmp_path), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["breaks"]) == 4
