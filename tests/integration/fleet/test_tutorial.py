"""The tutorial, followed as it stands: from an empty folder, with a fleet of the reader's own."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.pages import ROOT, Block, blocks_of, readers_path
from tests.support.waiting import WaitUntil

pytestmark = pytest.mark.timeout(600)

TUTORIAL = ROOT / "docs" / "tutorial.md"
UP = "smallfirst up\n"
#: How long a fleet may take to come up or to go, in seconds.
PATIENCE = 240.0


class Reader:
    """Does what the page says, block by block."""

    def __init__(self, folder: Path, wait_until: WaitUntil) -> None:
        self._folder = folder
        self._wait_until = wait_until
        self._terminal: subprocess.Popen[bytes] | None = None
        state = {"PATH": readers_path(folder), "XDG_STATE_HOME": str(folder / "state")}
        self._environment = {**os.environ, **state}
        self._printed = ""

    def follow(self, block: Block) -> None:
        """Save a file, run a command, or compare what the last one printed."""
        match block.language:
            case "yaml":
                name = re.match(r"# (\S+)\n", block.text)
                assert name, "a file's first line says its name"
                (self._folder / name[1]).write_text(block.text)
            case "sh" if block.text == UP:
                self._start()
            case "sh":
                self._printed = self._run(block.text)
            case "text":
                assert without_digits(block.text) == without_digits(self._printed)

    def _run(self, commands: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", commands],
            check=False,
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _start(self) -> None:
        """Run a fleet in the first terminal; the one that runs there is ended first."""
        self.stop()
        screen = self._folder / "screen"
        with screen.open("wb") as file:
            self._terminal = subprocess.Popen(
                ["smallfirst", "up"],
                env=self._environment,
                cwd=self._folder,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._wait_until(
            lambda: "ready" in screen.read_text() or self._has_ended(),
            description="the fleet is ready",
            timeout=PATIENCE,
        )
        assert not self._has_ended(), screen.read_text()

    def _has_ended(self) -> bool:
        return self._terminal is not None and self._terminal.poll() is not None

    def stop(self) -> None:
        """Press Ctrl-C in the first terminal, if a fleet runs there."""
        if self._terminal is not None:
            self._terminal.send_signal(signal.SIGINT)
            self._terminal.wait(PATIENCE)
            self._terminal = None


def without_digits(text: str) -> str:
    """Leave out what may differ between processors: how sure a model is."""
    return re.sub(r"\d\.\d\d sure", "N sure", text).strip()


@contextmanager
def reader(folder: Path, wait_until: WaitUntil) -> Iterator[Reader]:
    """Someone who sits down before an empty folder, and leaves no fleet behind."""
    someone = Reader(folder, wait_until)
    try:
        yield someone
    finally:
        someone.stop()


def test_the_tutorial_can_be_followed(tmp_path: Path, wait_until: WaitUntil) -> None:
    """Every file and command works in its order, and prints what the page says it prints."""
    blocks = blocks_of(TUTORIAL)
    assert {"yaml", "sh", "text"} <= {block.language for block in blocks}
    with reader(tmp_path, wait_until) as someone:
        for block in blocks:
            someone.follow(block)
    assert (tmp_path / "report.html").stat().st_size > 1000
