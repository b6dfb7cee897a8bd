"""How the commands speak: where the terminal has few signs, and where a file cannot be written."""

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smallfirst.cli.output import CommandError, print_json, say
from smallfirst.cli.results_file import ErrorsFile, ResultsFile
from smallfirst.jobs import Result, Status

NOW = datetime(2026, 11, 29, tzinfo=UTC)
RESULT = Result(id="a", status=Status.ANSWERED, submitted_at=NOW, finished_at=NOW)


def test_what_a_terminal_has_no_sign_for_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON stays JSON of the same value, and a line for people is written all the same."""
    bare = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", bare)
    print_json({"label": "größe \U0001f600"})
    say("größe")
    first, second = bare.buffer.getvalue().decode("ascii").splitlines()
    assert json.loads(first) == {"label": "größe \U0001f600"}
    assert second == r"gr\xf6\xdfe"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_disk_is_told_with_its_file_and_the_way_on() -> None:
    """Neither the results nor the bad lines end in words that name no file."""
    full = Path("/dev/full")
    for file in (ResultsFile(full), ErrorsFile(full)):
        with (
            pytest.raises(CommandError, match=r"/dev/full: No space left on device; .*--resume"),
            file,
        ):
            file.write(RESULT) if isinstance(file, ResultsFile) else file.write(1, "why")
