"""Logs: one form for all, nothing below the level, and no text of a job in a traceback."""

import json
import logging
import sys
import warnings
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from smallfirst.telemetry.logs import configure_logs

TEXT = "my card is 4111 1111 1111 1111"


pytestmark = pytest.mark.usefixtures("restored_logs")


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Read what was logged as JSON; nothing may have gone to stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def fail_on(text: str) -> None:
    """Fail with a job's text in a local variable."""
    words = text.split()
    raise RuntimeError(f"failed on {len(words)} words")


def test_an_event_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one line of JSON: its name, its level, its data, what is bound, and when."""
    configure_logs("info", "json")
    structlog.contextvars.bind_contextvars(pool="cpu")

    structlog.get_logger().info("batch.settled", num_jobs=3)

    (entry,) = written(capsys)
    stamp = datetime.fromisoformat(entry.pop("timestamp"))
    assert stamp.utcoffset() == timedelta(0)
    assert entry == {"event": "batch.settled", "level": "info", "num_jobs": 3, "pool": "cpu"}


def test_an_event_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """On a console an event is one line that a person reads, without colour codes in a pipe."""
    configure_logs("info", "console")

    structlog.get_logger().info("batch.settled", num_jobs=3)

    err = capsys.readouterr().err
    assert "batch.settled" in err
    assert "num_jobs=3" in err
    assert "\x1b" not in err


def test_auto_is_json_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody looks, as in a container, the form is JSON."""
    configure_logs()

    structlog.get_logger().info("router.started")

    assert written(capsys)[0]["event"] == "router.started"


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels(capsys: pytest.CaptureFixture[str], level: str, events: list[str]) -> None:
    """Nothing below the level is logged, and everything from it up is."""
    log = structlog.get_logger()
    configure_logs(level, "json")

    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)(method)

    assert [entry["event"] for entry in written(capsys)] == events


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_the_standard_library_from_warning_up(
    capsys: pytest.CaptureFixture[str], level: str
) -> None:
    """Other people's loggers come out in our form, without their chatter."""
    configure_logs(level, "json")
    log = logging.getLogger("celery.worker")

    log.info("chatter")
    log.warning("connection to %s lost", "redis")

    (entry,) = written(capsys)
    assert (entry["event"], entry["level"]) == ("connection to redis lost", "warning")
    assert entry["logger"] == "celery.worker"


def test_warnings_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning of Python's comes out in our form too, so that every line can be parsed."""
    configure_logs("info", "json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.showwarning("old call", DeprecationWarning, "file.py", 7)

    (entry,) = written(capsys)
    assert (entry["logger"], entry["level"]) == ("py.warnings", "warning")


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("logger", [structlog.get_logger(), logging.getLogger("celery")])
def test_tracebacks_hold_no_text(
    capsys: pytest.CaptureFixture[str], form: str, logger: Any
) -> None:
    """A traceback names the frames and the error, and shows no variable: those hold the texts."""
    configure_logs("info", form)

    try:
        fail_on(TEXT)
    except RuntimeError:
        logger.exception("batch.failed")

    err = capsys.readouterr().err
    assert "4111" not in err
    assert "fail_on" in err
    assert "failed on 7 words" in err


def test_to_configure_again_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    """A second call changes level and form, and no line comes twice."""
    configure_logs("error", "console")
    configure_logs("info", "json")

    structlog.get_logger().info("once")
    logging.getLogger("celery").warning("once too")

    assert [entry["event"] for entry in written(capsys)] == ["once", "once too"]


def test_foreign_handlers_stay() -> None:
    """A handler that somebody else put on the root logger is left alone."""
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(handler)

    configure_logs("info", "json")
    configure_logs("info", "json")

    assert logging.getLogger().handlers.count(handler) == 1
