"""The health files and the probe that reads them: what it finds, and what it says of it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smallfirst.errors import SettingsError
from smallfirst.health import ALIVE, READY, VARIABLE, Health, main

Probe = Callable[..., tuple[int, str]]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Probe:
    """Probe, no folder named by the environment; give the exit status and what was said."""
    monkeypatch.delenv(VARIABLE, raising=False)

    def run(*arguments: object) -> tuple[int, str]:
        status = main([str(each) for each in arguments])
        return status, capsys.readouterr().err

    return run


@pytest.fixture
def health(tmp_path: Path) -> Health:
    """The files of a process that has just begun."""
    health = Health(tmp_path)
    health.open()
    return health


def grow_old(folder: Path, seconds: float) -> None:
    """Let the last sign of life be so long ago."""
    os.utime(folder / ALIVE, (time.time() - seconds,) * 2)


def test_a_process_that_begins_is_live_and_not_ready(
    health: Health, tmp_path: Path, probe: Probe
) -> None:
    """It is ready once it enters, and not any more once it leaves."""
    assert probe("live", "--dir", tmp_path) == (0, "")
    status, said = probe("ready", "--dir", tmp_path)
    assert (status, said.count("\n")) == (1, 1)
    assert f"{tmp_path / READY} is missing" in said
    health.enter()
    assert probe("ready", "--dir", tmp_path) == (0, "")
    health.leave()
    assert probe("ready", "--dir", tmp_path)[0] == 1


def test_an_old_sign_of_life_is_named_with_its_age_and_the_bound(
    health: Health, tmp_path: Path, probe: Probe
) -> None:
    """Both probes say so: what hangs takes no work either."""
    health.enter()
    grow_old(tmp_path, seconds=50)
    assert probe("live", "--dir", tmp_path) == (0, "")
    for name in ("live", "ready"):
        status, said = probe(name, "--dir", tmp_path, "--max-age", 30)
        assert (status, said.count("\n")) == (1, 1)
        assert f"{tmp_path / ALIVE} is 50." in said
        assert "30 s are allowed" in said
    health.beat()
    assert probe("ready", "--dir", tmp_path, "--max-age", 30) == (0, "")


def test_a_sign_of_life_from_the_future_counts_as_old(
    health: Health, tmp_path: Path, probe: Probe
) -> None:
    """A clock that was set back must not hide for an hour that a process hangs."""
    grow_old(tmp_path, seconds=-3600)
    assert probe("live", "--dir", tmp_path)[0] == 1
    health.beat()
    assert probe("live", "--dir", tmp_path)[0] == 0


def test_the_oldest_sign_of_all_threads_counts(
    health: Health, tmp_path: Path, probe: Probe
) -> None:
    """A thread that hangs is named, however lively the main one; who begins anew forgets it."""
    other = health.of_thread("slice-1")
    health.enter()
    assert probe("ready", "--dir", tmp_path) == (0, "")
    sign = tmp_path / f"{ALIVE}-slice-1"
    os.utime(sign, (time.time() - 50,) * 2)
    health.beat()
    for name in ("live", "ready"):
        status, said = probe(name, "--dir", tmp_path, "--max-age", 30)
        assert (status, f"{sign} is 50." in said) == (1, True)
    other.beat()
    assert probe("live", "--dir", tmp_path, "--max-age", 30)[0] == 1, "another thread's beat"
    thread = threading.Thread(target=other.beat, name="slice-1")
    thread.start()
    thread.join()
    assert probe("live", "--dir", tmp_path, "--max-age", 30) == (0, "")
    Health(tmp_path).open()
    assert not sign.exists()


def test_a_missing_folder_is_not_live(tmp_path: Path, probe: Probe) -> None:
    """The line names the file that was looked for."""
    status, said = probe("live", "--dir", tmp_path / "none")
    assert status == 1
    assert f"{tmp_path / 'none' / ALIVE}: No such file" in said


def test_the_folder_comes_from_the_environment(
    health: Health, tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe in a container says no more than `live`; without any folder it says what to give."""
    health.enter()
    status, said = probe("live")
    assert status == 1
    assert "--dir" in said
    assert VARIABLE in said
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert (probe("live"), probe("ready")) == ((0, ""), (0, ""))


@pytest.mark.parametrize(
    "arguments",
    [(), ("alive",), ("live", "--max-age", "soon"), ("live", "--max-age", "nan"), ("live", "-x")],
)
def test_bad_arguments_are_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    """A probe that was written wrong fails, and says how."""
    command = [sys.executable, "-m", "smallfirst.health", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("python -m smallfirst.health: ")


def test_what_a_process_before_has_left_counts_for_nothing(tmp_path: Path, health: Health) -> None:
    """A container that starts again finds its folder as the killed one left it."""
    health.enter()
    Health(tmp_path).open()
    assert not (tmp_path / READY).exists()


def test_who_was_told_to_go_does_not_become_ready(tmp_path: Path, health: Health) -> None:
    """A signal may come while the models load."""
    health.leave()
    health.enter()
    assert not (tmp_path / READY).exists()


def test_without_a_folder_nothing_is_written() -> None:
    """A process that nobody probes goes through the same motions."""
    health = Health(None)
    health.open()
    health.beat()
    health.enter()
    health.leave()


def test_a_folder_that_cannot_be_is_a_wrong_setting(tmp_path: Path) -> None:
    """It stops the start, under the name of the variable."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=VARIABLE):
        Health(tmp_path / "file").open()


def test_a_folder_that_vanishes_ends_nobody(tmp_path: Path) -> None:
    """The probe sees it; the work goes on."""
    health = Health(tmp_path / "health")
    health.open()
    (tmp_path / "health" / ALIVE).unlink()
    (tmp_path / "health").rmdir()
    health.beat()
    health.enter()
    health.leave()
