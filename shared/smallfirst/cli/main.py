"""`smallfirst`: the commands, put together, and how every one of them ends.

Exit codes: 0 done; 1 not done, or some jobs have no answer; 2 wrong usage; 3 the fleet cannot be
reached; 130 interrupted. An error is one line on stderr, and with --debug its traceback.
"""

import importlib.metadata
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from redis.exceptions import RedisError
from typer.core import TyperGroup

from smallfirst.cli import (
    acl,
    calibrate,
    dead,
    demo,
    doctor,
    evaluate,
    jobs,
    queues,
    run,
    schema,
    train,
    up,
)
from smallfirst.cli.fleet_connection import Globals, globals_of, settings_of
from smallfirst.cli.output import (
    INTERRUPTED,
    SOME_FAILED,
    UNREACHABLE,
    USAGE,
    CommandError,
    note,
)
from smallfirst.errors import (
    CatalogueError,
    FleetRefused,
    FleetUnreachable,
    SettingsError,
    SmallfirstError,
)
from smallfirst.telemetry.logs import configure_logs


class OneLineErrors(TyperGroup):
    """Commands whose errors are one line on stderr and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if globals_of(ctx).debug:
                traceback.print_exc()
            note(f"smallfirst: {_line_of(error, ctx)}")
            raise typer.Exit(_exit_code_of(error)) from error


def _line_of(error: Exception, context: Any) -> str:
    match error:
        case typer.TyperException():
            place = getattr(error, "ctx", None) or context
            return f"{error.format_message().rstrip('.')} (see {place.command_path} --help)"
        case RedisError():
            address = settings_of(globals_of(context)).redis_address
            return f"Redis at {address}: {str(error).rstrip('.')}; {_HOW_TO_REACH}"
        case FleetUnreachable() | FleetRefused():
            return f"{str(error).rstrip('.')}; {_HOW_TO_REACH}"
        case SmallfirstError() | CommandError():
            return str(error)
        case OSError(strerror=str(), filename=filename):
            return f"{filename}: {error.strerror}" if filename else str(error)
    return f"unexpected {type(error).__name__}: {error}; --debug before the command shows where"


_HOW_TO_REACH = "start a fleet with `smallfirst up`, or name one in SMALLFIRST_REDIS_URL"


def _exit_code_of(error: Exception) -> int:
    match error:
        case CommandError():
            return error.exit_code
        case typer.TyperException() | SettingsError() | CatalogueError():
            return USAGE
        case RedisError() | FleetUnreachable() | FleetRefused():
            return UNREACHABLE
    return SOME_FAILED


app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=(
        "Exit codes: 0 done; 1 not done, or some jobs have no answer; 2 wrong usage; "
        "3 the fleet cannot be reached; 130 interrupted."
    ),
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"smallfirst {importlib.metadata.version('smallfirst')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    *,
    redis_url: Annotated[
        str | None,
        typer.Option(help="Of the fleet; else SMALLFIRST_REDIS_URL, else `smallfirst up`'s."),
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Before every key of the fleet.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Of the local fleet; ~/.local/state/smallfirst if not said.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool, typer.Option("--version", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Every language job starts with the smallest tool that can do it well."""
    context.obj = Globals(redis_url, namespace, folder, debug)
    configure_logs("debug" if debug else "warning", "console")


app.command()(up.up)
app.command()(demo.demo)
app.command()(run.run)
app.command()(jobs.submit)
app.command()(jobs.result)
app.command()(jobs.status)
app.command()(jobs.cancel)
app.command()(queues.queues)
app.add_typer(dead.app, name="dead")
app.command()(calibrate.calibrate)
app.command()(doctor.doctor)
app.command()(acl.acl)
app.command()(evaluate.evaluate)
app.command()(schema.schema)
app.command()(train.train)
