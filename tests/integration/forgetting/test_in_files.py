"""Rows leave files, and nothing else does, whatever the files hold and whoever adds to them."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from smallfirst.catalogue.likeness import text_key
from smallfirst.forgetting.errors import WrongPlace
from smallfirst.forgetting.forgotten import Failure
from smallfirst.forgetting.in_files import look_at, remove
from smallfirst.provenance.row_vectors import ROW_VECTORS, TaughtRow, id_hash, write_rows

BOM = b"\xef\xbb\xbf"
CANARY = "wombatzibet"
NUM_ADDED = 5_000
ADDING = f"""
import sys
from pathlib import Path
from smallfirst_desk.answers_kept import AnswersKept

answers = AnswersKept(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range({NUM_ADDED}):
    names = ["ann", f"{{sys.argv[2]}}-{{number}}"]
    answers._add(("topic", {{"id": each, "text": "\\u2028"}}) for each in names)
"""


def removed(
    files: list[Path], folders: list[Path] | None = None, *, ids: str = "ann"
) -> tuple[Counter[str], list[Failure]]:
    """Remove rows and vectors; say how many, and what failed."""
    places = Counter[str]()
    failures = list(remove(files, folders or [], ids.split(), places))
    return places, failures


@pytest.mark.parametrize(
    ("name", "before", "theirs", "after"),
    [
        ("a.jsonl", b'{"id": "bob"}\n', b'{"id": "ann", "text": "a"}\n', b'\n{"id": "cle"}'),
        ("a.jsonl", b"", b'{"id": "ann", "text": "\xe2\x80\xa8 \xe2\x80\xa9 \xc2\x85"}\n', b""),
        ("a.jsonl", b'{"id": "bob"}\r\n', b'{"id":"ann"}\r\n', b'{"id": "cle"}\r\n'),
        ("a.jsonl", BOM, b'{"id": "ann"}\n', BOM + b'{"id": "bob"}\n'),
        ("a.jsonl", b'{"id": "bob"}\n', b'{"id": "ann"}', b""),
        ("a.csv", b"id,text\nbob,x\n", b'ann,"first\nand ""second""\n"\n', b'cle,"y\nann,"\n'),
        ("a.csv", BOM + b"id,text\r\n", b"ann,x\r\n", b"bob,caf\xe9\r\n"),
        ("a.tsv", b"text\tid\n", b"x, y\tann", b""),
    ],
)
def test_a_row_goes_and_every_other_byte_stays(
    tmp_path: Path, name: str, before: bytes, theirs: bytes, after: bytes
) -> None:
    """Line breaks inside of a text, marks, line ends, a last line without one: all as they were."""
    file = tmp_path / name
    file.write_bytes(before + theirs + after)
    assert removed([file]) == ({str(file): 1}, [])
    assert file.read_bytes() == before + after
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_file_stays_whose_it_was(tmp_path: Path) -> None:
    """Its mode stays, and a link to it: whoever could read or write it still can."""
    file, link = tmp_path / "kept" / "rows.jsonl", tmp_path / "rows.jsonl"
    file.parent.mkdir()
    file.write_text('{"id": "ann"}\n{"id": "bob"}\n')
    file.chmod(0o640)
    link.symlink_to(file)
    assert removed([link])[0] == {str(link): 1}
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_text() == '{"id": "bob"}\n'
    written = file.stat().st_mtime_ns
    assert removed([link])[0] == {str(link): 0}
    assert file.stat().st_mtime_ns == written


def test_lines_that_cannot_be_read_are_told_by_their_numbers(tmp_path: Path) -> None:
    """They may be theirs; what they say is told to nobody."""
    file = tmp_path / "rows.jsonl"
    odd = [f'{{"{CANARY}": 1, "{CANARY}": 2}}', f"{CANARY}", '{"id": "ann"', *["?"] * 20]
    file.write_bytes("\n".join([*odd, '{"id": "ann"}', ""]).encode() + b'{"id": "caf\xe9"}\n')
    places, [failure] = removed([file])
    assert places[str(file)] == 1
    assert failure.place == str(file)
    assert "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 14 more cannot be read" in failure.reason
    assert CANARY not in str(failure)


def test_what_fails_in_one_file_ends_no_other(tmp_path: Path) -> None:
    """Each is told, and all that can be removed is: from models before rows."""
    gone, rows, after = (tmp_path / f"{name}.jsonl" for name in ("gone", "rows", "after"))
    for file in (rows, after):
        file.write_text('{"id": "ann", "text": "My parcel?"}\n')
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / ROW_VECTORS).write_bytes(b"\xff\n")
    write_rows(tmp_path / "b", [TaughtRow(1, text_key("my PARCEL"), (), (id_hash("x"),), b"\0\0")])
    places, failures = removed([gone, rows, after], [tmp_path])
    assert places == {str(tmp_path): 1, str(rows): 1, str(after): 1}
    assert [failure.place for failure in failures] == [str(tmp_path / "a" / ROW_VECTORS), str(gone)]
    assert "not UTF-8" in failures[0].reason
    assert "remove it" in failures[0].remedy
    assert (tmp_path / "b" / ROW_VECTORS).read_text() == rows.read_text() == ""


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.jsonl", None, "no such file; see --rows"),
        ("a.jsonl", b"[\n", "jq -c"),
        ("a.csv", b"PK\x03\x04", "save its rows as CSV"),
        ("a.jsonl", b"\xff\xfe{", "iconv"),
    ],
)
def test_a_file_of_another_form_is_known_before(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    """What it is, and what to do, is told while everything stands."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WrongPlace, match=reason):
        look_at([tmp_path / name], [])
    with pytest.raises(WrongPlace, match="no such folder; see --model"):
        look_at([], [tmp_path / "models"])


def test_nothing_is_lost_that_a_desk_adds_meanwhile(tmp_path: Path) -> None:
    """Two add as fast as they can while a person's rows are removed: none is lost or doubled."""
    file, places, num_rounds = tmp_path / "topic.jsonl", Counter[str](), 0
    file.touch()
    adding = [adder(tmp_path, name) for name in ("one", "two")]
    for each in adding:
        assert each.stdout is not None
        assert each.stdin is not None
        assert each.stdout.readline() == "ready\n"
        each.stdin.write("go\n")
        each.stdin.flush()
    while any(each.poll() is None for each in adding):
        assert list(remove([file], [], {"ann"}, places)) == []
        num_rounds += 1
    assert [each.communicate()[0] for each in adding] == ["", ""]
    assert list(remove([file], [], {"ann"}, places)) == []
    left = [json.loads(line)["id"] for line in file.read_bytes().split(b"\n") if line]
    assert num_rounds > 1
    assert places[str(file)] == 2 * NUM_ADDED
    assert sorted(left) == sorted(f"{n}-{at}" for n in ("one", "two") for at in range(NUM_ADDED))


def adder(folder: Path, name: str) -> "subprocess.Popen[str]":
    """Start a desk that keeps answers, as soon as it is told to."""
    command = [sys.executable, "-c", ADDING, str(folder), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
