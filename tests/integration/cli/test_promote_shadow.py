"""A candidate is started in shadow, judged by what people said of live jobs, promoted, or not."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.shadow_orders import shadow_order
from smallfirst.ledger.keys import Keys

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
CATALOGUE = """
version: 1
# A comment that stays.
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    cascade: [{rule: {patterns: [{label: billing, pattern: invoice}]}}]
    audit: 0.1
"""


class Place:
    """A live catalogue, a candidate's beside it, and a fleet's Redis."""

    def __init__(self, folder: Path, redis: Any, smallfirst: Callable[..., Any]) -> None:
        self.live, self.candidate = folder / "live.yaml", folder / "candidate"
        self.redis, self._smallfirst = redis, smallfirst
        self.candidate.mkdir()
        self.live.write_text(CATALOGUE)
        better = CATALOGUE.replace("pattern: invoice", 'pattern: "invoice|bill"')
        (self.candidate / "catalogue.yaml").write_text(better)

    def run(self, *arguments: object) -> Any:
        """Run a command."""
        return self._smallfirst(*arguments, "--catalogue", self.live)

    def start(self) -> None:
        """Let the candidate run in shadow."""
        done = self.run("shadow", "start", "topic", "--candidate", self.candidate, "--share", 0.2)
        assert done.code == 0, done.err

    def count(self, **counts: int) -> None:
        """Let so many jobs have ended so."""
        self._note(KEYS.shadow, {name.replace("_", ":"): each for name, each in counts.items()})

    def judge(self, **cells: int) -> None:
        """Let people have said of so many jobs, each of its own text, that it is so."""
        named = {name.replace("_", ":"): each for name, each in cells.items()}
        drawn = {"to_judge:answered": sum(named.values())}
        self._note(KEYS.shadow, drawn | {f"judged:{cell}": each for cell, each in named.items()})
        texts = {f"{cell}-{n}": cell for cell, each in named.items() for n in range(each)}
        self._note(KEYS.judged, texts)

    def _note(self, key_of: Callable[[str, str], str], named: Mapping[str, object]) -> None:
        order = shadow_order(load_catalogue(self.live), "topic")
        assert order is not None
        key = key_of(order.candidate, order.series)
        self.redis.hset(key, mapping=named)
        self.redis.expire(key, 60)


@pytest.fixture
def place(tmp_path: Path, redis: Any, smallfirst: Callable[..., Any]) -> Place:
    """Where the commands work."""
    return Place(tmp_path, redis, smallfirst)


def test_from_the_shadow_one_that_is_better_is_promoted(place: Place) -> None:
    """It is judged without asking anything again; the live entry is its, and back again."""
    place.start()
    place.judge(right_right=300, wrong_right=40)
    place.count(abstained_answered=2)
    judged = place.run("promote", "topic", "--from-shadow", "--dry-run", "--json")
    assert judged.code == 0, judged.err
    verdict = judged.json
    assert (verdict["rows"], verdict["candidate_alone_right"], verdict["look"]) == (340, 40, 1)
    assert "topic-candidate answers 2 jobs that the live cascade leaves" in judged.err
    assert load_catalogue(place.live).candidate_of("topic") == "topic-candidate"
    done = place.run("promote", "topic", "--from-shadow")
    assert done.code == 0, done.err
    text = place.live.read_text()
    assert "invoice|bill" in text
    assert "# A comment that stays." in text
    assert "candidate" not in text
    assert place.run("rollback", "topic").code == 0
    assert "invoice|bill" not in place.live.read_text()


def test_from_the_shadow_one_that_may_be_worse_stays(place: Place) -> None:
    """Exit 1; it is said how many labels are missing, and it goes on in shadow."""
    place.start()
    place.judge(right_right=50, right_none=1, wrong_right=1)
    before = place.live.read_text()
    done = place.run("promote", "topic", "--from-shadow")
    assert done.code == 1
    assert "Of 52 jobs that people answered" in done.out
    assert "more labels would show it" in done.out
    assert place.live.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from-shadow", "--data", "x"), "--from-shadow takes neither --candidate nor --data"),
        ((), "name --candidate and --data, or say --from-shadow"),
        (("--from-shadow",), "no candidate runs in shadow of it"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    place: Place, arguments: tuple[str, ...], told: str
) -> None:
    """Exit 2, with what to say instead."""
    done = place.run("promote", "topic", *arguments)
    assert (done.code, told in done.err) == (2, True), done.err


def test_before_anybody_said_anything_nothing_is_judged(place: Place) -> None:
    """And no look is spent."""
    place.start()
    done = place.run("promote", "topic", "--from-shadow")
    assert done.code != 0
    assert "no person's answer is known" in done.err
    assert not (place.live.parent / "versions" / "topic" / "looks.jsonl").exists()


def test_a_shadow_is_shown_and_stopped(place: Place) -> None:
    """In words, as JSON, and not at all where there is none."""
    assert place.run("shadow", "show", "topic").code == 2
    place.start()
    place.count(answered_answered=4, alike=4, copied=4)
    said = place.run("shadow", "show", "topic")
    assert "in 4 (100.0%) it is the same" in said.out
    assert place.run("shadow", "show", "topic", "--json").json["alike"] == 4
    assert place.run("shadow", "stop", "topic").code == 0
    assert place.live.read_text() == CATALOGUE
    assert place.run("shadow", "stop", "topic").code != 0
