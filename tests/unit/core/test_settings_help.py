"""What a component answers to arguments."""

import subprocess
import sys

import pytest

from smallfirst.process.settings_help import answer_arguments, settings_help
from smallfirst.settings import (
    ExporterSettings,
    RouterSettings,
    Settings,
    WorkerSettings,
    variable_of,
)


@pytest.mark.parametrize("cls", [RouterSettings, WorkerSettings, ExporterSettings])
def test_the_help_names_every_setting_with_its_meaning(cls: type[Settings]) -> None:
    """Each variable stands there with its default, and no description is left out."""
    told = settings_help(cls, module="x", does="Does.")
    plain = " ".join(told.split())
    for name, field in cls.model_fields.items():
        assert f"{variable_of(name)} (" in plain
        assert field.description is not None
        assert " ".join(field.description.split()) in plain
    assert max(map(len, told.splitlines())) <= 100


def test_without_arguments_nothing_happens() -> None:
    """A component starts as before."""
    answer_arguments(Settings, module="x", does="Does.", arguments=[])


@pytest.mark.parametrize(
    "module", ["smallfirst_router", "smallfirst_workers", "smallfirst_desk", "smallfirst.exporter"]
)
@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--pool=cpu", 2)])
def test_a_component_is_asked_for_help(module: str, argument: str, code: int) -> None:
    """`--help` lists its settings and starts nothing; what is unknown is refused in one line."""
    done = subprocess.run(
        [sys.executable, "-m", module, argument],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    if code == 0:
        assert "SMALLFIRST_REDIS_URL" in done.stdout
    else:
        assert done.stderr.count("\n") == 1
        assert "unknown argument '--pool=cpu'" in done.stderr
