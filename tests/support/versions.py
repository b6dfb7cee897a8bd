"""An earlier version of the product, for processes of it beside today's.

It is a commit of this repository, unpacked into a folder and put first on the path of the processes
that are to be of it. Pin a later one when a release is made.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

#: Whose processes, entries and results today's must get on with, and the other way round. Empty
#: where the keys have changed since: then no version before runs beside today's.
PREVIOUS_COMMIT = "08c8cf9e654aa85d5e94f82365032f5249ef1524"
REPOSITORY = Path(__file__).parents[2]
ROOMS = ("shared", "router", "workers")


def unpack_previous(folder: Path) -> bool:
    """Put the earlier version there; say whether the history of git reaches back to it."""
    if not PREVIOUS_COMMIT:
        return False
    asked = ["git", "-C", str(REPOSITORY), "archive", PREVIOUS_COMMIT, *ROOMS]
    packed = subprocess.run(asked, capture_output=True, check=False)
    if packed.returncode:
        return False
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return True


def path_of(root: Path) -> str:
    """The Python path of a process of the version that stands there."""
    return os.pathsep.join(str(root / room) for room in ROOMS)
