"""Someone who makes a bundle as the page says, and carries it to where nothing can be reached.

As a module it does so with every package of a fleet of small models, and has one of them answer:
gigabytes and minutes, so that no test does (`make air-gap`).
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.carried_fleet import PAGE
from tests.support.no_route import run_without_route
from tests.support.pages import ROOT, readers_path, texts_under

from smallfirst.local.redis_server import find_binary

LOCK = ROOT / "requirements" / "lock.txt"
#: How long a step of the page may take, in seconds.
PATIENCE = 480.0


def make_bundle(folder: Path, *, extras: str = "router") -> None:
    """Follow the page in a folder with a catalogue; packages are of the locked versions."""
    own = folder / "own"
    build = ("--wheel", "--no-isolation", "--outdir", str(own), str(ROOT))
    subprocess.run([sys.executable, "-m", "build", *build], check=True, capture_output=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(
        "\n".join(re.findall(r"^[^ #]+==[^ ;\\]+", LOCK.read_text(), re.MULTILINE))
    )
    found = f"{own} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    told = {"PIP_FIND_LINKS": found, "PIP_CONSTRAINT": str(constraints)}
    environment = {**os.environ, **told, "PATH": readers_path(folder)}
    for block in texts_under(PAGE, "Make it", "sh"):
        follow(folder, block.replace("smallfirst[router]", f"smallfirst[{extras}]"), environment)


def follow(folder: Path, block: str, environment: dict[str, str]) -> str:
    """Run a block of the page; return what it printed, on both streams."""
    done = subprocess.run(
        ["bash", "-ec", block],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}"
    return done.stdout


def carry(made: Path, there: Path, task: str, text: str) -> Any:
    """Take the bundle and the verifier key to a folder without a network; say what came of it."""
    for name in ("fleet.tar", "bundle.pub"):
        shutil.copy(made / name, there)
    tools = there / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    (tools / "redis-server").symlink_to(find_binary())
    environment = {
        "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(there),
        "XDG_STATE_HOME": str(there / "state"),
        "SMALLFIRST_CACHE_DIR": str(there / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    program = (sys.executable, "-m", "tests.support.carried_fleet", task, text)
    done = run_without_route(program, environment, folder=there, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def main() -> int:
    """Carry the first catalogue that `smallfirst init` writes, and ask its small model."""
    with TemporaryDirectory() as folder:
        made, there = Path(folder, "made"), Path(folder, "there")
        there.mkdir()
        subprocess.run([sys.executable, "-m", "smallfirst", "init", str(made)], check=True)
        make_bundle(made, extras="router,linear,slm")
        size = (made / "fleet.tar").stat().st_size
        told = carry(made, there, "topic", "When do I get my money back?")
    sys.stdout.write(f"{told['first']}{size:,} bytes; answered: {told['result']}\n")
    is_fine = told["result"]["trail"][-1]["model"] == "minilm" and not told["outside"]
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
