"""Writes what each image installs: that part of the lock which the image's extras reach.

One image's list does not change with another's packages, nor with those of the tests, so neither
does the layer that is made of it. Which package reaches which is read from what is installed in the
environment that runs this; torch is not in the lock and in no list. The list of the image of large
models is not made here: `make lock` works it out by itself, since its torch is the one for GPUs.

    python requirements/image_locks.py requirements/lock.txt requirements/images
"""

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: What each image needs: extras of ours, and what is beside them.
IMAGES = {
    "router": ("smallfirst[router,linear,tracing,audit-log]",),
    "flower": ("smallfirst[router,tracing]", "flower"),
    "desk": ("smallfirst[desk]",),
    "slm": ("smallfirst[slm,int8,remote,tracing]",),
}
#: Of no list: ours, and torch, whose build depends on the index.
LEFT_OUT = {"smallfirst", "torch"}


def entries(lock: str) -> dict[str, str]:
    """Take a lock apart: by name, a package's lines with its hashes."""
    found = re.finditer(r"^(\S+)==[^\n]*(?:\n    --hash=[^\n]*)*", lock, re.MULTILINE)
    return {canonicalize_name(each[1]): each[0] for each in found}


def reached(requirements: Iterable[str]) -> set[str]:
    """Follow requirements, with their extras, through what is installed; ours and torch too.

    What a package asks for and is not installed is left out, as the lock leaves it out.
    """
    waiting = [Requirement(one) for one in requirements]
    seen: dict[str, set[str]] = {}
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        new = {"", *one.extras} - seen.setdefault(name, set())
        seen[name] |= new
        waiting += _asked_by(name, new)
    return {name for name in seen if _is_installed(name)}


def _asked_by(name: str, extras: set[str]) -> list[Requirement]:
    if not extras or not _is_installed(name):
        return []
    asked = [Requirement(one) for one in metadata.requires(name) or ()]
    return [
        one
        for one in asked
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def lists(lock: str) -> Mapping[str, str]:
    """Write each image's list.

    Raises:
        KeyError: When an image reaches a package that the lock does not have.
    """
    locked = entries(lock)
    return {
        image: "".join(f"{locked[name]}\n" for name in sorted(reached(wanted) - LEFT_OUT))
        for image, wanted in IMAGES.items()
    }


if __name__ == "__main__":
    _, of, into = sys.argv
    for image, text in lists(Path(of).read_text("utf-8")).items():
        (Path(into) / f"{image}.txt").write_text(text, "utf-8")
