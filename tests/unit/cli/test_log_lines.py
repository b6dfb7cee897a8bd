"""A component's log, as people read it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smallfirst.cli.log_lines import readable


def line_of(event: str, second: int, **more: object) -> str:
    """A line as a component writes it."""
    at = f"2026-01-02T10:00:{second:02d}.5Z"
    return json.dumps({**more, "event": event, "level": "info", "timestamp": at})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (line_of("batch.settled", 3, jobs=2), "10:00:03 batch.settled jobs=2"),
        (
            json.dumps({"reason": "a b", "event": "x.y", "level": "warning"}),
            'WARNING x.y reason="a b"',
        ),
        ("[I 261129] Visit me", "[I 261129] Visit me"),
        ("[1]", "[1]"),
        (
            json.dumps({"event": "e", "exception": [{"exc_type": "KeyError", "exc_value": "k"}]}),
            "e KeyError: k",
        ),
    ],
)
def test_the_event_comes_first(line: str, said: str) -> None:
    """Time, event, then the rest as pairs; a line that is not ours stays as it is."""
    assert readable(line) == said


def test_logs_are_merged_by_time(tmp_path: Path) -> None:
    """The last lines of each process that was asked for come in the order of time."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "router-1.log").write_text(f"{line_of('a', 1)}\n{line_of('c', 3)}\n")
    (folder / "worker-cpu-1.log").write_text(f"{line_of('b', 2)}\nraw\n{line_of('d', 4)}\n")

    whole, some, none, raw = (
        subprocess.run(
            [sys.executable, "-m", "smallfirst", "--folder", tmp_path, "logs", *more],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for more in ((), ("router", "-n", "1"), ("flower",), ("--json",))
    )

    assert [line.split()[-1] for line in whole.stdout.splitlines()] == ["a", "b", "raw", "c", "d"]
    assert some.stdout.split() == ["router-1", "10:00:03", "c"]
    events = [json.loads(line) for line in raw.stdout.splitlines()]
    assert events[0] == {"process": "router-1", **json.loads(line_of("a", 1))}
    assert events[2] == {"process": "worker-cpu-1", "line": "raw"}
    assert none.returncode == 1
    assert "there are those of router-1, worker-cpu-1" in none.stderr
