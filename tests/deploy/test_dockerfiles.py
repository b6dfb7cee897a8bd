"""The images' recipes: small last stages, nobody as root, versions as the project says them."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.support.charts import CHART, ROOT
from tests.support.recipes import FILES, shipped, stages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
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
                    assert f"!{source}" in kept, source


def test_versions_are_those_of_the_project() -> None:
    """What a recipe pins is what pyproject.toml pins; each extra exists."""
    pinned = {one for extra in PROJECT["optional-dependencies"].values() for one in extra}
    text = "\n".join(path.read_text("utf-8") for path in FILES)
    for requirement in re.findall(r"\b(?:torch|flower)==[\d.]+", text):
        assert requirement in pinned
    named = re.findall(r"'\.\[([\w,]+)\]'", text)
    extras = {extra for one in named for extra in one.split(",")}
    wanted = {"router", "linear", "desk", "slm", "int8", "remote", "llm", "tracing"}
    assert extras == wanted <= set(PROJECT["optional-dependencies"])


def test_users_and_commands_are_those_of_the_chart() -> None:
    """Chart and images agree on the version, on who runs, and on what is run."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == PROJECT["version"]
    assert "runAsUser: 10001" in (CHART / "templates" / "_pod.tpl").read_text("utf-8")
    components = (CHART / "templates" / "_components.tpl").read_text("utf-8")
    for module in ("smallfirst_router", "smallfirst_workers", "smallfirst_desk"):
        assert f"command: [python, -m, {module}]" in components
        assert any(f'"{module}"]' in text for path in FILES for text in shipped(path))
