"""The options that stand before a command's name, as every command finds them."""

from dataclasses import dataclass
from pathlib import Path

import typer


@dataclass(frozen=True)
class Globals:
    """The options that stand before the command's name; None is not given."""

    redis_url: str | None = None
    namespace: str | None = None
    folder: Path | None = None
    debug: bool = False


def globals_of(context: typer.Context) -> Globals:
    """Find what stood before the command's name."""
    return context.find_object(Globals) or Globals()
