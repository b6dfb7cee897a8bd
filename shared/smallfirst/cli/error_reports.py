"""How an error that ended a command is told: one line of text, and an exit code."""

from typing import Any

import typer
from redis.exceptions import RedisError

from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.output import SOME_FAILED, UNREACHABLE, USAGE, CommandError
from smallfirst.errors import (
    HOW_TO_REACH,
    CatalogueError,
    FleetRefused,
    FleetUnreachable,
    SettingsError,
    SmallfirstError,
)
from smallfirst.redis_access.refusals import refusal_of


def line_of(error: Exception, context: Any) -> str:
    """Say in one line what went wrong, and what to do."""
    match error:
        case typer.TyperException():
            place = getattr(error, "ctx", None) or context
            return f"{error.format_message().rstrip('.')} (see {place.command_path} --help)"
        case RedisError():
            return _line_of_redis(error, settings_of(globals_of(context)).redis_address)
        case SmallfirstError() | CommandError():
            return str(error)
        case OSError(strerror=str(), filename=filename):
            return f"{filename}: {error.strerror}" if filename else str(error)
    return f"unexpected {type(error).__name__}: {error}; --debug before the command shows where"


def _line_of_redis(error: RedisError, address: str) -> str:
    if refusal := refusal_of(error):
        return f"Redis at {address} refused: {refusal.reason}; {refusal.remedy}"
    return f"Redis at {address}: {str(error).rstrip('.')}; {HOW_TO_REACH}"


def exit_code_of(error: Exception) -> int:
    """Choose the exit code that an error stands for."""
    match error:
        case CommandError():
            return error.exit_code
        case typer.TyperException() | SettingsError() | CatalogueError():
            return USAGE
        case RedisError() | FleetUnreachable() | FleetRefused():
            return UNREACHABLE
    return SOME_FAILED
