"""Only what installs without a network is carried, and what is missing is told of."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from smallfirst.bundling.wheels import lacking, requirements_of, wheels_in
from smallfirst.errors import BundleError


def wheel(folder: Path, name: str, *files: str, asks: tuple[str, ...] = ()) -> Path:
    """Write a wheel that holds some files and asks for others."""
    distribution = "-".join(name.split("-")[:2])
    about = "".join(f"Requires-Dist: {each}\n" for each in asks)
    with ZipFile(folder / name, "w") as to:
        for file in files:
            to.writestr(file, "")
        text = f"Metadata-Version: 2.4\n{about}\nRequires-Dist: prose\n"
        to.writestr(f"{distribution}.dist-info/METADATA", text)
    return folder / name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ours, and one of others for two kinds of processor."""
    wheel(
        tmp_path,
        "smallfirst-0.1.0-py3-none-any.whl",
        "smallfirst/__init__.py",
        asks=("typer<1,>=0.29", "Redis.Py[hiredis] (>=8)", "numpy; extra == 'slm'"),
    )
    wheel(tmp_path, "typer-0.29.2-py3-none-any.whl", "typer/__init__.py", "typer/core.py")
    wheel(tmp_path, "re2_x-1.1+cpu-1-cp311-cp311-manylinux_2_28_x86_64.whl", "re2.py", "_re2.so")
    wheel(tmp_path, "re2_x-1.1+cpu-cp311-cp311-linux_aarch64.whl", "re2_x-1.1.data/purelib/a/b.py")
    (tmp_path / "requirements.txt").write_text("no package")
    return tmp_path


def test_every_file_is_named_by_its_hash(folder: Path) -> None:
    """One line a package, with a hash for each of its files."""
    lines = requirements_of(wheels_in(folder)).splitlines()
    assert [line.split()[0] for line in lines] == [
        "re2-x==1.1+cpu",
        "smallfirst==0.1.0",
        "typer==0.29.2",
    ]
    assert [line.count("--hash=sha256:") for line in lines] == [2, 1, 1]


def test_what_is_missing_is_told_of(folder: Path) -> None:
    """Packages that others always ask for, and modules that a fleet imports."""
    wanted = {"a router": ("re2", "celery"), "models.m": ("a", "typer")}
    assert list(lacking(wheels_in(folder), wanted)) == [
        "smallfirst needs the package redis-py, and no wheel brings it",
        "a router needs the module celery, and no wheel brings it",
    ]


def test_what_would_have_to_be_built_is_refused(folder: Path) -> None:
    """By its file, with what makes a wheel of it."""
    (folder / "odd-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(BundleError, match=r"odd-1\.0\.tar\.gz: is no wheel.*pip wheel"):
        wheels_in(folder)


def test_two_versions_of_one_package_are_refused(folder: Path) -> None:
    """Nobody could tell which of them is meant."""
    wheel(folder, "Typer-0.30.0-py3-none-any.whl")
    with pytest.raises(BundleError, match=r"holds typer in the versions 0\.29\.2 and 0\.30\.0"):
        wheels_in(folder)


def test_a_folder_without_ours_is_refused(tmp_path: Path) -> None:
    """And what is no folder."""
    with pytest.raises(BundleError, match="holds no wheel of smallfirst"):
        wheels_in(tmp_path)
    with pytest.raises(BundleError, match="is no folder"):
        wheels_in(tmp_path / "none")


def test_a_broken_wheel_is_named(folder: Path) -> None:
    """Before it is carried."""
    (folder / "typer-0.29.2-py3-none-any.whl").write_bytes(b"cut")
    with pytest.raises(BundleError, match="cannot be read as a wheel"):
        list(lacking(wheels_in(folder), {}))
