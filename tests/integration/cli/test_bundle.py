"""`smallfirst bundle` and `unbundle`: what they print, exit with, and refuse."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import ROOT

Smallfirst = Callable[..., Any]
CATALOGUE = """version: 1
tasks:
  found: {kind: tag, labels: {email: ""}, cascade: [{rule: {find: [email]}}]}
"""
CHART = ROOT / "tests" / "deploy" / "previous-chart.tgz"


@pytest.fixture
def verifier(smallfirst: Smallfirst, tmp_path: Path) -> str:
    """The verifier key of a new signing key, `key`, and a catalogue beside it."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    return str(smallfirst("audit-log", "key", tmp_path / "key", "--name", "example.com/b").out)


@pytest.fixture
def bundle(smallfirst: Smallfirst, verifier: str, tmp_path: Path) -> Path:
    """A bundle of a catalogue and a chart."""
    made = ("--catalogue", tmp_path / "catalogue.yaml", "--key", tmp_path / "key")
    done = smallfirst("bundle", tmp_path / "b.tar", *made, "--chart", CHART)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == f"verifier key: {verifier.strip()}"
    return tmp_path / "b.tar"


def test_a_bundle_is_written_and_unpacked(
    smallfirst: Smallfirst, bundle: Path, verifier: str, tmp_path: Path
) -> None:
    """By the key itself or its file; and the catalogue that arrives is one."""
    looked = smallfirst("unbundle", bundle, "--key", verifier.strip(), "--json").json
    assert (looked["files"], looked["folder"], looked["catalogue"]) == (4, None, None)
    (tmp_path / "verifier").write_text(verifier)
    to = ("--key", tmp_path / "verifier", "--to", tmp_path / "there")
    first, again = (smallfirst("unbundle", bundle, *to).out for _ in range(2))
    assert f"unpacked: {tmp_path / 'there'}\n" in first
    assert f"there already: {tmp_path / 'there'}\n" in again
    catalogue = tmp_path / "there" / "catalogue" / "catalogue.yaml"
    assert f"catalogue: {catalogue}\nchart: " in first
    assert smallfirst("check", catalogue).code == 0


def test_the_same_bundle_is_the_same_bytes(
    smallfirst: Smallfirst, bundle: Path, tmp_path: Path
) -> None:
    """Whenever and wherever it is made."""
    made = ("--catalogue", tmp_path / "catalogue.yaml", "--key", tmp_path / "key")
    told = smallfirst("bundle", tmp_path / "2.tar", *made, "--chart", CHART, "--json").json
    assert (tmp_path / "2.tar").read_bytes() == bundle.read_bytes()
    assert (told["files"], told["lacks"]) == (4, [])


def test_a_changed_byte_is_refused(
    smallfirst: Smallfirst, bundle: Path, verifier: str, tmp_path: Path
) -> None:
    """With the file that it is in, exit code 1, and nothing left behind."""
    raw = bytearray(bundle.read_bytes())
    raw[raw.index(b"version: 1")] ^= 1
    bundle.write_bytes(raw)
    done = smallfirst("unbundle", bundle, "--key", verifier.strip(), "--to", tmp_path / "there")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("smallfirst: catalogue/catalogue.yaml: was changed")
    assert not list(tmp_path.glob("*there*"))


def test_another_key_is_refused(smallfirst: Smallfirst, bundle: Path, tmp_path: Path) -> None:
    """And what is no key, or is not there."""
    other = smallfirst("audit-log", "key", tmp_path / "other", "--name", "example.com/b").out
    done = smallfirst("unbundle", bundle, "--key", other.strip())
    assert done.code == 1
    assert "manifest.txt: is not signed by example.com/b+" in done.err
    for wrong in ("a+b+c", tmp_path / "none", bundle):
        done = smallfirst("unbundle", bundle, "--key", wrong)
        assert (done.code, done.out) == (1, "")
        assert "audit-log key" in done.err


@pytest.mark.usefixtures("verifier")
def test_wrong_usage_is_told(smallfirst: Smallfirst, bundle: Path, tmp_path: Path) -> None:
    """What names no catalogue, no folder, or an environment of nothing."""
    key = ("--key", tmp_path / "key")
    catalogue = ("--catalogue", tmp_path / "catalogue.yaml")
    assert smallfirst("unbundle", bundle, *key, "--venv", tmp_path / "v").code == 2
    assert smallfirst("bundle", bundle, *key, "--catalogue", tmp_path / "no.yaml").code == 2
    assert smallfirst("bundle", tmp_path / "no" / "b.tar", *key, *catalogue).code == 2
    assert smallfirst("bundle", tmp_path, *key, *catalogue).code == 2
    to = ("--to", tmp_path / "there", "--venv", tmp_path / "v")
    done = smallfirst("unbundle", bundle, *key, *to)
    assert (done.code, done.err) == (
        1,
        "smallfirst: --venv: the bundle holds no wheels; leave it out\n",
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_the_installer_verifies_by_openssl(
    smallfirst: Smallfirst, bundle: Path, verifier: str, tmp_path: Path
) -> None:
    """It is taken out of the bundle, and runs where Python has nothing but its own library."""
    subprocess.run(["tar", "-xf", str(bundle), "-C", str(tmp_path), "install.pyz"], check=True)
    installer = (sys.executable, "-I", "-S", str(tmp_path / "install.pyz"), str(bundle), "--key")
    done = subprocess.run(
        [*installer, verifier.strip()], capture_output=True, text=True, check=True
    )
    assert done.stdout == smallfirst("unbundle", bundle, "--key", verifier.strip()).out
    other = smallfirst("audit-log", "key", tmp_path / "other", "--name", "example.com/b").out
    done = subprocess.run([*installer, other.strip()], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("install.pyz: manifest.txt: is not signed by")
