"""The images' recipes: small last stages, nobody as root, versions as the project says them."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from requirements.image_locks import IMAGES
from tests.support.charts import CHART, ROOT
from tests.support.recipes import FILES, ends, shipped, stages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TORCH = "torch==2.13.0"
#: Of the stage that all others stand on: the one thing that it takes from the checkout.
TOOLS = "COPY requirements/tools.txt requirements/tools.txt"
#: With what no last stage may be made, but for the one that says why.
COMPILERS = re.compile(r"\b(gcc|g\+\+|clang|build-essential|make|cargo)\b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_last_stage_is_small_and_nobody(path: Path) -> None:
    """What is shipped runs as a number that is nobody, and compiles nothing that need not be."""
    for text in shipped(path):
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
        assert "HEALTHCHECK" not in text
        assert "pip install" not in text
        assert path.suffix == ".llm" or not COMPILERS.search(text)


def test_the_exception_says_why() -> None:
    """Where a compiler is shipped, the recipe gives the source of that need."""
    assert "triton/runtime/build.py" in (ROOT / "workers" / "Dockerfile.llm").read_text("utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_base_is_pinned(path: Path) -> None:
    """Every stage stands on one argument, a digest that all share, or on a stage before it."""
    text = path.read_text("utf-8")
    (base,) = re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert base in FILES[0].read_text("utf-8")
    names = {stage.name for stage in stages(path)}
    assert {stage.base for stage in stages(path)} <= {"${BASE}", *names}
    assert ":latest" not in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_copied_is_there(path: Path) -> None:
    """Each file that comes from the checkout exists, and the ignored ones are not among them."""
    kept = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for stage in stages(path):
        for line in stage.lines:
            if line.startswith("COPY ") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert (ROOT / source).exists(), source
                    above = (Path(source), *Path(source).parents)
                    assert any(f"!{each}" in kept for each in above), source


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_change_of_ours_is_a_small_layer(path: Path) -> None:
    """What others wrote is made of a list alone, and shipped below what is ours."""
    by_name = {stage.name: stage for stage in stages(path)}
    for end in ends(path):
        packages, own = end.sources
        assert [line for line in end.lines if line.startswith("COPY")] == [
            f"COPY --from={packages} /venv /venv",
            f"COPY --from={own} /own /venv",
        ]
        copied = re.findall(r"^COPY (.*)$", by_name[packages].text, re.MULTILINE)
        assert copied == [" ".join([f"requirements/images/{end.name}.txt"] * 2)]
        assert not re.search(r"^(COPY|ADD)", by_name["tools"].text.replace(TOOLS, ""), re.MULTILINE)
        assert by_name[own].base == by_name[packages].base == "tools"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_that_is_fetched_has_a_hash(path: Path) -> None:
    """Every installation is of a list with hashes, or of our own wheel; torch has its index's."""
    for stage in stages(path):
        for line in re.findall(r"^RUN (.*pip install.*)$", stage.text, re.MULTILINE):
            is_ours = line.endswith("--no-deps --prefix /own /src/dist/*.whl")
            is_torch = line.endswith(f" {TORCH}")
            assert is_ours or is_torch or "--require-hashes -r requirements/" in line, line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_labels_say_what_it_is_made_of(path: Path) -> None:
    """Whoever finds an image sees its version, commit, sources and licence."""
    for end in ends(path):
        labels = dict(re.findall(r"org\.opencontainers\.image\.(\w+)=(\S+)", end.text))
        assert labels == {
            "title": f"smallfirst-{end.name}",
            "version": "${VERSION}",
            "revision": "${REVISION}",
            "source": PROJECT["urls"]["Repository"],
            "licenses": PROJECT["license"],
        }


def test_versions_are_those_of_the_project() -> None:
    """What a recipe and its list pin is what pyproject.toml pins; each extra exists."""
    extras = PROJECT["optional-dependencies"]
    pinned = {one for extra in extras.values() for one in extra}
    assert {TORCH, "flower==2.2.0"} <= pinned
    assert "flower==2.2.0 " in (ROOT / "requirements/images/flower.txt").read_text("utf-8")
    named = [one for each in IMAGES.values() for one in re.findall(r"\[([\w,]+)\]", "".join(each))]
    assert {extra for one in named for extra in one.split(",")} <= set(extras)


def test_users_and_commands_are_those_of_the_chart() -> None:
    """Chart and images agree on the version, on who runs, and on what is run."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == PROJECT["version"]
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert values["defaults"]["podSecurityContext"]["runAsUser"] == 10001
    components = (CHART / "templates" / "_components.tpl").read_text("utf-8")
    for module in ("smallfirst_router", "smallfirst_workers", "smallfirst_desk"):
        assert f"command: [python, -m, {module}]" in components
        assert any(f'"{module}"]' in text for path in FILES for text in shipped(path))
