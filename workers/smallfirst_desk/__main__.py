"""Starts one desk: `python -m smallfirst_desk`, configured by SMALLFIRST_* variables."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from os import getpid
from secrets import token_hex
from socket import gethostname

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import SettingsError, SettingsProblem, SmallfirstError
from smallfirst.health import Health
from smallfirst.ledger.slices import check_slices
from smallfirst.process.connection import bounds_of, connect_slices
from smallfirst.process.exit_codes import EXIT_CONFIG
from smallfirst.process.settings_help import answer_arguments
from smallfirst.process.startup_signals import end_when_told
from smallfirst.settings import DeskSettings, load_settings
from smallfirst.telemetry.logs import configure_logs
from smallfirst_desk.access import access_of
from smallfirst_desk.action_log import ActionLog, Head
from smallfirst_desk.answers_kept import AnswersKept
from smallfirst_desk.app import DeskApp
from smallfirst_desk.auditing import Auditor
from smallfirst_desk.desk import Desk, Waits
from smallfirst_desk.errors import DeskError
from smallfirst_desk.sessions import Signer
from smallfirst_desk.settling import Settler
from smallfirst_desk.users import UsersFile

log = structlog.get_logger()

#: Between two signs of life.
_BEAT_SECONDS = 5.0


def main() -> int:
    """Run a desk until SIGTERM or SIGINT; return the exit status."""
    end_when_told()
    try:
        settings = load_settings(DeskSettings)
        configure_logs(settings.log_level, settings.log_format)
        app = build(settings)
    except (SmallfirstError, DeskError) as error:
        sys.stderr.write(f"smallfirst-desk: {error}\n")
        return EXIT_CONFIG
    config = uvicorn.Config(
        app,
        host=settings.desk_host,
        port=settings.desk_port,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1


def build(settings: DeskSettings) -> ASGIApp:
    """Put a desk together and give it the catalogue, so that a wrong one stops the start.

    Raises:
        CatalogueError: When the catalogue is wrong.
        SettingsError: When a way to sign in lacks something.
        UsersFileError: When the file of users is.
        SlicesDiffer: When the fleet has another number of slices.
    """
    slices = connect_slices(settings, role="desk")
    users, access = UsersFile(settings.desk_users), access_of(settings)
    waits = Waits(
        timedelta(seconds=settings.desk_lease_seconds),
        timedelta(seconds=settings.desk_undo_seconds),
    )
    desk = Desk(slices, CatalogueWatch(settings.catalogue), waits, bounds_of(settings))
    secret = settings.desk_secret.get_secret_value() if settings.desk_secret else token_hex(32)
    signer = Signer(secret, timedelta(hours=settings.desk_session_hours))
    health = Health(settings.health_dir)
    health.open()

    def check() -> object:
        first = slices[0]
        return check_slices(
            first.redis, first.keys, settings.slices, address=settings.redis_address
        )

    actions = ActionLog(settings.desk_log, f"{gethostname()}/{getpid()}")
    answers = AnswersKept(settings.desk_answers)
    with _naming("SMALLFIRST_DESK_LOG"):
        head = actions.open()
    with _naming("SMALLFIRST_DESK_ANSWERS"):
        answers.open()
    settler = Settler(desk, health.of_thread("settler"), answers, Auditor(desk, answers), check)

    app = DeskApp(desk, users, signer, access, actions, is_https=settings.desk_https)
    recorded = None if settings.desk_log is None else (actions, head)
    return app.asgi(_lifespan(settings, settler, health, recorded))


def _lifespan(
    settings: DeskSettings,
    settler: Settler,
    health: Health,
    recorded: tuple[ActionLog, Head] | None,
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """What runs beside the pages: who settles decisions, and the signs of life.

    Args:
        settings: Of the desk.
        settler: Of decisions that are final.
        health: Of the process.
        recorded: The log of actions and its end at the start, where one is written.
    """

    async def beat() -> None:
        """Show that pages are still answered."""
        while True:
            health.beat()
            await asyncio.sleep(_BEAT_SECONDS)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        thread = threading.Thread(target=settler.run, name="settler", daemon=True)
        thread.start()
        beating = asyncio.create_task(beat())
        health.enter()
        log.info("desk.started", host=settings.desk_host, port=settings.desk_port)
        if recorded is not None:
            _tell_end(recorded[1])
        try:
            yield
        finally:
            health.leave()
            beating.cancel()
            settler.stop()
            thread.join(10)
            log.info("desk.stopped")
            if recorded is not None:
                with suppress(OSError):
                    _tell_end(recorded[0].open())

    return lifespan


def _tell_end(head: Head) -> None:
    """Say where the log of actions ends, since a chain cannot show that its end was cut off."""
    log.info("desk.action_log", last_record=head.number, last_hash=head.hash)


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    """Let a folder that cannot be written stop the start, with the setting that names it."""
    try:
        yield
    except OSError as error:
        problem = SettingsProblem(variable, f"cannot be written: {error.strerror}")
        raise SettingsError(problem) from error


if __name__ == "__main__":
    answer_arguments(
        DeskSettings,
        module="smallfirst_desk",
        does="Runs one review desk: people answer in a browser what no model was sure of.",
    )
    sys.exit(main())
