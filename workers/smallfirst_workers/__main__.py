"""Starts one worker: `python -m smallfirst_workers`, configured by SMALLFIRST_* variables."""

import faulthandler
import sys

import structlog

from smallfirst.errors import SmallfirstError
from smallfirst.process.exit_codes import EXIT_CONFIG, EXIT_ENGINE_DEAD
from smallfirst.process.settings_help import answer_arguments
from smallfirst.process.startup_signals import end_when_told
from smallfirst.settings import WorkerSettings, load_settings
from smallfirst.telemetry.logs import configure_logs
from smallfirst.telemetry.tracing import open_tracing
from smallfirst_workers.errors import EngineDead, WorkerError
from smallfirst_workers.process import WorkerProcess

log = structlog.get_logger()


def main() -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit status."""
    end_when_told()
    # What kills a process from within leaves its stacks; they hold no locals, so no text.
    faulthandler.enable()
    try:
        settings = load_settings(WorkerSettings)
        configure_logs(settings.log_level, settings.log_format)
        with open_tracing(settings, component="worker") as tracing:
            return WorkerProcess(settings, tracing).run()
    except EngineDead as error:
        sys.stderr.write(f"smallfirst-worker: {error}\n")
        return EXIT_ENGINE_DEAD
    except (SmallfirstError, WorkerError) as error:
        sys.stderr.write(f"smallfirst-worker: {error}\n")
        return EXIT_CONFIG


if __name__ == "__main__":
    answer_arguments(
        WorkerSettings,
        module="smallfirst_workers",
        does="Runs one worker: it serves the models of one pool.",
    )
    sys.exit(main())
