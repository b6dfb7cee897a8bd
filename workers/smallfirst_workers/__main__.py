"""Starts one worker: `python -m smallfirst_workers`, configured by SMALLFIRST_* variables."""

import faulthandler
import sys

import structlog

from smallfirst.errors import SmallfirstError
from smallfirst.logs import configure_logs
from smallfirst.settings import WorkerSettings, load_settings
from smallfirst.starting import end_when_told
from smallfirst_workers.errors import WorkerError
from smallfirst_workers.process import WorkerProcess

log = structlog.get_logger()

#: What a process exits with when its configuration is wrong (EX_CONFIG of sysexits.h).
EXIT_CONFIG = 78


def main() -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit status."""
    end_when_told()
    # What kills a process from within leaves its stacks; they hold no locals, so no text.
    faulthandler.enable()
    try:
        settings = load_settings(WorkerSettings)
        configure_logs(settings.log_level, settings.log_format)
        return WorkerProcess(settings).run()
    except (SmallfirstError, WorkerError) as error:
        sys.stderr.write(f"smallfirst-worker: {error}\n")
        return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
