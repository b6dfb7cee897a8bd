"""The wheel: what is in it, and what a producer gets who installs nothing else."""

import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "celery", "kombu", "vllm", "openvino", "numpy")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree as it is."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def producer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of somebody who installed the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("producer")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    return python


def run(python: Path, *arguments: str) -> str:
    """Run the interpreter, apart from the folder that holds the sources."""
    done = subprocess.run(
        [python, *arguments], cwd=python.parent, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_wheel_holds_four_packages_and_what_they_read(wheel: Path) -> None:
    """The packages, scripts for Redis, pages, and type marks; no folder's name, no tests."""
    names = ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"smallfirst", "smallfirst_desk", "smallfirst_router", "smallfirst_workers"}
    assert "smallfirst/ledger/lua/settle.lua" in names
    assert {f"smallfirst_desk/static/desk.{kind}" for kind in ("css", "js", "svg")} <= set(names)
    assert "smallfirst_desk/templates/job.html.j2" in names
    assert {f"{package}/py.typed" for package in top} <= set(names)


def test_a_producer_installs_nothing_heavy(producer: Path) -> None:
    """No model, no Celery: a producer needs a client."""
    check = f"import importlib.util as u; print([n for n in {HEAVY} if u.find_spec(n)])"
    assert run(producer, "-c", check).strip() == "[]"


def test_a_producer_can_use_what_it_installed(producer: Path) -> None:
    """The client, the contract and the command line work without the extras."""
    snippet = """
from smallfirst import Client, Job, LabelAnswer
from smallfirst.testing import MemoryFleet
fleet = MemoryFleet(lambda job: LabelAnswer(label=job.text, confidence=1.0))
with fleet.client() as client:
    print(client.result(client.submit(Job(task="echo", text="hello")), timeout=5).answer.label)
"""
    assert run(producer, "-c", snippet).strip() == "hello"
    assert '"title": "Job"' in run(producer, "-m", "smallfirst", "schema", "job")
