"""`smallfirst drift`: jobs beside the rows of their promise, as people and programs read it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.drifting import CATALOGUE, KEYS, MORE, OTHERWISE, RAISE, ROWS, calibrated, see

from smallfirst.catalogue.promises import promise_digest
from smallfirst.ledger.alarms import Alarms, StandingAlarm

Command = Callable[..., Any]


def test_jobs_like_their_rows_are_shown_as_such(
    smallfirst: Command, redis: Redis, tmp_path: Path
) -> None:
    """Each quantity has its rows, its jobs and its index, and nothing is proven."""
    catalogue, promise = calibrated(tmp_path)
    see(redis, promise, ROWS, times=2, days_ago=1)
    see(redis, promise, ROWS)
    done = smallfirst("drift", "--catalogue", catalogue)
    assert done.code == 0, done.err
    for words in ("length", "label", "confidence of step 0", "escalation of step 0", "3,000"):
        assert words in done.out
    assert "no change is proven" in done.out
    assert "has drifted" not in done.out
    [told] = smallfirst("drift", "topic", "--catalogue", catalogue, "--json").json.values()
    assert (told["raises_alarm"], told["has_drifted"]) == (True, False)
    assert {each["state"] for each in told["quantities"]} == {"steady"}
    assert told["quantities"][0]["now"]["128"] == 2100


def test_a_change_of_today_is_shown_with_what_moved(
    smallfirst: Command, redis: Redis, tmp_path: Path
) -> None:
    """The day, the bin and the remedy; what has not changed is said to be as it was."""
    catalogue, promise = calibrated(tmp_path)
    see(redis, promise, ROWS, times=20, days_ago=1)
    see(redis, promise, OTHERWISE)
    done = smallfirst("drift", "--catalogue", catalogue)
    assert done.code == 0, done.err
    assert "2048 to 4095: 0.0 % to 90.0 %" in done.out
    assert "escalated: 10.0 % to 50.0 %" in done.out
    assert "topic has drifted: calibrate it on rows of today" in done.out
    [told] = smallfirst("drift", "--catalogue", catalogue, "--json").json.values()
    states = {each["what"]: each["state"] for each in told["quantities"]}
    assert states == {
        "length": "drifted",
        "label": "steady",
        "confidence": "drifted",
        "escalation": "drifted",
    }


def test_a_restart_forgets_what_was_counted_of_the_task_alone(
    smallfirst: Command, redis: Redis, tmp_path: Path
) -> None:
    """After a burst of odd jobs; another task's counts stay."""
    catalogue, promise = calibrated(tmp_path)
    see(redis, promise, OTHERWISE)
    [key] = redis.scan_iter(KEYS.seen("*"))
    redis.hset(key, "topical:0123456789abcdef:length::64", 7)
    done = smallfirst("drift", "topic", "--restart", "--catalogue", catalogue)
    assert done.code == 0, done.err
    assert "topic: 8 counts were dropped" in done.err
    assert "nothing counted yet" in done.out
    assert redis.hlen(key) == 1
    again = smallfirst("drift", "topic", "--restart", "--catalogue", catalogue)
    assert (again.code, "topic: 0 counts" in again.err) == (0, True)


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (
            RAISE,
            "of texts like the rows, 70.0 % are answered by these thresholds, in place of 90.0 %",
        ),
        (MORE, "4 times as many answers are checked blind: smallfirst audit"),
    ],
)
def test_what_is_in_force_is_shown_until_a_restart_ends_it(
    smallfirst: Command, redis: Redis, tmp_path: Path, drift: str, words: str
) -> None:
    """Since when, and what it means; before a router has acted it is said that one will."""
    catalogue, promise = calibrated(tmp_path, drift=drift)
    see(redis, promise, OTHERWISE)
    done = smallfirst("drift", "--catalogue", catalogue)
    assert "is not in force: a router begins within a minute" in done.out
    alarm = StandingAlarm(promise=promise_digest(promise), since_ms=1_800_000_000_000)
    Alarms(redis, KEYS).say({"topic": alarm})
    done = smallfirst("drift", "--catalogue", catalogue)
    assert "in force since 2027-01-15 08:00 UTC: `" in done.out
    assert words in " ".join(done.out.split())
    [told] = smallfirst("drift", "--catalogue", catalogue, "--json").json.values()
    assert told["alarm"] == drift.split("alarm: ")[1].strip("}")
    assert told["in_force_since"] == "2027-01-15T08:00:00+00:00"
    done = smallfirst("drift", "topic", "--restart", "--catalogue", catalogue)
    assert "topic: what its alarm did is over" in done.err
    assert not Alarms(redis, KEYS).standing()
    [told] = smallfirst("drift", "--catalogue", catalogue, "--json").json.values()
    assert told["in_force_since"] is None


def test_another_promise_begins_anew(smallfirst: Command, redis: Redis, tmp_path: Path) -> None:
    """What was counted under the one before is another's."""
    _, before = calibrated(tmp_path)
    see(redis, before, OTHERWISE)
    catalogue, _ = calibrated(tmp_path, days_ago=0)
    [told] = smallfirst("drift", "--catalogue", catalogue, "--json").json.values()
    assert {each["state"] for each in told["quantities"]} == {"unknown"}


def test_a_promise_that_does_not_tell_of_its_rows_is_said_to(
    smallfirst: Command, redis: Redis, tmp_path: Path
) -> None:
    """Without an alarm in the catalogue, which would be refused."""
    catalogue, _ = calibrated(tmp_path, reference=None)
    assert redis.ping()
    refused = smallfirst("drift", "--catalogue", catalogue)
    assert refused.code == 2
    assert "tasks.topic.drift: the task's promise was made by a version" in refused.err
    catalogue.write_text(CATALOGUE.replace("    drift: {alarm: alert}\n", ""))
    done = smallfirst("drift", "--catalogue", catalogue)
    assert "does not say what its rows were like" in done.out


def test_where_nothing_is_promised_nothing_is_compared(
    smallfirst: Command, redis: Redis, tmp_path: Path
) -> None:
    """In words, and for programs as an empty object."""
    assert redis.ping()
    path = tmp_path / "catalogue.yaml"
    plain = CATALOGUE.replace("    drift: {alarm: alert}\n", "").replace("calibrated", "0.8")
    path.write_text(plain)
    done = smallfirst("drift", "topic", "--catalogue", path)
    assert (done.code, "topic goes by no promise" in done.err) == (0, True)
    assert smallfirst("drift", "--catalogue", path, "--json").json == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("topci",), "did you mean"),
        (("--restart",), "--restart: name the task whose counts are to be dropped"),
    ],
)
@pytest.mark.usefixtures("redis")
def test_what_makes_no_sense_is_refused(
    smallfirst: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    """With exit code 2, in one line."""
    catalogue, _ = calibrated(tmp_path)
    done = smallfirst("drift", *arguments, "--catalogue", catalogue)
    assert done.code == 2
    assert words in done.err
