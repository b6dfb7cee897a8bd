"""What a manifest may say, and in which words."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.bundling.manifest import BundledFile, Manifest
from smallfirst.errors import BundleError

HASH = sha256(b"x").hexdigest()


def manifest_of(*paths: str) -> Manifest:
    """A manifest of files that all hold one byte."""
    return Manifest.of(tuple(BundledFile(path, 1, HASH) for path in paths))


def text_of(*paths: str) -> str:
    """A manifest as somebody else may write it."""
    return "# smallfirst bundle 1\n" + "".join(f"# 1 bytes\n{HASH}  {path}\n" for path in paths)


def test_a_manifest_is_read_as_it_is_written() -> None:
    """In the order of paths, whatever the order was."""
    found = manifest_of("b/c d", "a", "b/ä.json")
    assert [file.path for file in found.files] == ["a", "b/c d", "b/ä.json"]
    assert Manifest.read(found.text) == found
    assert found.num_bytes == 3
    assert Manifest.read(Manifest(()).text) == Manifest(())


ESCAPES = ["/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", ".", "", "a\nb", "a\\b", "a\0b"]
ODD = ["\u202egnp.exe", "a\rb", "manifest.txt", "\ud800", "a\u2028b"]


@pytest.mark.parametrize("path", [*ESCAPES, *ODD])
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    """By whoever writes it, and by whoever reads it, signed or not."""
    with pytest.raises(BundleError):
        manifest_of(path)
    with pytest.raises(BundleError):
        Manifest.read(text_of(path))


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a", "a-c", "a/b")])
def test_no_file_hides_another(paths: tuple[str, ...]) -> None:
    """Not by its name, and not by being a folder too."""
    with pytest.raises(BundleError, match=r"twice|at once"):
        manifest_of(*paths)
    with pytest.raises(BundleError):
        Manifest.read(text_of(*paths))


@given(st.text(max_size=200))
def test_nonsense_is_refused_or_written_again(text: str) -> None:
    """There is one way to write a manifest, so that one signature is of one meaning."""
    for tried in (text, text_of("a") + text, text_of("a").replace("a\n", text, 1)):
        try:
            found = Manifest.read(tried)
        except BundleError:
            continue
        assert found.text == tried


def test_sha256sum_reads_it(tmp_path: Path) -> None:
    """Whoever has no smallfirst can compare the files by what every Linux has."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b c").write_bytes(b"y")
    (tmp_path / "manifest.txt").write_text(manifest_of("a", "b c").text)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "manifest.txt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "a: OK\nb c: FAILED\n")
