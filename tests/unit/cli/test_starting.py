"""What the terminal of a fleet that runs is told of its parts."""

from pathlib import Path

import pytest

from smallfirst.cli.starting import ChangeTeller
from smallfirst.cli.up import how_to_find
from smallfirst.local.fleet import Part
from smallfirst.process.announcement import Addresses


def test_what_died_is_told_when_it_is_back(capsys: pytest.CaptureFixture[str]) -> None:
    """A part is told once when it is whole again, or for the first time; not what always was."""
    tell = ChangeTeller()
    looks = [
        [Part("router", 1, 1), Part("workers of llm", 0, 1)],
        [Part("router", 0, 1), Part("workers of llm", 0, 1)],
        [Part("router", 1, 1), Part("workers of llm", 1, 1)],
        [Part("router", 1, 1), Part("workers of llm", 1, 1)],
    ]
    for parts in looks:
        tell(parts)
    told = capsys.readouterr().err.splitlines()
    assert told == ["router 1/1  ready again", "workers of llm 1/1  ready"]


@pytest.mark.parametrize(
    ("folder", "set_url", "said"),
    [
        ("smallfirst", None, "commands and Python clients find it by themselves"),
        ("smallfirst", "redis://127.0.0.1:4711/0", "commands and Python clients"),
        ("elsewhere", None, "--folder"),
        ("smallfirst", "redis://other", "names another Redis in this shell"),
    ],
)
def test_it_is_told_how_a_fleet_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, set_url: str | None, said: str
) -> None:
    """Whatever finds it by itself, the last line is one that a shell takes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    url = "redis://127.0.0.1:4711/0"
    here = Addresses(url, "sf", "catalogue.yaml", str(tmp_path / folder), None, 1)
    told, export = how_to_find(here, set_url).splitlines()
    assert said in told
    assert export.strip() == f"export SMALLFIRST_REDIS_URL={url}"
