"""Lists the licences of the packages that are locked and installed here, as each tells its own.

    python requirements/licences.py > requirements/licences.txt

What a package says comes first in the form that is an SPDX expression, else from its classifiers,
else as it calls it itself. torch, whose build depends on the index, is listed too.
"""

import re
import sys
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).with_name("lock.txt")
#: Of the lock, and beside it.
MORE = ("torch",)
#: Only for machines of one kind: where another reads the list, what it has tells more.
_LONGEST = 60


def licence(told: Message) -> str:
    """Say a package's licence in one line.

    Source: https://packaging.python.org/en/latest/specifications/core-metadata.
    """
    if expression := told["License-Expression"]:
        return str(expression)
    prefix = "License :: "
    of_list = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier", [])
        if line.startswith(prefix) and line != "License :: OSI Approved"
    ]
    own = str(told["License"] or "").strip().partition("\n")[0]
    return "; ".join(sorted(of_list)) or own[:_LONGEST] or "not told"


def names() -> Iterator[str]:
    """Name what is locked."""
    yield from re.findall(r"^([\w.-]+)==", LOCK.read_text("utf-8"), re.MULTILINE)
    yield from MORE


def lines() -> Iterator[str]:
    """Write a package and its licence, each on a line, those alone that are installed."""
    for name in sorted(names()):
        try:
            yield f"{name}: {licence(metadata.metadata(name))}"  # type: ignore[arg-type]
        except metadata.PackageNotFoundError:
            continue


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
