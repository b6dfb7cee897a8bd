"""Someone who follows a page as it stands: from an empty folder, with a fleet of their own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.pages import Block, readers_path, redis_cli_in
from tests.support.waiting import WaitUntil

from smallfirst.client.producer import URL_VARIABLE

UP = "smallfirst up\n"
#: How long a fleet may take to come up or to go, in seconds.
PATIENCE = 240.0


class Reader:
    """Does what the page says, block by block."""

    def __init__(self, folder: Path, wait_until: WaitUntil) -> None:
        self._folder = folder
        self._wait_until = wait_until
        self._terminal: subprocess.Popen[bytes] | None = None
        redis_cli_in(folder)
        state = {"PATH": readers_path(folder), "XDG_STATE_HOME": str(folder / "state")}
        bare = {name: value for name, value in os.environ.items() if name != URL_VARIABLE}
        self._environment = {**bare, **state}
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
            case "python":
                assert self._run_python(block.text).strip(), "it prints an answer"
            case "text":
                assert without_digits(block.text) == without_digits(self._printed)

            case other:
                assert other == "console", f"nobody follows a block of {other}"

    def _run(self, commands: str) -> str:
        told = {}
        if f"${URL_VARIABLE}" in commands:
            told = {URL_VARIABLE: self._printed_address()}
        return self._end_well(["sh", "-ec", commands], told)

    def _run_python(self, program: str) -> str:
        return self._end_well([sys.executable, "-c", program], {})

    def _printed_address(self) -> str:
        """The line that `up` prints for programs which do not find the fleet by themselves."""
        screen = (self._folder / "screen").read_text()
        found = re.search(rf"^ *export {URL_VARIABLE}=(\S+)$", screen, re.MULTILINE)
        assert found, screen
        return found[1]

    def _end_well(self, command: list[str], told: dict[str, str]) -> str:
        done = subprocess.run(
            command,
            check=False,
            env={**self._environment, **told},
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
