"""What is locked: every file by its hash, all that is asked for, and under which licences."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from requirements import hashes, image_locks, licences
from tests.support.charts import ROOT

FOLDER = ROOT / "requirements"
LOCKS = sorted([*FOLDER.glob("*.txt"), *FOLDER.glob("images/*.txt")])
LOCKS.remove(FOLDER / "licences.txt")
LOCK = (FOLDER / "lock.txt").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
#: What `make lock` installs together; `llm` stands apart.
TOGETHER = set(PROJECT["optional-dependencies"]) - {"llm"}
#: Of the lock beside it: whose build depends on the index.
TORCH = "torch"


def versions(path: Path) -> dict[str, str]:
    """Read a lock: versions by name."""
    pairs = re.findall(r"^([\w.-]+)==(\S+)", path.read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_everything_has_a_hash(path: Path) -> None:
    """No package without one, none twice, and nothing that is not a package or a hash."""
    text = path.read_text("utf-8")
    digest = r" \\\n    --hash=sha256:[0-9a-f]{64}"
    assert re.fullmatch(rf"(?:[\w.-]+==[\w.!]+(?:{digest})+\n)+", text)
    names = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    assert len(names) == len(set(map(canonicalize_name, names)))


@pytest.mark.parametrize(
    ("wheel", "fits"),
    [
        (
            "a-1-py3-none-any.whl",
            {"x86_64-cp311", "x86_64-cp312", "aarch64-cp311", "aarch64-cp312"},
        ),
        (
            "a-1-py2.py3-none-any.whl",
            {"x86_64-cp311", "x86_64-cp312", "aarch64-cp311", "aarch64-cp312"},
        ),
        (
            "a-1-py37-none-any.whl",
            {"x86_64-cp311", "x86_64-cp312", "aarch64-cp311", "aarch64-cp312"},
        ),
        ("a-1-py2-none-any.whl", set()),
        ("a-1-py312-none-any.whl", {"x86_64-cp312", "aarch64-cp312"}),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", {"x86_64-cp311"}),
        ("a-1-cp312-cp312-manylinux_2_28_aarch64.whl", {"aarch64-cp312"}),
        ("a-1-cp38-abi3-manylinux_2_28_x86_64.whl", {"x86_64-cp311", "x86_64-cp312"}),
        ("a-1-cp312-abi3-manylinux_2_28_x86_64.whl", {"x86_64-cp312"}),
        ("a-1-cp313-cp313t-manylinux_2_28_x86_64.whl", set()),
        ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", set()),
        ("a-1-cp311-cp311-macosx_11_0_arm64.whl", set()),
        ("a-1-cp311-cp311-win_amd64.whl", set()),
        ("a-1-pp311-pypy311_pp73-manylinux_2_28_x86_64.whl", set()),
        ("a-1-7-py3-none-manylinux1_x86_64.whl", {"x86_64-cp311", "x86_64-cp312"}),
        ("a-1.tar.gz", set()),
    ],
)
def test_a_wheel_fits_the_machines_that_its_name_says(wheel: str, fits: set[str]) -> None:
    """Linux with glibc, on either processor, under either Python; nothing else."""
    assert {"-".join(one) for one in hashes.targets(wheel)} == fits


def package(*files: str) -> dict[str, Any]:
    """Make an entry of uv's lock; each file's hash is its name."""
    made = {
        name: {"url": f"https://x.example/{name}", "hashes": {"sha256": name}} for name in files
    }
    entry: dict[str, Any] = {"name": "a", "version": "1"}
    entry["wheels"] = [one for name, one in made.items() if name.endswith(".whl")]
    sources = [one for name, one in made.items() if name.endswith(".tar.gz")]
    return entry | ({"sdist": sources[0]} if sources else {})


def test_a_source_is_taken_only_where_there_is_no_wheel() -> None:
    """It runs code of its own when it is installed."""
    everywhere, one = "a-1-py3-none-any.whl", "a-1-cp311-cp311-manylinux1_x86_64.whl"
    assert hashes.hashes(package(everywhere, "a-1.tar.gz")) == [everywhere]
    assert hashes.hashes(package(one, "a-1.tar.gz")) == [one, "a-1.tar.gz"]
    assert hashes.hashes(package("a-1.tar.gz")) == ["a-1.tar.gz"]
    with pytest.raises(LookupError, match="a==1 has no file for Linux"):
        list(hashes.lines([package("a-1-cp311-cp311-win_amd64.whl")]))


def test_what_lacks_a_wheel_for_arm64_is_named() -> None:
    """A source archive does not make up for it: an image has no compiler."""
    one = package("a-1-cp311-cp311-manylinux1_x86_64.whl", "a-1.tar.gz")
    assert hashes.lacking([one, package("a-1-py3-none-any.whl")], "aarch64") == ["a==1"]


@pytest.mark.parametrize("extra", sorted(TOGETHER))
def test_the_lock_holds_what_is_asked_for(extra: str) -> None:
    """Each requirement of ours is locked, at a version that it admits."""
    locked = versions(FOLDER / "lock.txt")
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    assert_holds(locked, asked)


def test_the_image_of_large_models_holds_what_is_asked_for() -> None:
    """Its own list does, torch for GPUs with it."""
    locked = versions(FOLDER / "images" / "llm.txt")
    asked = PROJECT["optional-dependencies"]
    assert_holds(locked, [*PROJECT["dependencies"], *asked["llm"], *asked["tracing"]])
    assert TORCH in locked


def assert_holds(locked: dict[str, str], asked: list[str]) -> None:
    """Fail where a requirement has no version among these, or one that it does not admit."""
    for one in map(Requirement, asked):
        name = canonicalize_name(one.name)
        if name in {"smallfirst", TORCH} or (one.marker and not one.marker.evaluate()):
            continue
        assert one.specifier.contains(locked[name], prereleases=True), one


def test_an_image_installs_its_part_of_the_lock() -> None:
    """Each list is what the image's extras reach in the lock; `make lock` writes them."""
    for image, text in image_locks.lists(LOCK).items():
        assert (FOLDER / "images" / f"{image}.txt").read_text("utf-8") == text, image
    # The images that a browser or a queue reaches hold no model, and the desk no broker.
    reached = {image: versions(FOLDER / "images" / f"{image}.txt") for image in image_locks.IMAGES}
    assert "transformers" in reached["slm"]
    assert not {"transformers", "openvino"} & (reached["router"].keys() | reached["desk"].keys())
    assert "celery" not in reached["desk"]


def test_what_builds_is_locked_as_it_is_named() -> None:
    """The installer and the wheel's backend are of the versions that the project says."""
    tools = versions(FOLDER / "tools.txt")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (named,) = re.findall(r"^TOOLS := (.*)$", makefile, re.MULTILINE)
    assert named == f"uv=={tools['uv']} hatchling=={tools['hatchling']}"
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    assert requires["requires"] == [f"hatchling=={tools['hatchling']}"]


def test_licences_are_listed() -> None:
    """The list is of what is locked, each as the package itself says; `make licences` writes it."""
    listed = (FOLDER / "licences.txt").read_text("utf-8").splitlines()
    assert {line.partition(":")[0] for line in listed} == {*licences.names()}
    assert set(licences.lines()) <= set(listed)


def test_what_is_shipped_is_under_licences_that_admit_it() -> None:
    """No package of an image is under a licence that would bind what runs beside it, or untold."""
    listed = dict(
        line.split(": ", 1) for line in (FOLDER / "licences.txt").read_text("utf-8").splitlines()
    )
    shipped = {
        name
        for image in image_locks.IMAGES
        for name in versions(FOLDER / "images" / f"{image}.txt")
    }
    binding = {
        name: listed[name]
        for name in shipped
        if re.search(r"GPL|Lesser|Affero|Proprietary|not told", listed[name])
    }
    # Used as it is, as a library: what the LGPL asks of who ships it is its text and its source.
    assert binding == {"python-stdnum": "GNU Lesser General Public License v2 or later (LGPLv2+)"}
