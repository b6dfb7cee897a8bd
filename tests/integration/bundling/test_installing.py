"""Wheels are installed by their hashes into an environment of their own, or not at all."""

from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from smallfirst.audit_log.notes import SigningKey
from smallfirst.bundling.installing import MARK, install
from smallfirst.bundling.unpacking import Unpacked, unpack
from smallfirst.bundling.wheels import requirements_of, wheels_in
from smallfirst.bundling.writing import Content, write_bundle
from smallfirst.errors import BundleError

KEY = SigningKey("example.com/bundles", bytes(range(32)))


def whole_wheel(folder: Path, tag: str = "py3-none-any") -> Path:
    """Write a wheel that pip takes: of our name, with one module, and a wish that is not met."""
    about = "smallfirst-0.0.1.dist-info"
    files = {
        "smallfirst_carried.py": "",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: smallfirst\nVersion: 0.0.1\n"
        "Requires-Dist: nowhere-to-be-found\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    path = folder / f"smallfirst-0.0.1-{tag}.whl"
    with ZipFile(path, "w") as to:
        for name, text in files.items():
            to.writestr(name, text)
        to.writestr(
            f"{about}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
        )
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Unpacked:
    """A bundle with one wheel, unpacked."""
    return unpacked(tmp_path, "py3-none-any")


def unpacked(folder: Path, tag: str) -> Unpacked:
    """A bundle with one wheel for some kind of Python, unpacked."""
    (folder / "made").mkdir()
    wheel = whole_wheel(folder / "made", tag)
    contents = (
        Content("bundle.json", b'{"requirements": "requirements.txt"}'),
        Content("requirements.txt", requirements_of(wheels_in(folder / "made")).encode()),
        Content(f"wheels/{wheel.name}", wheel),
    )
    write_bundle(folder / "b.tar", contents, KEY)
    return unpack(folder / "b.tar", KEY.verifier, folder / "there")


def test_wheels_of_another_python_are_told_of(tmp_path: Path) -> None:
    """By the package, and with what to look at."""
    bundle = unpacked(tmp_path, "cp27-cp27m-win32")
    with pytest.raises(BundleError, match=r"smallfirst==0\.0\.1 .*for this Python"):
        install(bundle, tmp_path / "venv")


def test_wheels_are_installed_once(bundle: Unpacked, tmp_path: Path) -> None:
    """What pip misses is told of; what a kill left half made is made anew."""
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / MARK).write_text("half made\n")
    (venv / "worm").write_text("left")
    first, again = install(bundle, venv), install(bundle, venv)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.command == venv / "bin" / "smallfirst"
    assert next(venv.glob("lib/*/site-packages/smallfirst_carried.py")).exists()
    assert not (venv / "worm").exists()
    assert first.missing == (
        "smallfirst 0.0.1 requires nowhere-to-be-found, which is not installed.",
    )


def test_a_wheel_that_was_changed_since_is_not_installed(bundle: Unpacked, tmp_path: Path) -> None:
    """Its hash was signed; the environment is half made, and says so."""
    assert bundle.folder is not None
    [wheel] = (bundle.folder / "wheels").iterdir()
    before = sha256(wheel.read_bytes()).hexdigest()
    with ZipFile(wheel, "a") as to:
        to.writestr("worm.py", "")
    assert sha256(wheel.read_bytes()).hexdigest() != before
    with pytest.raises(BundleError, match="cannot be made: ERROR: THESE PACKAGES DO NOT MATCH"):
        install(bundle, tmp_path / "venv")
    assert (tmp_path / "venv" / MARK).read_text("utf-8") == "half made\n"


def test_what_is_somebody_elses_is_left_alone(bundle: Unpacked, tmp_path: Path) -> None:
    """A folder with files, the environment of another bundle, and a file."""
    for name, text in (("own", "mine"), (MARK, "another's\n")):
        venv = tmp_path / f"of-{name}"
        venv.mkdir()
        (venv / name).write_text(text)
        with pytest.raises(BundleError, match=r"something else|another bundle"):
            install(bundle, venv)
        assert (venv / name).read_text("utf-8") == text
    with pytest.raises(BundleError, match="holds something else"):
        install(bundle, tmp_path / "b.tar")
