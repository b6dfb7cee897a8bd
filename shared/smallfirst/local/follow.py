"""Shows the logs of the fleet's processes as they grow, each line with the name of its process."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

#: How often the files are looked at.
LOOK_SECONDS = 0.2
#: The most bytes of one file that are shown at one look; the rest comes at the next.
_MAX_BYTES = 256 * 1024


class LogFollower:
    """Reads what is added to every `*.log` of a folder.

    Args:
        folder: Of the logs.
        show: Gets the process's name and one line, without its end.
        read_up_to: How much of each log was read already; all of it where left out.
    """

    def __init__(
        self,
        folder: Path,
        show: Callable[[str, str], None],
        *,
        read_up_to: Mapping[Path, int] | None = None,
    ) -> None:
        self._folder = folder
        self._show = show
        self._is_given = read_up_to is not None
        self._read_up_to = dict(read_up_to or {})
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def __enter__(self) -> Self:
        if not self._is_given:
            # What stood there before this fleet is not news.
            self._read_up_to = {log: log.stat().st_size for log in self._folder.glob("*.log")}
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._look()

    def _follow(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        for log in sorted(self._folder.glob("*.log")):
            start = self._read_up_to.get(log, 0)
            if log.stat().st_size < start:  # It was moved aside.
                start = 0
            with log.open("rb") as file:
                file.seek(start)
                found = file.read(_MAX_BYTES)
            end = found.rfind(b"\n") + 1
            whole = found[:end] if end or len(found) < _MAX_BYTES else found
            self._read_up_to[log] = start + len(whole)
            for line in whole.decode("utf-8", errors="replace").splitlines():
                self._show(log.stem, line)
