"""What the terminal of a fleet that runs is told of its parts."""

import pytest

from smallfirst.cli.starting import ChangeTeller
from smallfirst.local.fleet import Part


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
