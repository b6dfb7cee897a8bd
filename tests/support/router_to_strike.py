"""Runs a real router that sends itself a signal at one exact point of its talk with Redis.

    STRIKE="after XREADGROUP {sf:0}:jobs:default" python -m tests.support.router_to_strike

The point is a command or a script of the ledger, before it is sent or after its reply has come; a
third word must occur in it. An empty reply is not waited for. What is broken is the wire alone.
"""

import hashlib
import os
import signal
import sys
from typing import Any

from redis.connection import AbstractConnection

from smallfirst.ledger.scripts import script_text
from smallfirst_router.__main__ import main


def marker_of(command: str) -> bytes:
    """What tells a command, or a script of this name, from all others on the wire."""
    if command.islower():
        script = script_text(command).encode()
        return hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()
    return command.encode()


def strike() -> None:
    """Send this process its signal."""
    os.kill(os.getpid(), int(os.environ.get("STRIKE_SIGNAL", signal.SIGKILL)))


def arm(moment: str, *markers: bytes) -> None:
    """Strike once, at this moment of the first command that has all markers in it."""
    send: Any = AbstractConnection.send_packed_command
    read: Any = AbstractConnection.read_response
    left = [1]

    def is_meant(command: Any) -> bool:
        chunks = [command] if isinstance(command, bytes) else list(command)
        whole = b"".join(each if isinstance(each, bytes) else each.encode() for each in chunks)
        return bool(left[0]) and all(marker in whole for marker in markers)

    def send_or_strike(self: Any, command: Any, *more: Any, **options: Any) -> Any:
        command = command if isinstance(command, bytes | str) else list(command)
        self.is_struck = is_meant(command)
        if self.is_struck and moment == "before":
            left[0] = 0
            strike()
        return send(self, command, *more, **options)

    def read_and_strike(self: Any, *more: Any, **options: Any) -> Any:
        reply = read(self, *more, **options)
        if getattr(self, "is_struck", False) and moment == "after" and reply and left[0]:
            left[0] = 0
            strike()
        return reply

    AbstractConnection.send_packed_command = send_or_strike  # type: ignore[method-assign]
    AbstractConnection.read_response = read_and_strike  # type: ignore[method-assign]


if __name__ == "__main__":
    when, what, *where = os.environ["STRIKE"].split()
    arm(when, marker_of(what), *(word.encode() for word in where))
    sys.exit(main())
