"""A file of jobs: rows in, results out, and what is told of the run."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

#: The fixtures' types, as far as they matter here; see conftest.
Smallfirst = Callable[..., Any]
WaitUntil = Callable[..., None]


def write_rows(path: Path, *rows: Mapping[str, object] | str) -> Path:
    """Write a file of rows; a string is a line as it stands."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of results or errors."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids_of(path: Path) -> list[str]:
    """The ids in a file of results."""
    return sorted(row["id"] for row in read_rows(path))


@pytest.mark.usefixtures("fleet")
def test_a_file_is_answered_row_by_row(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Every row gets its result, and the summary says how often the gold was met."""
    rows = [{"id": f"m-{n}", "text": "billing x", "label": "billing"} for n in range(300)]
    file = write_rows(tmp_path / "in.jsonl", *rows, {"text": "other", "label": "billing"})
    out = tmp_path / "out.jsonl"
    done = smallfirst("run", file, "--task", "topic", "-o", out, "--json")
    assert done.code == 0
    assert len(set(ids_of(out))) == 301
    assert done.json["statuses"] == {"answered": 301}
    assert done.json["scores"]["topic"]["score"] == pytest.approx(300 / 301, abs=1e-6)
    assert not (tmp_path / "out.errors.jsonl").exists()


@pytest.mark.usefixtures("fleet")
def test_bad_lines_are_reported_and_the_others_answered(
    smallfirst: Smallfirst, tmp_path: Path
) -> None:
    """What is no job goes to the errors file, with its line and reason; the rest is answered."""
    file = tmp_path / "in.jsonl"
    huge = json.dumps({"text": "x" * 2_000_000}).encode()
    lines = [b'\xef\xbb\xbf{"text": "billing"}\r', b"{oops", b'{"text": "caf\xe9"}', huge]
    file.write_bytes(b"\n".join([*lines, b'{"text": "return", "tsk": "x"}', b'{"text": "return"}']))
    out = tmp_path / "out.jsonl"
    done = smallfirst("run", file, "--task", "topic", "-o", out)
    assert (done.code, done.out) == (1, "")
    bad = read_rows(tmp_path / "out.errors.jsonl")
    assert [row["line"] for row in bad] == [2, 3, 4, 5]
    assert [row["reason"].split(":")[0] for row in bad[:3]] == ["not JSON", "not UTF-8", "text"]
    assert len(read_rows(out)) == 2
    assert "4 lines were no jobs" in done.err


@pytest.mark.usefixtures("fleet")
def test_failed_jobs_are_exit_1_and_told_by_reason(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A run with failures is no success, and its summary says what went wrong."""
    file = write_rows(tmp_path / "in.jsonl", {"text": "fail a"}, {"text": "abstain"})
    done = smallfirst("run", file, "--task", "topic", "-o", tmp_path / "out.jsonl", "--json")
    assert done.code == 1
    assert done.json["statuses"] == {"abstained": 1, "failed": 1}
    [problem] = done.json["problems"]
    assert (problem["code"], problem["jobs"]) == ("model_error", 1)


@pytest.mark.usefixtures("fleet")
def test_a_resumed_run_asks_only_what_is_not_answered(
    smallfirst: Smallfirst, tmp_path: Path
) -> None:
    """What OUT has answers of is skipped; a line torn by a crash is repaired and asked again."""
    file = write_rows(tmp_path / "in.jsonl", *({"text": f"billing {n}"} for n in range(5)))
    out = tmp_path / "out.jsonl"
    assert smallfirst("run", file, "--task", "topic", "-o", out).code == 0
    whole = ids_of(out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    done = smallfirst("run", file, "--task", "topic", "-o", out, "--resume", "--json")
    assert done.code == 0
    assert (done.json["already_answered"], done.json["jobs"]) == (3, 2)
    assert ids_of(out) == whole


@pytest.mark.usefixtures("fleet")
def test_a_resumed_run_tries_failed_jobs_again(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A failure in OUT is asked again, and stands there once."""
    file = write_rows(tmp_path / "in.jsonl", {"id": "a", "text": "fail"}, {"id": "b", "text": "x"})
    out = tmp_path / "out.jsonl"
    smallfirst("run", file, "--task", "topic", "-o", out)
    done = smallfirst("run", file, "--task", "topic", "-o", out, "--resume", "--json")
    assert (done.code, done.json["already_answered"], done.json["jobs"]) == (1, 1, 1)
    assert ids_of(out) == ["a", "b"]


@pytest.mark.usefixtures("fleet")
def test_an_interrupted_run_can_go_on(
    command: list[str], environment: dict[str, str], tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Ctrl-C ends a run with 130 and a hint; what came in until then is kept."""
    file = write_rows(tmp_path / "in.jsonl", {"text": "billing"}, {"text": "hold"})
    out = tmp_path / "out.jsonl"
    arguments = [*command, "run", str(file), "--task", "topic", "-o", str(out)]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: out.exists() and out.read_bytes(), description="one is answered")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "--resume" in err
    assert "Traceback" not in err
    assert len(read_rows(out)) == 1


@pytest.mark.usefixtures("fleet")
def test_a_run_reads_stdin_and_writes_stdout(smallfirst: Smallfirst) -> None:
    """`-` stands for either stream; the results have stdout for themselves."""
    done = smallfirst("run", "-", "--task", "topic", stdin='{"id": "a", "text": "billing"}\n{\n')
    assert done.code == 1
    assert done.json["id"] == "a"
    assert '{"line": 2, "reason": "not JSON' in done.err


@pytest.mark.usefixtures("fleet")
def test_an_id_of_another_job_is_told(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A row whose id was used for another text gets no foreign answer, and a way out."""
    smallfirst("submit", "--task", "topic", "--id", "a", "--wait", "billing")
    file = write_rows(tmp_path / "in.jsonl", {"id": "a", "text": "return"})
    out = tmp_path / "out.jsonl"
    done = smallfirst("run", file, "--task", "topic", "-o", out)
    assert done.code == 1
    assert "--id-prefix" in done.err
    assert read_rows(out) == []
    done = smallfirst("run", file, "--task", "topic", "-o", out, "--id-prefix", "x.")
    assert (done.code, ids_of(out)) == (0, ["x.a"])


@pytest.mark.usefixtures("fleet")
def test_an_id_counts_once_in_a_file(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A second row with the same id is a bad line."""
    row = {"id": "a", "text": "billing"}
    out = tmp_path / "out.jsonl"
    done = smallfirst("run", write_rows(tmp_path / "in.jsonl", row, row), "--task", "t", "-o", out)
    assert (done.code, ids_of(out)) == (1, ["a"])
    [bad] = read_rows(tmp_path / "out.errors.jsonl")
    assert bad == {"line": 2, "reason": "an earlier line has the same id", "id": "a"}


def test_the_rows_are_never_written_over(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A run whose result file is its own input is refused before anything is opened."""
    file = write_rows(tmp_path / "in.jsonl", {"text": "billing"})
    before = file.read_bytes()
    done = smallfirst("run", file, "--task", "topic", "-o", tmp_path / "." / "in.jsonl")
    assert (done.code, file.read_bytes()) == (2, before)


#: Says at its end how much memory it had at most. What wait4 says would be no less than the parent
#: had when it forked, so the process itself looks it up.
MEASURED = """
import atexit, sys
from pathlib import Path
from smallfirst.cli import app

def tell():
    [peak] = [l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l]
    print(peak.split()[1])

atexit.register(tell)
app()
"""


@pytest.mark.usefixtures("fleet")
def test_memory_does_not_grow_with_the_file(environment: dict[str, str], tmp_path: Path) -> None:
    """A file of 30 MB takes no more memory than one of 3 MB, but for what the system rounds."""
    peaks = []
    for count in (1_000, 10_000):
        rows = ({"text": f"billing {n} " + "x" * 3000} for n in range(count))
        file = write_rows(tmp_path / f"{count}.jsonl", *rows)
        options = ["--task", "t", "-o", str(tmp_path / "out.jsonl"), "--max-in-flight", "500"]
        arguments = [sys.executable, "-c", MEASURED, "run", str(file), *options]
        peaks.append(int(subprocess.check_output(arguments, env=environment)))
    assert peaks[1] - peaks[0] < 12_000, peaks
