"""What each user of a Redis really asks, by the server's own word, and which rights that takes.

`MONITOR` tells every command, those of scripts among them, and `CLIENT LIST` whose connection it
came by. Whether a user may ask something is judged by the server too: `ACL DRYRUN`.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from redis import Redis

from smallfirst.redis_access.grants import Grant

Call = tuple[bytes, ...]
_LINE = re.compile(rb"[\d.]+ \[\d+ ([^\]]+)\] (.*)", re.DOTALL)
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_VARIES = re.compile(rb"[0-9a-f-]{8,}|\d+")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
#: A user of whom the server is asked what it would refuse.
_MUTANT = "mutant"


def parse(line: bytes) -> tuple[str, Call]:
    """Read one line of MONITOR: who (an address, or `lua`), and the words of the command."""
    found = _LINE.fullmatch(line)
    assert found is not None, line
    return found[1].decode(), tuple(_unescaped(word) for word in _WORD.findall(found[2]))


def _unescaped(word: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        if found[1].startswith(b"x"):
            return bytes([int(found[1][1:], 16)])
        return _ESCAPES.get(found[1], found[1])

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", one, word, flags=re.DOTALL)


@dataclass
class Trace:
    """The commands of each user; of those that differ in numbers and ids alone, the first."""

    calls: dict[str, dict[Call, Call]] = field(default_factory=lambda: defaultdict(dict))
    strangers: list[Call] = field(default_factory=list)
    _users: dict[str, str] = field(default_factory=dict)
    _caller: str = ""

    def add(self, who: str, call: Call, redis: Redis) -> None:
        """Note a command; one of a script is that of the client that called the script."""
        if who != "lua":
            self._caller = self._user_of(who, redis)
        if not self._caller:
            self.strangers.append(call)
        shape = tuple(_VARIES.sub(b"#", word[:80]) for word in call[:20])
        self.calls[self._caller].setdefault((call[0].upper(), *shape[1:]), call)

    def of(self, user: str) -> list[Call]:
        """One user's commands."""
        return list(self.calls[user].values())

    def names(self, user: str, command: bytes) -> bool:
        """Whether one user has said a command."""
        return any(call[0].upper() == command for call in self.of(user))

    def _user_of(self, address: str, redis: Redis) -> str:
        if address not in self._users:
            clients: Any = redis.client_list()
            self._users |= {one["addr"]: one["user"] for one in clients}
        return self._users.get(address, "")


@contextmanager
def traced(url: str) -> Iterator[Trace]:
    """Follow a server; nobody but whom it serves may connect to it meanwhile."""
    trace = Trace()
    monitoring = Redis.from_url(url, protocol=2, socket_timeout=None)
    with monitoring, Redis.from_url(url, socket_timeout=None) as asking:
        connection: Any = monitoring.connection_pool.get_connection()
        connection.send_command("MONITOR")
        assert connection.read_response() == b"OK"
        thread = threading.Thread(target=_follow, args=(connection, trace, asking), daemon=True)
        thread.start()
        try:
            yield trace
        finally:
            # The last word, by which the reader knows that it has read them all.
            asking.echo(_END)
            thread.join(60)
            assert not thread.is_alive(), "MONITOR was not read to its end"


_END = "the trace ends here"


def _follow(connection: Any, trace: Trace, redis: Redis) -> None:
    while True:
        who, call = parse(connection.read_response(disable_decoding=True))
        if call[1:] == (_END.encode(),):
            return
        trace.add(who, call, redis)


def refusals(redis: Redis, grants: Iterable[Grant], calls: Iterable[Call]) -> list[Call]:
    """Give the commands that a user with these grants would be refused."""
    asked = list(calls)
    pipeline: Any = redis.pipeline(transaction=False)
    pipeline.execute_command("ACL", "SETUSER", _MUTANT, "reset", *(one.rule() for one in grants))
    for call in asked:
        pipeline.execute_command("ACL", "DRYRUN", _MUTANT, *call)
    pipeline.execute_command("ACL", "DELUSER", _MUTANT)
    _, *replies, _ = pipeline.execute(raise_on_error=False)
    return [call for call, reply in zip(asked, replies, strict=True) if reply not in (True, b"OK")]


def narrowings(grants: tuple[Grant, ...]) -> Iterator[tuple[str, str, tuple[Grant, ...]]]:
    """Take one right away at a time: a command, a key, a channel, to read a key, or to write it.

    Gives the right, the selector that held it, and what is left.
    """
    for place, grant in enumerate(grants):
        for right, less in _less(grant):
            rest = () if not less.commands else (less,)
            yield right, grant.rule(), (*grants[:place], *rest, *grants[place + 1 :])


def _less(grant: Grant) -> Iterator[tuple[str, Grant]]:
    commands = grant.commands.split()
    for command in commands:
        yield command, replace(grant, commands=" ".join(c for c in commands if c != command))
    for key in grant.keys:
        others = tuple(one for one in grant.keys if one != key)
        yield key, replace(grant, keys=others)
        if key.startswith("~"):
            yield f"writing {key}", replace(grant, keys=(*others, f"%R{key}"))
            yield f"reading {key}", replace(grant, keys=(*others, f"%W{key}"))
    for channel in grant.channels:
        others = tuple(one for one in grant.channels if one != channel)
        yield channel, replace(grant, channels=others)
