"""Running a program where there is no network: in a namespace of Linux that has only itself.

Making one takes a right: root's, a user namespace's, or sudo's without a password. The program runs
as the user who asked.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_WAYS = (
    ("unshare", "--net"),
    ("unshare", "--map-root-user", "--net"),
    ("sudo", "-n", "unshare", "--net"),
)
#: Has the loopback device come up, which a new namespace does not; takes on user and environment;
#: and becomes the program. Source: netdevice(7), SIOCGIFFLAGS and SIOCSIFFLAGS.
_BEGIN = """
import fcntl, json, os, socket, struct, sys
with socket.socket() as ask:
    told = fcntl.ioctl(ask, 0x8913, struct.pack("16sH22x", b"lo", 0))
    _, flags = struct.unpack("16sH22x", told)
    fcntl.ioctl(ask, 0x8914, struct.pack("16sH22x", b"lo", flags | 1))
uid, gid, environment, *command = sys.argv[1:]
if os.getuid() == 0 and int(uid) and os.environ.get("SUDO_UID"):
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
os.execve(command[0], command, json.loads(environment))
"""


@cache
def way() -> tuple[str, ...] | None:
    """What makes a namespace here; None where nothing may."""
    return next((each for each in _WAYS if _works(each)), None)


def _works(each: tuple[str, ...]) -> bool:
    try:
        command = _command(each, [sys.executable, "-c", ""], {})
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def run_without_route(
    command: Sequence[str], environment: Mapping[str, str], *, folder: Path, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end where no address but its own can be reached."""
    found = way()
    assert found is not None, "no network namespace can be made here"
    whole = _command(found, command, environment)
    return subprocess.run(
        whole, cwd=folder, capture_output=True, text=True, check=False, timeout=timeout
    )


def _command(
    how: Sequence[str], command: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    as_user = [str(os.getuid()), str(os.getgid()), json.dumps(dict(environment))]
    return [*how, sys.executable, "-c", _BEGIN, *as_user, *command]
