"""Writes a lock with the SHA-256 of every file that may be installed from it.

What is read is uv's own lock (`pylock.toml`, PEP 751), which names each file that the index has
of each version. Kept are the wheels that a supported machine could take: Linux on x86-64 or arm64,
Python 3.11 or 3.12. A source archive is kept only where a machine finds no wheel, since it runs
code of its own when it is installed. `--arm64` lists, instead, which packages have no wheel for
arm64.

    uv pip compile --no-deps --format pylock.toml versions.txt -o pylock.toml
    python requirements/hashes.py pylock.toml > lock.txt
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MACHINES = ("x86_64", "aarch64")
#: Those that pyproject.toml names, as wheels write them.
PYTHONS = ("cp311", "cp312")
#: A wheel's name without its suffix ends in three tags: of Python, of its ABI, of the platform.
WHEEL = re.compile(r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$")

Package = Mapping[str, Any]
Target = tuple[str, str]


def targets(wheel: str) -> set[Target]:
    """Say on which machines, under which Pythons, a wheel of this name can be installed.

    Source: the tags of https://packaging.python.org/en/latest/specifications/platform-compatibility-tags.
    """
    tags = WHEEL.search(wheel)
    if tags is None:
        return set()
    machines = {one for one in MACHINES if _fits(tags["platform"], one)}
    pythons = {one for one in PYTHONS if _runs(tags["python"], tags["abi"], one)}
    return {(machine, python) for machine in machines for python in pythons}


def _fits(platform: str, machine: str) -> bool:
    """Whether one of a wheel's platforms is Linux with glibc on this machine, or any."""
    return any(
        one == "any" or (one.startswith(("manylinux", "linux")) and one.endswith(machine))
        for one in platform.split(".")
    )


def _runs(python: str, abi: str, wanted: str) -> bool:
    """Whether a wheel's tags admit this Python: its own, an older one's stable ABI, or any."""
    for one in python.split("."):
        minor = int(one[3:] or 0) if one[2:3] == "3" else None
        if one.startswith("py") and abi == "none" and minor is not None:
            return minor <= int(wanted[3:])
        if abi == "abi3" and one.startswith("cp") and minor is not None:
            return minor <= int(wanted[3:])
        if one == wanted and abi in {wanted, "none"}:
            return True
    return False


def hashes(package: Package) -> list[str]:
    """List the hashes of a package's files that may be installed, in order."""
    kept = {_hash(one) for one in package.get("wheels", ()) if targets(_name(one))}
    source = package.get("sdist")
    if source and len(_covered(package)) < len(MACHINES) * len(PYTHONS):
        kept.add(_hash(source))
    return sorted(kept)


def lacking(packages: Iterable[Package], machine: str) -> list[str]:
    """Name the packages that have no wheel for this machine."""
    return [
        f"{each['name']}=={each['version']}"
        for each in packages
        if machine not in {one for one, _ in _covered(each)}
    ]


def lines(packages: Iterable[Package]) -> Iterator[str]:
    """Write each package as pip and uv read it under `--require-hashes`.

    Raises:
        LookupError: When nothing of a package can be installed on any supported machine.
    """
    for each in packages:
        kept = hashes(each)
        if not kept:
            raise LookupError(f"{each['name']}=={each['version']} has no file for Linux")
        yield " \\\n".join(
            (f"{each['name']}=={each['version']}", *(f"    --hash=sha256:{one}" for one in kept))
        )


def _covered(package: Package) -> set[Target]:
    return set().union(*(targets(_name(wheel)) for wheel in package.get("wheels", ())))


def _name(file: Package) -> str:
    return str(file.get("name") or file["url"].rpartition("/")[2])


def _hash(file: Package) -> str:
    return str(file["hashes"]["sha256"])


def main(arguments: list[str]) -> None:
    """Read uv's lock and write ours, or what it lacks on arm64."""
    *options, path = arguments
    packages = tomllib.loads(Path(path).read_text("utf-8"))["packages"]
    written = lacking(packages, "aarch64") if "--arm64" in options else lines(packages)
    sys.stdout.writelines(f"{line}\n" for line in written)


if __name__ == "__main__":
    main(sys.argv[1:])
