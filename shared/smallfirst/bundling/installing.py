"""Installing a bundle's wheels into an environment of their own, by their hashes, without an index.

An environment cannot be moved, so it is made in its place; a mark in it says whether it is whole.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from smallfirst.bundling.manifest import MANIFEST
from smallfirst.bundling.unpacking import Unpacked
from smallfirst.errors import BundleError

#: Says which bundle an environment is of: its manifest's SHA-256, or that it is half made.
MARK: Final = "smallfirst-bundle"
_HALF: Final = "half made\n"
_NO_VENV: Final = "install Python's own venv (Debian: apt install python3-venv)"
_NO_FIT: Final = "see that the wheels are as they came, and for this Python and this processor"


@dataclass(frozen=True)
class Installed:
    """An environment with a bundle's packages.

    Attributes:
        folder: Where it is.
        is_new: Whether it was made just now.
        missing: What pip says that packages ask for and do not have, a line each.
    """

    folder: Path
    is_new: bool
    missing: tuple[str, ...]

    @property
    def command(self) -> Path:
        """The command line that was installed."""
        return self.folder / "bin" / "smallfirst"


def install(bundle: Unpacked, folder: Path) -> Installed:
    """Make an environment with a bundle's packages; where it is there already, leave it alone.

    Raises:
        BundleError: When the bundle has no packages, the folder holds something else, or pip fails.
    """
    folder = folder.resolve()
    requirements = bundle.place_of("requirements")
    if bundle.folder is None or requirements is None:
        raise BundleError("--venv", "the bundle holds no wheels", "leave it out")
    mark, whose = folder / MARK, _hash_of(bundle.folder / MANIFEST)
    is_new = _told_by(mark) != whose
    if is_new:
        _begin(folder)
        _make(folder, requirements)
        mark.write_text(whose, "utf-8")
    return Installed(folder, is_new, _missing(folder))


def _hash_of(manifest: Path) -> str:
    return f"{sha256(manifest.read_bytes()).hexdigest()}\n"


def _told_by(mark: Path) -> str | None:
    return mark.read_text("utf-8") if mark.is_file() else None


def _begin(folder: Path) -> None:
    """Take an empty folder, or one that an earlier try has left half made."""
    told = _told_by(folder / MARK)
    if told == _HALF:
        shutil.rmtree(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        held = "the environment of another bundle" if told else "something else"
        raise BundleError(str(folder), f"holds {held}", "name a new folder with --venv")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(_HALF, "utf-8")


def _make(folder: Path, requirements: Path) -> None:
    # Without `--no-deps` pip would ask for what a lock leaves out on purpose.
    wheels = requirements.with_name("wheels")
    from_wheels = ("--no-index", "--find-links", str(wheels), "--no-deps", "--require-hashes")
    _run((sys.executable, "-m", "venv", str(folder)), folder, _NO_VENV)
    order = ("install", "--quiet", *from_wheels, "-r", str(requirements))
    _run((*_pip(folder), *order), folder, _NO_FIT)


def _pip(folder: Path) -> tuple[str, ...]:
    # Isolated: nobody's settings lead it to an index.
    return (
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "--isolated",
        "--disable-pip-version-check",
    )


def _run(command: tuple[str, ...], folder: Path, remedy: str) -> None:
    done = _said_by(*command)
    if done.returncode != 0:
        lines = f"{done.stdout}\n{done.stderr}".strip().splitlines() or ["it says nothing"]
        # What pip says first is what is wrong; what it says last are numbers.
        first = next((line for line in lines if line.startswith("ERROR: ")), lines[-1])
        raise BundleError(str(folder), f"cannot be made: {first.rstrip('.')}", remedy)


def _missing(folder: Path) -> tuple[str, ...]:
    done = _said_by(*_pip(folder), "check")
    return tuple(done.stdout.strip().splitlines()) if done.returncode else ()


def _said_by(*command: str) -> "subprocess.CompletedProcess[str]":
    # Of another interpreter: what leads this one to its packages is not for that one.
    own = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    environment = {name: told for name, told in os.environ.items() if name not in own}
    return subprocess.run(  # noqa: S603 - Python and pip, with arguments of ours
        command, env=environment, capture_output=True, text=True, check=False
    )
