"""Laws of `smallfirst train` as a process: killed it goes on, and what it says is for people."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import MOODS, THINGS, Bench, mood_rows

WaitUntil = Callable[..., None]

# Processes that each import torch and transformers, on a machine that may be busy.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def environment(cache: Path) -> dict[str, str]:
    """In which nothing names a fleet, and the cache is the tests'."""
    bare = {name: value for name, value in os.environ.items() if "SMALLFIRST" not in name}
    return {**bare, "SMALLFIRST_CACHE_DIR": str(cache), "SMALLFIRST_LOG_FORMAT": "json"}


def command(bench: Bench, name: str, *options: str) -> list[str]:
    """A training of a few epochs, on one thread, that prints JSON."""
    out = bench.folder / "models" / name
    fixed = [
        "mood",
        "--catalogue",
        str(bench.catalogue),
        "--data",
        str(bench.folder / "mood.jsonl"),
    ]
    given = [*fixed, "--out", str(out), "--threads", "1", "--batch-rows", "4", "--epochs", "16"]
    return [sys.executable, "-m", "smallfirst", "train", *given, "--json", *options]


def test_a_killed_training_goes_on_and_ends_the_same(
    bench: Bench, environment: dict[str, str], wait_until: WaitUntil
) -> None:
    """SIGKILL in the midst costs the epoch under way at most, and no bit of the weights differs.

    Some texts are of several windows, and are read in several passes.
    """
    things = " and ".join(THINGS * 4)
    long = [{"text": f"{things} was {words[0]}", "label": mood} for mood, words in MOODS.items()]
    bench.write("mood", [*mood_rows(), *long])
    options = ("--held-out", "0.2", "--patience", "4")
    whole = _run(command(bench, "whole", *options), environment)
    models = bench.folder / "models"
    with subprocess.Popen(
        command(bench, "killed", *options), env=environment, stderr=subprocess.DEVNULL
    ) as first:
        wait_until(
            lambda: len(list(models.glob(".killed.training-*/fit/checkpoint-*"))) >= 2,
            description="an epoch is done",
            timeout=200,
        )
        first.send_signal(signal.SIGKILL)
    assert not (models / "killed").exists()

    again = _run(command(bench, "killed", *options), environment)

    assert "training.resumed" in again.stderr
    assert _weights(again) == _weights(whole)
    assert list(models.glob(".killed.*")) == []


def test_a_wrong_row_ends_it_with_its_line(bench: Bench, environment: dict[str, str]) -> None:
    """The exit code says wrong usage, and stderr says which line breaks which rule."""
    data = bench.write("bad", [{"text": "fine"}])
    done = _run([*command(bench, "bad"), "--data", str(data)], environment)

    assert done.returncode == 2
    assert f"smallfirst: {data}:1: " in done.stderr
    assert "needs `label`, since the task's kind is classify" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--held-out", "0.9"), "held_out: must be less than or equal to 0.5"),
        (("--data", "absent.jsonl"), "absent.jsonl: no such file; see --data"),
        (("--epochs", "0"), "epochs: must be greater than or equal to 1"),
    ],
)
def test_a_wrong_option_is_refused_by_name(
    bench: Bench, environment: dict[str, str], options: tuple[str, ...], message: str
) -> None:
    """Before anything is loaded, in one line."""
    done = _run([*command(bench, "none"), *options], environment)

    assert done.returncode == 2
    assert done.stderr.strip().endswith(message)


def test_people_are_told_where_it_is_and_how_to_serve_it(
    bench: Bench, environment: dict[str, str]
) -> None:
    """Without a name it is the next version beside the catalogue; no text of a row is shown."""
    fixed = ["--catalogue", str(bench.catalogue), "--data", str(bench.folder / "mood.jsonl")]
    train = [sys.executable, "-m", "smallfirst", "train", "mood", *fixed, "--method", "head"]

    first, second = _run(train, environment), _run(train, environment)

    assert f"model      {bench.folder}/models/mood-1\n" in first.stdout
    assert 'mood-1: {"source": "./models/mood-1"' in first.stdout
    assert "- model: mood-2" in second.stdout
    assert "the soup" not in first.stdout + first.stderr


def _run(arguments: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def _weights(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["card"]["weights_sha256"]
