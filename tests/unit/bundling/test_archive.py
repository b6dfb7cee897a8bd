"""The form of a bundle is one that others read."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from smallfirst.bundling.archive import END, header, name_in, padding

PATHS = [
    "a",
    "folder/with spaces/ä.json",
    "models/hub/models--intfloat--e5-small-v2/snapshots/" + "0" * 40 + "/model.safetensors",
    "x/" * 70 + "y" * 99,
    "n" * 100,
    "p" * 155 + "/" + "n" * 100,
    "p" * 156 + "/" + "n" * 100,
    "wheels/" + "n" * 101 + ".whl",
    "ä" * 51,
    "folder/" * 200 + "ä" * 100,
    *("n" * length for length in range(985, 995)),
]


@pytest.mark.parametrize("path", PATHS)
def test_tar_reads_what_we_write(path: str, tmp_path: Path) -> None:
    """Python's and GNU's, with the content, and nobody's name or time in it."""
    content = b"content"
    archive = tmp_path / "a.tar"
    archive.write_bytes(header(path, 7) + content + padding(7) + END)
    with tarfile.open(archive) as opened:
        [found] = opened.getmembers()
        assert opened.extractfile(found).read() == content  # type: ignore[union-attr]
    assert (found.name, found.size, found.mtime, found.uid, found.mode) == (path, 7, 0, 0, 0o644)
    told = ["tar", "--quoting-style=literal", "-tf", str(archive)]
    assert subprocess.run(told, capture_output=True, check=True).stdout.decode() == f"{path}\n"
    assert name_in(header(path, 7)) == path


@pytest.mark.parametrize("size", [0, 1, 511, 512, 8**11 - 1, 8**11, 2**43])
def test_every_size_is_told(size: int) -> None:
    """Above eight gigabytes too, as of a large model's weights."""
    block = header("a", size)
    assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == size
    assert (size + len(padding(size))) % 512 == 0


def test_an_archive_of_others_is_told_by_its_names() -> None:
    """What stands in a header is only ever shown."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as to:
        to.addfile(tarfile.TarInfo("../../etc/passwd"))
    assert name_in(packed.getvalue()[:512]) == "../../etc/passwd"
    assert name_in(END) == ""
