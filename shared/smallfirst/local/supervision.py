"""Keeps child processes alive: a crashed one is started again, one that never came up is given up.

When to try again and when to give up are pure functions; the thread here only carries them out.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

import structlog

from smallfirst.local.errors import ChildFailedError
from smallfirst.local.processes import Child, Command, stop_children
from smallfirst.process.exit_codes import EXIT_CONFIG

log = structlog.get_logger()

#: So many failed starts, none before them that came up: what is wrong does not pass.
MAX_FAILED_STARTS = 3
#: Waits before a new start: doubling from the first up to the last.
FIRST_WAIT, LAST_WAIT = timedelta(seconds=0.5), timedelta(seconds=30)
#: How often the children are looked at.
TICK = timedelta(milliseconds=200)


@dataclass
class Kept:
    """A command that is to be running, and how that goes."""

    child: Child
    has_started: bool = False
    #: Whether any child of this command ever came to life: then the next one may, too.
    has_lived: bool = False
    #: Whether the fleet is of no use without it.
    is_essential: bool = True
    is_given_up: bool = False
    #: Exits before its first life, and exits in a row.
    failed_starts: int = 0
    exits: int = 0
    #: On the monotonic clock; None while it runs.
    start_again_at: float | None = None


def wait_before_start(exits: int) -> timedelta:
    """How long to wait after so many exits in a row (at least 1)."""
    return min(LAST_WAIT, FIRST_WAIT * (1 << min(exits - 1, 16)))


def is_hopeless(failed_starts: int, exit_code: int) -> bool:
    """Whether a command that never came up, so many times in a row, will not come up at all."""
    settings_are_wrong = failed_starts > 0 and exit_code == EXIT_CONFIG
    return settings_are_wrong or failed_starts >= MAX_FAILED_STARTS


class Supervisor:
    """Runs commands and keeps them running.

    Args:
        logs: The folder of their log files.
        has_started: Whether a child has come to life, for instance because its heartbeat is there.
            A command that once had is started again for ever, whatever its children die of, and
            when: a poisonous job may kill a worker many times, somebody may kill one that starts,
            a file may be wrong until it is mended; none of it must stop the fleet.
        on_exit: Told of each child that ended by itself, and with which code.
    """

    def __init__(
        self,
        logs: Path,
        has_started: Callable[[Child], bool],
        on_exit: Callable[[Child, int], None] = lambda _child, _code: None,
    ) -> None:
        self._on_exit = on_exit
        self.logs = logs
        self._has_started = has_started
        self._kept: dict[str, Kept] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.hurry = threading.Event()
        self.failure: ChildFailedError | None = None

    def open(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching, then stop what is left."""
        self._closing.set()
        self._thread.join()
        self.stop(list(self._kept))

    def start(self, command: Command, *, is_essential: bool = True) -> None:
        """Start a command and keep it running."""
        child = Child(command, self.logs)
        child.start()
        with self._lock:
            self._kept[command.name] = Kept(child, is_essential=is_essential)

    def adopt(self, child: Child) -> None:
        """Keep a child running that somebody else has started, and seen alive."""
        with self._lock:
            self._kept[child.command.name] = Kept(child, has_started=True, has_lived=True)

    def stop(self, names: Iterable[str]) -> None:
        """Stop commands for good, side by side: each finishes what it has in hand."""
        with self._lock:
            leaving = [self._kept.pop(name) for name in names if name in self._kept]
        killed = stop_children((kept.child for kept in leaving), hurry=self.hurry)
        for kept in leaving:
            if kept.is_essential and kept.child in killed:
                name = kept.child.command.name
                log.warning("child.killed", child=name, consequence="what it had is done again")

    def started(self) -> dict[str, bool]:
        """Every command that is not given up, and whether it has come to life."""
        with self._lock:
            return {n: k.has_started for n, k in self._kept.items() if not k.is_given_up}

    def children(self) -> dict[str, Child]:
        """Every command's present child, by the command's name; some may have just ended."""
        with self._lock:
            return {name: kept.child for name, kept in self._kept.items()}

    def _watch(self) -> None:
        while not self._closing.wait(TICK.total_seconds()):
            with self._lock:
                for kept in self._kept.values():
                    self._look_after(kept, monotonic())

    def _look_after(self, kept: Kept, now: float) -> None:
        if kept.is_given_up:
            return
        if kept.start_again_at is not None:
            if now >= kept.start_again_at:
                kept.child.start()
                kept.start_again_at = None
            return
        exit_code = kept.child.exit_code()
        # Looked for in the dead, too: one that came to life and was struck down between two looks,
        # by a poisonous job say, did not fail to start.
        if not kept.has_started and self._has_started(kept.child):
            kept.has_started, kept.has_lived, kept.exits = True, True, 0
        if exit_code is not None:
            self._note_end(kept, exit_code, now)
            return
        kept.child.trim_log()

    def _note_end(self, kept: Kept, exit_code: int, now: float) -> None:
        """Note an exit, and when to try again, if at all."""
        child = kept.child
        child.clear_up()
        self._on_exit(child, exit_code)
        kept.exits += 1
        kept.failed_starts = 0 if kept.has_lived else kept.failed_starts + 1
        kept.has_started = False
        wait = wait_before_start(kept.exits)
        kept.start_again_at = now + wait.total_seconds()
        if is_hopeless(kept.failed_starts, exit_code):
            self._give_up(kept, exit_code)
            return
        log.warning(
            "child.died",
            child=child.command.name,
            exit_code=exit_code,
            log=str(child.log),
            restart_seconds=wait.total_seconds(),
        )

    def _give_up(self, kept: Kept, exit_code: int) -> None:
        child = kept.child
        kept.is_given_up = True
        failure = ChildFailedError(child.command.name, exit_code, child.log, child.last_words())
        if kept.is_essential:
            self.failure = self.failure or failure
            log.error("child.given_up", problem=str(failure), consequence="the fleet is not whole")
        else:
            log.warning(
                "child.given_up", problem=str(failure), consequence="the fleet does without"
            )
