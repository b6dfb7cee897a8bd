"""The list of commands, and what each of them loads."""

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


def loaded_by(*arguments: str, names: tuple[str, ...]) -> str:
    """Which of some modules there are once a command line was run, as Python prints a list."""
    script = (
        "import sys; from smallfirst.cli import app\n"
        f"try: app({list(arguments)}, prog_name='smallfirst')\n"
        f"finally: print([m for m in {names} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stderr.strip()


def commands() -> Any:
    """The group of all commands."""
    return typer.main.get_command(app)


def first_paragraph(text: str) -> str:
    """What the list of commands shows of a help text."""
    return " ".join(cleandoc(text).split("\n\n")[0].split())


def test_the_list_of_commands_waits_for_none_of_them() -> None:
    """`smallfirst --help` imports neither a command nor what the commands work with."""
    modules = tuple(entry.target.partition(":")[0] for entry in COMMANDS.values())
    assert loaded_by("--help", names=(*WORK, *FLEET, *modules)) == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_waits_for_nothing_it_works_with(name: str) -> None:
    """`smallfirst <command> --help` imports no model library, no Celery and no statistics."""
    assert loaded_by(name, "--help", names=WORK) == "[]"


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
