"""One child process: its start, its log file, its end.

It owns a single run of a command. Who starts it again when it dies is `supervision`.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

from smallfirst.local import die_with_parent

#: Linux kills a tied child when the *thread* that started it ends, so this one starts them all, and
#: lives as long as the program.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smallfirst-children")
#: How often an ending child is looked at.
POLL_SECONDS = 0.02
#: A log that outgrows this is moved aside, over the one that was moved before.
MAX_LOG_BYTES = 64 * 1024 * 1024
#: How much of a log's end is read for a report.
_TAIL_BYTES = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run, under which name, and how patiently to stop it.

    `death_signal` is what the child gets when this process dies without stopping it. Who does not
    hurry has its whole grace even when everybody is in haste: it has something to write down.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    grace: timedelta = timedelta(seconds=10)
    death_signal: signal.Signals = signal.SIGKILL
    hurries: bool = True


class Child:
    """One run of a command, in a process group of its own, its output in a log file."""

    def __init__(self, command: Command, logs: Path) -> None:
        self.command = command
        self.log = logs / f"{command.name}.log"
        self.started_at = 0.0
        self._log_begins_at = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; its output is added to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.started_at = monotonic()
        with self.log.open("ab", buffering=0) as log:
            self._log_begins_at = log.tell()
            self._process = _starter.submit(_open, self.command, log.fileno()).result()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process; an error before `start`."""
        assert self._process is not None, "the child was not started"
        return self._process

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def exit_code(self) -> int | None:
        """What it ended with: negative for the signal that killed it; None while it lives."""
        return self.process.poll()

    def terminate(self) -> None:
        """Ask it to finish what it has in hand and go."""
        if self.exit_code() is None:
            self.process.terminate()

    def kill(self) -> None:
        """End it now, and whatever it started itself."""
        self.clear_up()
        self.process.wait()

    def clear_up(self) -> None:
        """End whatever it started itself and left behind, such as the engine of a large model.

        A killed worker ends nothing, and an engine without a worker keeps all its memory.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def tail(self, num_lines: int = 12) -> str:
        """The last lines of its log, whatever run they are of."""
        return self._last_lines(num_lines, since=0)

    def last_words(self, num_lines: int = 12) -> str:
        """The last lines that this run wrote; those of an earlier one explain nothing."""
        return self._last_lines(num_lines, since=self._log_begins_at)

    def _last_lines(self, num_lines: int, *, since: int) -> str:
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            # A log that was moved aside meanwhile holds only what came after.
            log.seek(max(since if since <= end else 0, end - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
            return "\n".join(lines[-num_lines:])
        return ""

    def trim_log(self, most: int = MAX_LOG_BYTES) -> None:
        """Move a log that has grown too large aside. Lines written in that moment are lost."""
        if self.log.stat().st_size <= most:
            return
        aside = self.log.with_suffix(".log.1")
        aside.write_bytes(self.log.read_bytes())
        os.truncate(self.log, 0)


def _open(command: Command, output: int) -> "subprocess.Popen[bytes]":
    tied = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - the fleet's own commands
        [*tied, str(int(command.death_signal)), *command.arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(command.environment),
        process_group=0,
    )


def stop_children(
    children: Iterable[Child], *, hurry: threading.Event | None = None
) -> list[Child]:
    """Stop children side by side: a request, each one's grace, then SIGKILL.

    Args:
        children: Those to stop; what they ran on, such as Redis, is stopped by a later call.
        hurry: When set, the grace is over.

    Returns:
        Those that had to be killed.
    """
    patience = hurry or threading.Event()
    stopping = waiting = list(children)
    asked_at = monotonic()
    for child in waiting:
        child.terminate()
    killed = []
    while waiting:
        waiting = [child for child in waiting if child.exit_code() is None]
        for child in waiting:
            is_hasty = patience.is_set() and child.command.hurries
            if is_hasty or monotonic() - asked_at > child.command.grace.total_seconds():
                child.kill()
                killed.append(child)
        if waiting:
            sleep(POLL_SECONDS)
    for child in stopping:
        child.clear_up()
    return killed
