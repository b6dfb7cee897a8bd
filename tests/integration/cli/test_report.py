"""`smallfirst report`: what is booked, as people and programs read it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from smallfirst.ledger.books import BOOKED_TTL_SECONDS
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger

KEYS = Keys()
CATALOGUE = """
version: 1
currency: EUR
pools:
  cpu: {tier: slm, max_parameters: 50M}
  gpu: {tier: llm, remote: true}
models:
  minilm: {source: "bundled:minilm"}
  big: {tier: llm, source: big, endpoint: "http://127.0.0.1:1/v1"}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.9}, {model: big, accept: 0.5}]
"""
#: A small model that costs more than the large one and answers little.
LOSING: dict[Any, Any] = {
    "topic:0:accepted:jobs": 5,
    "topic:0:escalated:jobs": 45,
    "topic:0:accepted:cost": 1.0,
    "topic:0:escalated:cost": 9.0,
    "topic:1:accepted:jobs": 45,
    "topic:1:accepted:cost": 4.5,
    "@cpu::idle:seconds": 3600,
    "@cpu::idle:cost": 0.05,
}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A cascade of two steps."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


@pytest.fixture
def booked(redis: Redis) -> None:
    """Books of today."""
    key = KEYS.booked_at(Ledger(redis, KEYS, "test").now_ms())
    redis.hset(key, mapping=LOSING)
    redis.expire(key, BOOKED_TTL_SECONDS)


@pytest.mark.usefixtures("booked")
def test_a_loss_is_printed_as_a_loss(
    smallfirst: Callable[..., Any], catalogue: Path, tmp_path: Path
) -> None:
    """In the table, for programs and on the page."""
    page = tmp_path / "report.html"
    done = smallfirst("report", "--catalogue", catalogue, "--html", page)
    assert done.code == 0, done.err
    assert "LOSS of EUR 9.50 (-190.0 %)" in done.out
    assert "not measured" in done.out
    assert "LOSS of EUR 9.50" in page.read_text("utf-8")
    told = smallfirst("report", "--catalogue", catalogue, "--since", "1d", "--json").json
    assert told["tasks"]["topic"]["saving"]["all_llm"]["saved"] == pytest.approx(-9.5)
    assert told["pools"]["cpu"]["idle"]["cost"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--since", "soon"), "neither a duration, such as 7d, nor a day"),
        (("--since", "2999-01-01"), "has not come yet"),
        (("--task", "topci"), "did you mean"),
        (("--html", "/nowhere/at/all.html"), "must be a file in a folder that exists"),
    ],
)
@pytest.mark.usefixtures("redis")
def test_what_makes_no_sense_is_said_to(
    smallfirst: Callable[..., Any], catalogue: Path, options: tuple[str, ...], words: str
) -> None:
    """By the option's name, with what it takes."""
    done = smallfirst("report", "--catalogue", catalogue, *options)
    assert done.code == 2
    assert words in done.err


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("since", ["0s", "1h", "99999d", "2000-01-01"])
def test_books_of_nothing_are_no_error(
    smallfirst: Callable[..., Any], catalogue: Path, since: str
) -> None:
    """However long ago; what is kept no longer is not asked for."""
    done = smallfirst("report", "--catalogue", catalogue, "--since", since, "--json")
    assert done.code == 0, done.err
    assert done.json["tasks"] == {}
