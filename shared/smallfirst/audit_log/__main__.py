"""Keeps the audit log: `python -m smallfirst.audit_log`, configured by SMALLFIRST_* variables.

One process of a fleet does. As soon as it has begun, every result that routers, workers and desks
write is recorded; where it ends, records wait in Redis until it comes back.
"""

import signal
import sys
import threading

from smallfirst.audit_log.process import keep
from smallfirst.errors import SmallfirstError
from smallfirst.process.exit_codes import EXIT_CONFIG
from smallfirst.process.settings_help import answer_arguments
from smallfirst.settings import AuditLogSettings, load_settings
from smallfirst.telemetry.logs import configure_logs


def main() -> int:
    """Keep the log until SIGTERM or SIGINT; return the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings(AuditLogSettings)
        configure_logs(settings.log_level, settings.log_format)
        keep(settings, stop)
    except (SmallfirstError, OSError) as error:
        sys.stderr.write(f"smallfirst-audit-log: {error}\n")
        return EXIT_CONFIG
    return 0


if __name__ == "__main__":
    answer_arguments(
        AuditLogSettings,
        module="smallfirst.audit_log",
        does="Keeps the audit log: a record of each result, in which no change goes unseen.",
    )
    sys.exit(main())
