"""A group of commands that imports a command's module when that command is asked for.

The list of commands, shell completion of their names and "did you mean" go by a table of names and
help texts, so that none of them waits for what a command needs. A test holds the table and the
commands together. Source: "Lazily Loading Subcommands" in click's documentation, whose group typer
has taken over.
"""

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class CommandEntry:
    """One line of the list of commands.

    `target` is `module:name` of a function, or of a `Typer` with commands of its own; `help` is the
    first paragraph of its help.
    """

    target: str
    help: str


class LazyGroup(TyperGroup):
    """Commands that are listed by their entries and imported one by one."""

    entries: ClassVar[Mapping[str, CommandEntry]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, help=entry.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that is asked for, itself and not its line in the list."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, self.load(name) if name and name in self.entries else listed, rest

    def load(self, name: str) -> Any:
        """Import a command, with all that it needs."""
        module, _, attribute = self.entries[name].target.partition(":")
        found = getattr(import_module(module), attribute)
        # What was imported stays until the end: to look through all of it there for what may be
        # given back is a fifth of the time that a short command takes.
        gc.freeze()
        command = typer.main.get_command(found if isinstance(found, typer.Typer) else _app(found))
        command.name = name
        return command


def _app(function: Any) -> typer.Typer:
    # The completion of the shell is installed by the whole program, not by one command.
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app
