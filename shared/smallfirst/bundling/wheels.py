"""The wheels that a bundle carries, and the list that names each by its hash."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from smallfirst.errors import BundleError

#: NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl
#: Source: https://packaging.python.org/specifications/binary-distribution-format/
_WHEEL: Final = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
#: What `pip download` leaves of a package for which it found no wheel.
_ARCHIVES: Final = (".tar.gz", ".zip", ".tar.bz2", ".tgz")
#: Folders of a wheel's `.data` whose content goes where modules are.
_LIBRARIES: Final = ("purelib", "platlib")
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_ASKED: Final = re.compile(r"^Requires-Dist: *([A-Za-z0-9][A-Za-z0-9._-]*)(.*)$", re.MULTILINE)
_OURS: Final = "smallfirst"


@dataclass(frozen=True)
class Wheel:
    """A package that needs no building: its normal name, its version, and its file."""

    name: str
    version: str
    file: Path

    def modules(self) -> set[str]:
        """What can be imported of it.

        Raises:
            BundleError: When it is no wheel.
        """
        with self._opened() as packed:
            tops = {_top(name.split("/")) for name in packed.namelist()}
        return {top.partition(".")[0] for top in tops if not top.endswith((".dist-info", ".data"))}

    def needs(self) -> set[str]:
        """The packages that it asks for everywhere, by their normal names; of versions not a word.

        Raises:
            BundleError: When it is no wheel.
        """
        with self._opened() as packed:
            about = next((n for n in packed.namelist() if _METADATA.fullmatch(n)), None)
            told = packed.read(about).decode("utf-8", "replace") if about else ""
        asked = _ASKED.findall(told.partition("\n\n")[0])
        return {_normal(name) for name, rest in asked if ";" not in rest}

    @contextmanager
    def _opened(self) -> Iterator[ZipFile]:
        try:
            with ZipFile(self.file) as packed:
                yield packed
        except (BadZipFile, OSError) as error:
            remedy = "fetch or build it again"
            raise BundleError(str(self.file), "cannot be read as a wheel", remedy) from error


def lacking(wheels: tuple[Wheel, ...], wanted: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Say what is not among wheels, though something asks for it: a sentence each.

    Args:
        wheels: All that is carried.
        wanted: The modules that others import, by who they are.
    """
    names = {wheel.name for wheel in wheels}
    modules = {module for wheel in wheels for module in wheel.modules()}
    for wheel in wheels:
        for name in sorted(wheel.needs() - names):
            yield f"{wheel.name} needs the package {name}, and no wheel brings it"
    for who, imported in wanted.items():
        for module in sorted(set(imported) - modules):
            yield f"{who} needs the module {module}, and no wheel brings it"


def _top(parts: list[str]) -> str:
    """What a file's path begins with, once it is installed."""
    is_moved = len(parts) > 2 and parts[0].endswith(".data") and parts[1] in _LIBRARIES
    return parts[2] if is_moved else parts[0]


def wheels_in(folder: Path) -> tuple[Wheel, ...]:
    """Find the wheels of a folder, ours among them.

    Raises:
        BundleError: When something there cannot be installed without a network, or ours is missing.
    """
    if not folder.is_dir():
        raise BundleError(str(folder), "is no folder", "name the folder of the wheels")
    found = [_read(file) for file in sorted(folder.iterdir()) if _is_package(file)]
    versions: dict[str, set[str]] = defaultdict(set)
    for wheel in found:
        versions[wheel.name].add(wheel.version)
    for name, several in versions.items():
        if len(several) > 1:
            reason = f"holds {name} in the versions {' and '.join(sorted(several))}"
            raise BundleError(str(folder), reason, "keep the one that is to be installed")
    if _OURS not in versions:
        remedy = f"build it (make wheel), or fetch it: pip download --no-deps {_OURS}"
        raise BundleError(str(folder), f"holds no wheel of {_OURS}", remedy)
    return tuple(found)


def requirements_of(wheels: tuple[Wheel, ...]) -> str:
    """Write the list that pip installs from: each package's version, and the hash of each file."""
    hashes: Mapping[tuple[str, str], list[str]] = defaultdict(list)
    for wheel in wheels:
        hashes[wheel.name, wheel.version].append(_hash_of(wheel.file))
    return "".join(
        f"{name}=={version}{''.join(f' --hash=sha256:{each}' for each in sorted(found))}\n"
        for (name, version), found in sorted(hashes.items())
    )


def _is_package(file: Path) -> bool:
    return file.is_file() and file.name.endswith((".whl", *_ARCHIVES))


def _read(file: Path) -> Wheel:
    parts = _WHEEL.fullmatch(file.name)
    if parts is None:
        remedy = f"make a wheel of it: pip wheel --no-deps -w {file.parent} {file}; then remove it"
        raise BundleError(str(file), "is no wheel, so installing it would need a network", remedy)
    return Wheel(_normal(parts[1]), parts[2], file)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _hash_of(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
