"""Whoever gets a bundle where there is no network: installs it, starts its fleet, asks one job.

As a module it does so and prints, as JSON, what came of it. It uses what the bundle brought, and of
the environment of the tests nothing but the way in which they wait.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

TEXT = "write to ada@example.com"
#: What was installed has nothing of the tests on its path.
ENVIRONMENT = {name: told for name, told in os.environ.items() if name != "PYTHONPATH"}


def main() -> None:
    """Follow the page: take the installer out of the bundle, run it, start, ask."""
    bundle, key, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    told: dict[str, Any] = {"outside": reached("192.0.2.1"), "name": resolved("pypi.org")}
    _run("tar", "-xf", str(bundle), "-C", str(folder), "install.pyz")
    installer = (sys.executable, "-I", "-S", str(folder / "install.pyz"))
    carried, venv = folder / "fleet", folder / "venv"
    order = (str(bundle), "--key", key, "--to", str(carried), "--venv", str(venv))
    told["first"], told["again"] = _run(*installer, *order), _run(*installer, *order)
    command, catalogue = str(venv / "bin" / "smallfirst"), carried / "catalogue" / "catalogue.yaml"
    told["checked"] = json.loads(_run(command, "check", str(catalogue), "--json"))
    told["unbundled"] = json.loads(
        _run(command, "unbundle", str(bundle), "--key", key, "--to", str(carried), "--json")
    )
    told["result"] = _answer(command, catalogue, folder)
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


def _run(*command: str) -> str:
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _answer(command: str, catalogue: Path, folder: Path) -> Any:
    """Start the fleet, have it answer one job, and stop it."""
    of_fleet = (command, "--folder", str(folder / "state"))
    up = (*of_fleet, "up", "--catalogue", str(catalogue), "--no-flower", "--json")
    log = folder / "up.json"
    with log.open("w") as out, subprocess.Popen(up, env=ENVIRONMENT, stdout=out) as fleet:
        try:
            wait_until(
                lambda: '"redis_url"' in log.read_text() or fleet.poll() is not None,
                description="the fleet is ready",
                timeout=90,
            )
            job = _run(*of_fleet, "submit", "--task", "found", TEXT).strip()
            return json.loads(_run(*of_fleet, "result", job, "--timeout", "30", "--json"))
        finally:
            fleet.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
