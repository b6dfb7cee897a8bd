"""How every component logs: structlog to stderr, for people on a terminal, as JSON elsewhere.

The standard library's loggers (Celery's, redis-py's, Python's own warnings) come out in the same
form, from WARNING up. A traceback shows the frames and never the variables in them, since those
hold the texts of jobs.
"""

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logs(level: str = "info", format: str = "auto") -> None:  # noqa: A002 - the setting
    """Set up logging for this process. To call it again replaces what was set up before.

    Args:
        level: The least that structlog's loggers let through: debug, info, warning, error.
        format: `console`, `json`, or `auto`: console where stderr is a terminal.
    """
    stream = sys.stderr
    is_console = format == "console" or (format == "auto" and stream.isatty())
    shared, renderers = _shared_processors(), _renderers(stream, is_console=is_console)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        # Loggers made at import time follow a later call of this function.
        cache_logger_on_first_use=False,
    )
    _route_standard_library(stream, shared, renderers, max(LEVELS[level], logging.WARNING))


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(stream: TextIO, *, is_console: bool) -> list[Processor]:
    if is_console:
        return [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(without_locals),
        structlog.processors.JSONRenderer(),
    ]


def _route_standard_library(
    stream: TextIO, shared: list[Processor], renderers: list[Processor], level: int
) -> None:
    """Give the root logger one handler, ours, and let the other loggers pass theirs up to it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)


def _add_logger_name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: Any = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event
