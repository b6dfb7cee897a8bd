"""The options that stand before a command's name, as every command finds them."""

from dataclasses import dataclass
from pathlib import Path

import typer

from smallfirst.cli.output import USAGE, fail


@dataclass(frozen=True)
class Globals:
    """The options that stand before the command's name; None is not given."""

    redis_url: str | None = None
    namespace: str | None = None
    folder: Path | None = None
    debug: bool = False


def refuse_foreign_redis(options: Globals) -> None:
    """Refuse to start a fleet beside the one that is named: it has a Redis of its own.

    The environment may name one: a shell that was told where the last fleet was starts the next.
    """
    named = {"--redis-url": options.redis_url, "--namespace": options.namespace}
    if given := " and ".join(name for name, value in named.items() if value is not None):
        fail(
            f"this command starts a Redis of its own, so leave {given} out (its port is"
            " --redis-port of `up`); a fleet on another Redis is `python -m smallfirst_router` and"
            " `python -m smallfirst_workers` with SMALLFIRST_REDIS_URL, SMALLFIRST_CATALOGUE and"
            " SMALLFIRST_POOL",
            exit_code=USAGE,
        )


def globals_of(context: typer.Context) -> Globals:
    """Find what stood before the command's name."""
    return context.find_object(Globals) or Globals()
