"""The page of the air gap, followed: a bundle of real wheels, installed without a network."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.bundles import carry, follow, make_bundle
from tests.support.carried_fleet import PAGE
from tests.support.no_route import way
from tests.support.pages import texts_under

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here"),
]

TEXT = "write to ada@example.com"
CATALOGUE = """version: 1
tasks:
  found: {kind: tag, labels: {email: ""}, cascade: [{rule: {find: [email]}}]}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's first half was followed."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    make_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def told(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What came of its second half where nothing could be reached."""
    if way() is None:
        pytest.skip("no network namespace may be made here")
    return carry(made, tmp_path_factory.mktemp("there"), "found", TEXT)


def test_there_is_no_way_out(told: Any) -> None:
    """Neither an address of the world nor a name: whatever works there, works without a network."""
    assert (told["outside"], told["name"]) == (False, False)


def test_the_installer_needs_nothing_but_python(told: Any) -> None:
    """It verifies, unpacks and installs; a second run changes nothing, and nothing is missing."""
    assert told["first"].startswith("whole: ")
    assert "\nunpacked: " in told["first"]
    assert "\ninstalled: " in told["first"]
    assert "\nthere already: " in told["again"]
    assert "\ninstalled already: " in told["again"]
    assert "missing: " not in told["first"]


def test_a_job_is_answered(told: Any) -> None:
    """By a fleet of what was carried, whose catalogue has no findings."""
    assert told["checked"] == "[]\n"
    assert told["result"]["status"] == "answered"
    [span] = told["result"]["answer"]["spans"]
    assert TEXT[span["start"] : span["end"]] == "ada@example.com"


def test_a_bundle_is_verified_by_hand(made: Path) -> None:
    """With OpenSSL and coreutils, as the page shows; and a changed file is named."""
    [block] = texts_under(PAGE, "Look before you run anything of it", "sh")
    assert "Signature Verified Successfully" in follow(made, block, dict(os.environ))
    (made / "look" / "bundle.json").write_text("{}")
    check = block.splitlines()[-1]
    done = subprocess.run(
        ["sh", "-c", check], cwd=made, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "bundle.json: FAILED\n")
