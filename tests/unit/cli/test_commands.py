"""The list of commands, and what each of them loads."""

import json
import subprocess
import sys
from inspect import cleandoc
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from smallfirst.cli.main import COMMANDS, app

#: What a command waits for only while it works.
WORK = ("celery", "jinja2", "kombu", "matplotlib", "numpy", "scipy", "sklearn", "torch")
#: What every command but the list of them needs.
FLEET = ("pydantic", "redis", "structlog", "yaml", "smallfirst.jobs", "smallfirst.settings")


#: Runs command lines, each in a child of its own, and tells as JSON what each has loaded; what most
#: of them load is loaded once, before.
SCRIPT = """
import contextlib, importlib, json, os, sys
lines, names, before = json.load(sys.stdin)
from smallfirst.cli import app
for name in before: importlib.import_module(name)
loaded = []
for line in lines:
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        loaded.append(json.load(os.fdopen(read)))
        continue
    sys.stdout = open(os.devnull, "w")
    with contextlib.suppress(SystemExit):
        app(line, prog_name="smallfirst")
    os.write(write, json.dumps([name for name in names if name in sys.modules]).encode())
    os._exit(0)
print(json.dumps(loaded))
"""


def loaded_by(
    *lines: list[str], names: tuple[str, ...], before: tuple[str, ...] = ()
) -> list[list[str]]:
    """Which of some modules there are once each command line was run."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([lines, names, before]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def commands() -> Any:
    """The group of all commands."""
    return typer.main.get_command(app)


def first_paragraph(text: str) -> str:
    """What the list of commands shows of a help text."""
    return " ".join(cleandoc(text).split("\n\n")[0].split())


def test_the_list_of_commands_waits_for_none_of_them() -> None:
    """`smallfirst --help` imports neither a command nor what the commands work with."""
    modules = tuple(entry.target.partition(":")[0] for entry in COMMANDS.values())
    assert loaded_by(["--help"], names=(*WORK, *FLEET, *modules)) == [[]]


def test_a_commands_help_waits_for_nothing_it_works_with() -> None:
    """`smallfirst <command> --help` imports no model library, no Celery and no statistics."""
    lines = [[name, "--help"] for name in COMMANDS]
    loaded = loaded_by(*lines, names=(*WORK, "rich.console"), before=(*FLEET, "smallfirst.client"))
    assert dict(zip(COMMANDS, loaded, strict=True)) == {name: ["rich.console"] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_list_says(name: str) -> None:
    """The table's name and text are those of the command that is imported."""
    command = commands().load(name)
    assert (command.name, first_paragraph(command.help)) == (name, COMMANDS[name].help)


def test_a_misspelt_command_is_told_of_the_nearest() -> None:
    """The table is enough to guess what was meant."""
    done = CliRunner().invoke(app, ["calibrat"])
    assert done.exit_code == 2
    assert "Did you mean 'calibrate'?" in done.stderr


@pytest.mark.usefixtures("restored_logs")
@pytest.mark.parametrize(
    ("words", "offered"),
    [("ca", "cancel\ncalibrate"), ("dead re", "replay"), ("train --ke", "--keep-case")],
)
def test_a_shell_completes_commands_and_their_options(words: str, offered: str) -> None:
    """Completion finds the names in the table, and the options in the command itself."""
    asked = {
        "_SMALLFIRST_COMPLETE": "complete_bash",
        "COMP_WORDS": f"smallfirst {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = CliRunner().invoke(app, env=asked, prog_name="smallfirst")
    assert done.output.split() == offered.split()
