"""A file of jobs: rows in, results out, and what is told of the run."""

import gzip
import json
import os
import signal
import stat
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
def test_costs_are_in_the_currency_of_the_catalogue(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Where the fleet's catalogue is known; without one the column has no currency."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(
        "version: 1\ncurrency: EUR\ntasks:\n  ids:\n    kind: tag\n    labels: {card: A card.}\n"
        "    cascade: [{rule: {find: [card]}, accept: always}]\n"
    )
    file = write_rows(tmp_path / "in.jsonl", {"text": "billing"})
    arguments = ("run", file, "--task", "topic", "-o")
    known = smallfirst(*arguments, tmp_path / "1.jsonl", SMALLFIRST_CATALOGUE=str(catalogue))
    unknown = smallfirst(*arguments, tmp_path / "2.jsonl")
    assert "EUR/1M" in known.err
    assert "cost/1M" in unknown.err


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
    """A failure in OUT is asked anew each time, and stands there once, under the row's own id."""
    long = "l" * 128
    rows = [{"id": "a", "text": "fail"}, {"id": "b", "text": "x"}, {"id": long, "text": "fail"}]
    rows += [{"id": f"a.again-{times}", "text": "billing"} for times in (1, 2)]
    file = write_rows(tmp_path / "in.jsonl", *rows)
    out = tmp_path / "out.jsonl"
    smallfirst("run", file, "--task", "topic", "-o", out)
    ends = [{row["finished_at"] for row in read_rows(out) if row["status"] == "failed"}]
    for times in (1, 2):
        done = smallfirst("run", file, "--task", "topic", "-o", out, "--resume", "--json")
        assert (done.code, done.json["already_answered"], done.json["jobs"]) == (1, 3, 2)
        assert done.json["asked_again"] == 2 * times  # each time the failures before are met first
        assert done.json["from_earlier"] == 0
        assert ids_of(out) == sorted(row["id"] for row in rows)
        ends.append({row["finished_at"] for row in read_rows(out) if row["status"] == "failed"})
    assert not set.intersection(*ends)
    assert max(ends[0]) < min(ends[1]) <= max(ends[1]) < min(ends[2])


@pytest.mark.usefixtures("fleet")
def test_a_resumed_run_goes_on_behind_a_link(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """The file that a link leads to is gone on with, and the link stays one."""
    file = write_rows(tmp_path / "in.jsonl", {"id": "a", "text": "billing"})
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "out.jsonl")
    smallfirst("run", file, "--task", "topic", "-o", link)
    write_rows(file, {"id": "a", "text": "billing"}, {"id": "b", "text": "return"})
    done = smallfirst("run", file, "--task", "topic", "-o", link, "--resume")
    assert done.code == 0
    assert link.is_symlink()
    assert ids_of(tmp_path / "out.jsonl") == ["a", "b"]


@pytest.mark.usefixtures("fleet")
def test_a_pipe_is_not_gone_on_with(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """What is no plain file is never replaced by one."""
    file = write_rows(tmp_path / "in.jsonl", {"text": "billing"})
    os.mkfifo(tmp_path / "pipe")
    done = smallfirst("run", file, "--task", "topic", "-o", tmp_path / "pipe", "--resume")
    assert (done.code, "needs a file to go on with" in done.err) == (2, True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.usefixtures("fleet")
def test_a_rows_own_columns_come_back(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A table of somebody's, with names of their own: every cell comes back beside its result."""
    table = tmp_path / "mails.csv"
    table.write_text(
        "ticket,body,topic_label,customer,lines\n"
        '7,"billing and, well,\nmore",billing,Ada,"[1, 2]"\n'
        "8,return x,,Grace,\n"
    )
    out = tmp_path / "out.jsonl"
    keys = ("--text-key", "body", "--id-key", "ticket", "--label-key", "topic_label")
    done = smallfirst("run", table, "--task", "topic", "-o", out, "--json", *keys)
    assert (done.code, done.err) == (0, "")
    found = {row["id"]: row["row"] for row in read_rows(out)}
    assert found == {"7": {"customer": "Ada", "lines": [1, 2]}, "8": {"customer": "Grace"}}
    assert done.json["scores"]["topic"]["score"] == 1.0
    again = smallfirst("run", table, "--task", "topic", "-o", out, "--json", "--resume", *keys)
    assert again.json["already_answered"] == 2


@pytest.mark.usefixtures("fleet")
def test_equal_reasons_are_told_once(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Forty lines with one mistake are one line of what a person reads."""
    file = write_rows(tmp_path / "in.jsonl", *({"txt": "a"} for _ in range(40)), "{")
    done = smallfirst("run", file, "--task", "topic", "-o", tmp_path / "out.jsonl")
    assert done.code == 1
    assert "  40 from line 1 on: unknown key 'txt', did you mean 'text'?" in done.err
    assert "  1 from line 41 on: not JSON" in done.err


def test_a_file_in_another_form_is_told_once(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """An array, a table without its name, UTF-16, gzip: what it is, and what to do."""
    for content, words in (
        (b'[\n{"text": "a"}\n]', "is one JSON array"),
        (b"id,text\n1,a\n", "a name that ends in .csv or .tsv"),
        ('{"text": "a"}\n'.encode("utf-16"), "is UTF-16"),
        (gzip.compress(b"{}"), "is compressed"),
    ):
        (tmp_path / "in.jsonl").write_bytes(content)
        done = smallfirst("run", tmp_path / "in.jsonl", "--task", "topic")
        assert done.code != 0
        assert words in done.err
        assert len(done.err.splitlines()) <= 3


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
