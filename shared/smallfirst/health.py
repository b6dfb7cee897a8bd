"""Signs of life as files, and the probe that reads them: `python -m smallfirst.health`.

A process that was given a folder touches `alive` there from its main loop, and keeps `ready` there
while it takes work. Each further thread that may not hang has a sign of its own, `alive-THREAD`,
and the oldest sign counts. None says anything of Redis: an outage must not make anybody restart
what will go on by itself. Imports the standard library alone: the probe runs every few seconds.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

ALIVE, READY = "alive", "ready"
VARIABLE = "SMALLFIRST_HEALTH_DIR"
#: How old `alive` may be. A main loop is held up longest by a Redis that accepts connections and
#: never answers: each try costs 13 s (3 to connect, 10 for the answer), and loops beat between two
#: tries. So this is time for nine in a row that nobody saw, on machines that have no time to spare.
MAX_AGE_SECONDS = 120.0


class Health:
    """The signs of one thread of a process: its main one, unless another is named.

    Args:
        folder: Where they lie; None for a process that nobody probes, which writes nothing.
        thread: The name of the thread whose signs of life these are.
    """

    def __init__(self, folder: Path | None, thread: str | None = None) -> None:
        self._folder = folder
        self._thread = thread or threading.main_thread().name
        self._alive = f"{ALIVE}-{thread}" if thread else ALIVE
        self._has_left = False
        self._is_unwritten = False

    def open(self) -> None:
        """Begin: alive, and not ready, whatever a process before this one has left there.

        Raises:
            SettingsError: When the folder cannot be made or written.
        """
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in (self._folder / READY, *_signs_in(self._folder)):
                left.unlink(missing_ok=True)
            (self._folder / ALIVE).touch()
        except OSError as error:
            raise _unwritable(error) from error

    def of_thread(self, thread: str) -> "Health":
        """Begin the signs of a further thread, which is alive from now on; call it after `open`."""
        health = Health(self._folder, thread)
        health._touch()
        return health

    def beat(self) -> None:
        """Touch `alive`: the thread goes on. Another thread's beat says nothing of it."""
        if threading.current_thread().name == self._thread:
            self._touch()

    def _touch(self) -> None:
        if self._folder is None:
            return
        try:
            (self._folder / self._alive).touch()
            self._is_unwritten = False
        except OSError as error:
            if not self._is_unwritten:
                _warn(error)
            self._is_unwritten = True

    def enter(self) -> None:
        """Be ready, unless `leave` came first."""
        if self._folder is None:
            return
        with suppress(OSError):
            (self._folder / READY).touch()
        # A signal may have come while the file was made.
        if self._has_left:
            self.leave()

    def leave(self) -> None:
        """Be ready no more, for good; a signal handler may call it."""
        self._has_left = True
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / READY).unlink(missing_ok=True)


def why_not_live(folder: Path, max_age_seconds: float) -> str | None:
    """Say why a process counts as hung; None where every thread with a sign goes round."""
    signs = dict.fromkeys((folder / ALIVE, *_signs_in(folder)))
    return next(filter(None, (_why_stale(sign, max_age_seconds) for sign in signs)), None)


def _signs_in(folder: Path) -> list[Path]:
    """The signs of life of all threads; none where the folder cannot be read."""
    return sorted(folder.glob(f"{ALIVE}*"))


def _why_stale(sign: Path, max_age_seconds: float) -> str | None:
    try:
        age_seconds = time.time() - sign.stat().st_mtime
    except OSError as error:
        return f"{sign}: {error.strerror}"
    # From the future: the clock was set back, and nobody has touched the file since.
    if abs(age_seconds) > max_age_seconds:
        return f"{sign} is {age_seconds:.1f} s old; {max_age_seconds:g} s are allowed"
    return None


def why_not_ready(folder: Path, max_age_seconds: float) -> str | None:
    """Say why a process takes no work; None where it does.

    One that was killed leaves `ready` behind, so it counts only while the process is live.
    """
    if not (folder / READY).exists():
        return f"{folder / READY} is missing: the process still starts, or is about to end"
    return why_not_live(folder, max_age_seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Probe one process: 0 where all is well, else 1 and a line on stderr."""
    given = _parser().parse_args(arguments)
    if given.dir is None:
        problem: str | None = f"no folder to look in: give --dir or set {VARIABLE}"
    else:
        probe = why_not_live if given.probe == "live" else why_not_ready
        problem = probe(given.dir, given.max_age)
    if problem is None:
        return 0
    sys.stderr.write(f"not {given.probe}: {problem}\n")
    return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with 1, and with one line."""
        raise SystemExit(f"{self.prog}: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m smallfirst.health",
        description="Probe a router or worker by its health files; exits with 0 or 1.",
    )
    parser.add_argument("probe", choices=("live", "ready"))
    folder = os.environ.get(VARIABLE)
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(folder) if folder else None,
        help=f"where the files lie; ${VARIABLE} where left out",
    )
    parser.add_argument(
        "--max-age",
        type=_seconds,
        default=MAX_AGE_SECONDS,
        metavar="SECONDS",
        help="how old `alive` may be (%(default)g)",
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # What is no number compares as false, too.
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _unwritable(error: OSError) -> Exception:
    # Only who fails pays for these imports.
    from smallfirst.errors import SettingsError, SettingsProblem  # noqa: PLC0415

    return SettingsError(SettingsProblem(VARIABLE, f"cannot be written ({error.strerror})"))


def _warn(error: OSError) -> None:
    import structlog  # noqa: PLC0415 - the probe never does

    structlog.get_logger().warning(
        "health.not_written",
        problem=error.strerror,
        consequence="a liveness probe takes this process for hung and restarts it",
    )


if __name__ == "__main__":
    sys.exit(main())
