"""A bundle is laid out whole, or not at all."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallfirst.audit_log.notes import SigningKey
from smallfirst.bundling.archive import END
from smallfirst.bundling.unpacking import unpack, verify_bundle
from smallfirst.bundling.writing import Content, write_bundle
from smallfirst.errors import BundleError

KEY = SigningKey("example.com/bundles", bytes(range(32)))
CONTENTS = (
    Content("bundle.json", b'{"catalogue": "catalogue/c.yaml"}'),
    Content("catalogue/c.yaml", b"version: 1"),
    Content("models/m/weights", bytes(3000)),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle, alone in its folder."""
    path = tmp_path / "carried" / "b.tar"
    path.parent.mkdir()
    write_bundle(path, CONTENTS, KEY)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder to unpack below, in which nothing but what was unpacked may be left."""
    place = tmp_path / "place"
    yield place / "fleet"
    assert {path.name for path in place.glob("*")} <= {"fleet"}


def test_a_bundle_is_laid_out(bundle: Path, place: Path) -> None:
    """With its manifest, and with the folders to its place."""
    found = unpack(bundle, KEY.verifier, place)
    assert found.is_new
    assert found.place_of("catalogue") == place / "catalogue" / "c.yaml"
    assert found.place_of("chart") is None
    assert (place / "models" / "m" / "weights").read_bytes() == bytes(3000)
    assert (place / "manifest.txt").exists()


def test_a_second_time_changes_nothing(bundle: Path, place: Path) -> None:
    """Also where something was put beside it since."""
    unpack(bundle, KEY.verifier, place)
    (place / "catalogue" / "mine").write_text("note")
    before = (place / "catalogue" / "c.yaml").stat()
    assert not unpack(bundle, KEY.verifier, place).is_new
    assert (place / "catalogue" / "c.yaml").stat() == before


def test_what_was_changed_since_is_named(bundle: Path, place: Path) -> None:
    """And neither mended nor overwritten."""
    unpack(bundle, KEY.verifier, place)
    (place / "catalogue" / "c.yaml").write_text("version: 2")
    with pytest.raises(BundleError, match=r"catalogue/c\.yaml: is not as the bundle has it"):
        unpack(bundle, KEY.verifier, place)
    assert (place / "catalogue" / "c.yaml").read_text("utf-8") == "version: 2"
    (place / "models" / "m" / "weights").unlink()
    (place / "catalogue" / "c.yaml").write_text("version: 1")
    with pytest.raises(BundleError, match="weights: is not as the bundle has it"):
        unpack(bundle, KEY.verifier, place)


def test_a_folder_with_something_else_is_left_alone(bundle: Path, place: Path) -> None:
    """Another bundle's, or anybody's; an empty one is taken, and a file is none."""
    place.mkdir(parents=True)
    unpack(bundle, KEY.verifier, place)
    other = bundle.with_name("other.tar")
    write_bundle(other, CONTENTS[:2], KEY)
    with pytest.raises(BundleError, match="holds another bundle"):
        unpack(other, KEY.verifier, place)
    with pytest.raises(BundleError, match="holds something else"):
        unpack(bundle, KEY.verifier, place / "catalogue")
    with pytest.raises(BundleError, match="is no folder"):
        unpack(bundle, KEY.verifier, place / "bundle.json")


@pytest.mark.parametrize("damage", [-len(END) - 1, -1, 3000])
def test_a_damaged_bundle_leaves_nothing(bundle: Path, place: Path, damage: int) -> None:
    """Wherever the damage is, the last file or the end."""
    raw = bytearray(bundle.read_bytes())
    raw[damage] ^= 1
    bundle.write_bytes(raw)
    with pytest.raises(BundleError):
        unpack(bundle, KEY.verifier, place)
    assert not place.exists()
    with pytest.raises(BundleError):
        verify_bundle(bundle, KEY.verifier)


def test_what_a_kill_left_is_cleared(bundle: Path, place: Path) -> None:
    """Half a bundle beside the place is nobody's, once the process is gone that wrote it."""
    half = place.with_name(".fleet.partial")
    (half / "models").mkdir(parents=True)
    (half / "worm").write_text("left")
    (half / "link").symlink_to(bundle)
    unpack(bundle, KEY.verifier, place)
    assert not (place / "worm").exists()
    assert not (place / "link").exists()
    assert bundle.exists()


def test_somebody_elses_folder_is_not_unpacked_into(bundle: Path, place: Path) -> None:
    """Whoever it is of could change what was verified, before it is moved to its place."""
    half = place.with_name(".fleet.partial")
    half.parent.mkdir()
    half.symlink_to(bundle.parent)
    with pytest.raises(BundleError, match="is not a folder of this user's"):
        unpack(bundle, KEY.verifier, place)
    assert bundle.exists()
    half.unlink()


def test_two_at_once_do_not_meet(bundle: Path, place: Path) -> None:
    """The second is told to wait, and takes nothing from the first."""
    half = place.with_name(".fleet.partial")
    half.mkdir(parents=True)
    (half / "begun").write_text("by the first")
    lock = os.open(half, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(BundleError, match="is being unpacked by another process"):
        unpack(bundle, KEY.verifier, place)
    assert (half / "begun").exists()
    os.close(lock)
    unpack(bundle, KEY.verifier, place)


def test_a_link_to_an_empty_folder_is_followed(bundle: Path, place: Path, tmp_path: Path) -> None:
    """The bundle lies where it leads, and the link stays."""
    place.parent.mkdir()
    (tmp_path / "disk").mkdir()
    place.symlink_to(tmp_path / "disk" / "fleet")
    assert unpack(bundle, KEY.verifier, place).folder == tmp_path / "disk" / "fleet"
    assert place.is_symlink()
    assert not unpack(bundle, KEY.verifier, place).is_new


def test_a_bundle_that_is_not_there_is_named(place: Path) -> None:
    """By its path."""
    with pytest.raises(BundleError, match=r"none\.tar: cannot be read"):
        unpack(Path("none.tar"), KEY.verifier, place)
