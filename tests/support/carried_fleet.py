"""Whoever gets a bundle where there is no network, and follows the page: installs, starts, asks.

As a module it does so in its folder and prints, as JSON, what came of it. It uses what the bundle
brought, and nothing of the environment of the tests but how they read pages and wait.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.pages import ROOT, texts_under
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "how-to" / "air-gap.md"
INSTALL = "Install it"
#: What was installed has nothing of the tests on its path.
ENVIRONMENT = {name: told for name, told in os.environ.items() if name != "PYTHONPATH"}


def main() -> None:
    """Follow the page: take the installer out of the bundle, run it, check, start, ask."""
    task, text = sys.argv[1:]
    told: dict[str, Any] = {"outside": reached("192.0.2.1"), "name": resolved("example.org")}
    install, check, up = texts_under(PAGE, INSTALL, "sh")
    told["first"], told["again"] = follow(install), follow(install)
    told["checked"] = follow(f"{check.strip()} --json")
    told["result"] = _answer(up, task, text)
    print(json.dumps(told))  # noqa: T201 - that is what it is for


def reached(address: str) -> bool:
    """Whether an address of the world can be connected to."""
    try:
        socket.create_connection((address, 443), timeout=5).close()
    except OSError:
        return False
    return True


def resolved(name: str) -> bool:
    """Whether a name of the world is known."""
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        return False
    return True


def follow(block: str) -> str:
    """Run a block of the page; return what it printed."""
    command = ("bash", "-ec", block)
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _answer(up: str, task: str, text: str) -> Any:
    """Start the fleet, have it answer one job, and stop it."""
    screen, command = Path("screen"), ("bash", "-ec", f"exec {up}")
    with (
        screen.open("w") as out,
        subprocess.Popen(command, env=ENVIRONMENT, stdout=out, stderr=subprocess.STDOUT) as fleet,
    ):
        try:
            wait_until(
                lambda: "ready; " in screen.read_text() or fleet.poll() is not None,
                description="the fleet is ready",
                timeout=240,
            )
            assert fleet.poll() is None, screen.read_text()
            asked = ("venv/bin/smallfirst", "submit", "--task", task, text)
            job = subprocess.check_output(asked, env=ENVIRONMENT, text=True).strip()
            return json.loads(follow(f"venv/bin/smallfirst result {job} --timeout 60 --json"))
        finally:
            fleet.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
