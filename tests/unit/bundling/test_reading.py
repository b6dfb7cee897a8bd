"""Nothing in a bundle can be changed, left out or added unseen."""

from io import BytesIO
from pathlib import Path

import pytest

from smallfirst.audit_log.notes import SigningKey
from smallfirst.bundling.archive import END, header, padding
from smallfirst.bundling.manifest import MANIFEST
from smallfirst.bundling.reading import nowhere, read_files, read_manifest
from smallfirst.bundling.writing import Content, write_bundle
from smallfirst.errors import BundleError, SmallfirstError

KEY = SigningKey("example.com/bundles", bytes(range(32)))
LONG = "wheels/" + "n" * 101 + ".whl"
CONTENTS = (
    Content("a.txt", b"hello"),
    Content("b/empty", b""),
    Content("b/c", bytes(600)),
    Content(LONG, b"x"),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small bundle, as it is carried."""
    path = tmp_path_factory.mktemp("bundle") / "b.tar"
    write_bundle(path, CONTENTS, KEY)
    return path.read_bytes()


def read(raw: bytes, key: SigningKey = KEY) -> list[str]:
    """Read a bundle to its end; return the paths of its files."""
    opened = BytesIO(raw)
    _, manifest = read_manifest(opened, key.verifier)
    read_files(opened, manifest, nowhere)
    return [file.path for file in manifest.files]


def test_a_bundle_is_read_to_its_end(bundle: bytes) -> None:
    """All of its files, in their order."""
    assert read(bundle) == ["a.txt", "b/c", "b/empty", LONG]


def test_every_changed_byte_is_seen(bundle: bytes) -> None:
    """Of contents, headers, what fills blocks, and the end: whichever it is."""
    assert len(bundle) < 10_000
    for at in range(len(bundle)):
        changed = bytearray(bundle)
        changed[at] ^= 1 << at % 8
        with pytest.raises(SmallfirstError):
            read(bytes(changed))


def test_every_cut_is_seen(bundle: bytes) -> None:
    """Wherever it ends too early, and where something follows."""
    for length in range(len(bundle)):
        with pytest.raises(BundleError):
            read(bundle[:length])
    with pytest.raises(BundleError, match="does not end"):
        read(bundle + b"\0")


@pytest.mark.parametrize("path", ["a.txt", "b/c", "b/empty"])
def test_the_file_that_was_changed_is_named(bundle: bytes, path: str) -> None:
    """Be it in its content or in its header."""
    at = bundle.rindex(header(path, 0)[:100].rstrip(b"\0") + b"\0")
    changed = bytearray(bundle)
    changed[at + 110] ^= 1
    with pytest.raises(BundleError, match="header") as refused:
        read(bytes(changed))
    assert refused.value.place == path


def test_a_changed_content_is_named(bundle: bytes) -> None:
    """And so is one that did not come whole."""
    at = bundle.index(b"hello")
    with pytest.raises(BundleError, match="SHA-256") as refused:
        read(bundle[:at] + b"hallo" + bundle[at + 5 :])
    assert refused.value.place == "a.txt"
    with pytest.raises(BundleError, match="2 of its 5 bytes"):
        read(bundle[: at + 2])


def test_a_file_that_nobody_signed_is_named(bundle: bytes) -> None:
    """In the place of another, and behind the last."""
    start = bundle.index(header("b/c", 600))
    other = header("b/worm", 0)
    with pytest.raises(BundleError, match="'b/worm' stands in its place") as refused:
        read(bundle[:start] + other + bundle[start:])
    assert refused.value.place == "b/c"
    with pytest.raises(BundleError, match="nobody has signed"):
        read(bundle[: -len(END)] + other + END)


def test_a_missing_file_is_named(bundle: bytes) -> None:
    """Left out in the midst, or at the end."""
    start, last = bundle.index(header("b/c", 600)), bundle.index(header("b/empty", 0))
    with pytest.raises(BundleError, match=r"^b/c: is missing"):
        read(bundle[:start] + bundle[last:])
    with pytest.raises(BundleError, match=r"^b/empty: is missing: the bundle ends"):
        read(bundle[:last] + END)
    with pytest.raises(BundleError, match=r"^b/empty: is missing, and '.*Pax.*' stands"):
        read(bundle[:last] + bundle[last + 512 :])


def test_another_key_is_named(bundle: bytes) -> None:
    """One of the same name too: nothing of the bundle is read."""
    with pytest.raises(BundleError, match="is not signed by") as refused:
        read(bundle, SigningKey(KEY.name, bytes(32)))
    assert refused.value.place == MANIFEST


@pytest.mark.parametrize("raw", [b"", b"nonsense", bytes(5000), b"\x1f\x8b" * 900])
def test_what_is_no_bundle_is_refused(raw: bytes) -> None:
    """With a word about what it should be."""
    with pytest.raises(BundleError, match="is no bundle"):
        read(raw)


def test_an_unsigned_manifest_is_refused() -> None:
    """And one that says it is larger than any is."""
    text = b"# smallfirst bundle 1\n"
    with pytest.raises(BundleError, match="no signature"):
        read(header(MANIFEST, len(text)) + text + padding(len(text)) + END)
    with pytest.raises(BundleError, match="holds more than"):
        read(header(MANIFEST, 10**9) + text)


def test_the_same_files_are_the_same_bytes(bundle: bytes, tmp_path: Path) -> None:
    """In whatever order they came, from a file or from memory; and nothing is left beside it."""
    (tmp_path / "c").write_bytes(bytes(600))
    others = (Content("b/c", tmp_path / "c"), *CONTENTS[:2], *CONTENTS[3:])
    write_bundle(tmp_path / "other.tar", others, KEY)
    assert (tmp_path / "other.tar").read_bytes() == bundle
    assert {path.name for path in tmp_path.iterdir()} == {"c", "other.tar"}


def test_what_cannot_be_read_leaves_no_bundle(tmp_path: Path) -> None:
    """A bundle that is there already stays as it is."""
    out = tmp_path / "b.tar"
    write_bundle(out, CONTENTS, KEY)
    before = out.read_bytes()
    with pytest.raises(BundleError, match="cannot be read"):
        write_bundle(out, (*CONTENTS, Content("z", tmp_path / "none")), KEY)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]
