"""A bundle of real wheels, carried to where there is no network: installed, checked, answering."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from requirements import image_locks
from tests.support.carried_fleet import TEXT
from tests.support.no_route import run_without_route, way
from tests.support.pages import ROOT

from smallfirst.audit_log.notes import make_key
from smallfirst.bundling.gathering import Order, gather
from smallfirst.bundling.writing import write_bundle
from smallfirst.local.redis_server import find_binary

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(way() is None, reason="no network namespace may be made here"),
]

CATALOGUE = """version: 1
tasks:
  found: {kind: tag, labels: {email: ""}, cascade: [{rule: {find: [email]}}]}
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a router needs, as locked, and our own wheel of the tree as it is."""
    folder = tmp_path_factory.mktemp("wheels")
    locked = image_locks.entries((ROOT / "requirements" / "lock.txt").read_text("utf-8"))
    names = image_locks.reached(["smallfirst[router]"]) - image_locks.LEFT_OUT
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{locked[name]}\n" for name in sorted(names)))
    own = ("--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    _quietly(sys.executable, "-m", "build", *own)
    hashed = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
    order = (*hashed, "--dest", str(folder), "-r", str(requirements))
    _quietly(sys.executable, "-m", "pip", "download", "--quiet", *order)
    return folder


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def told(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What came of a bundle where nothing could be reached."""
    folder = tmp_path_factory.mktemp("carried")
    catalogue, images = folder / "catalogue.yaml", folder / "images"
    catalogue.write_text(CATALOGUE)
    images.write_text("registry.example.com/smallfirst-router:0.1.0\n")
    key = make_key("example.com/bundles", folder / "key")
    chart = ROOT / "tests" / "deploy" / "previous-chart.tgz"
    gathered = gather(Order(catalogue, wheels, chart, images))
    assert gathered.lacks == ()
    write_bundle(folder / "fleet.tar", gathered.contents, key)
    (folder / "there").mkdir()
    module = (sys.executable, "-m", "tests.support.carried_fleet")
    given = (str(folder / "fleet.tar"), key.verifier.line, str(folder / "there"))
    done = run_without_route((*module, *given), _environment(folder), timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing that leads to packages: only a Redis, the machine's programs, and the tests."""
    path = f"{Path(find_binary()).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT)}


def test_there_is_no_way_out(told: Any) -> None:
    """Neither an address of the world nor a name: whatever works there, works without a network."""
    assert (told["outside"], told["name"]) == (False, False)


def test_the_installer_needs_nothing_but_python(told: Any) -> None:
    """It verifies, unpacks and installs; a second run changes nothing, and nothing is missing."""
    assert told["first"].startswith("whole: ")
    assert "unpacked: " in told["first"]
    assert "installed: " in told["first"]
    assert "there already: " in told["again"]
    assert "installed already: " in told["again"]
    assert "missing: " not in told["first"]


def test_what_was_installed_works(told: Any) -> None:
    """The command line checks the catalogue, and knows the bundle too."""
    assert told["checked"] == []
    assert told["unbundled"]["is_new"] is False
    assert Path(told["unbundled"]["chart"]).name == "previous-chart.tgz"
    assert Path(told["unbundled"]["images"]).read_text("utf-8").startswith("registry.example.com")


def test_a_job_is_answered(told: Any) -> None:
    """By a fleet of what was carried, and of nothing else."""
    assert told["result"]["status"] == "answered"
    [span] = told["result"]["answer"]["spans"]
    assert TEXT[span["start"] : span["end"]] == "ada@example.com"
