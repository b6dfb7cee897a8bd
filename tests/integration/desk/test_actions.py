"""What people do at a desk is recorded, every step of it, and no word of a job."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.desks import Browser, RunningDesk, running_desk
from tests.support.reviews import topic, wait_for_people

from smallfirst_desk.action_log import job_hash, verify
from smallfirst_desk.users import read_users

TEXT = "Zanzibar is the word that nobody may read here."


def records(folder: Path) -> list[dict[str, Any]]:
    """What was recorded, in its order."""
    found = [path.read_text("utf-8") for path in sorted((folder / "actions").glob("*.jsonl"))]
    return [json.loads(line) for text in found for line in text.splitlines()]


def test_each_step_is_recorded_in_one_chain(redis: Any, folder: Path, redis_url: str) -> None:
    """Two people at two desks of one folder, from signing in to signing out."""
    wait_for_people(redis, topic("secret-id-1", TEXT), topic("secret-id-2", TEXT))
    told = {"desk_log": folder / "actions", "desk_undo_seconds": 60}
    with (
        running_desk(redis_url, folder, **told) as desk,
        running_desk(redis_url, folder, **told) as other,
    ):
        stranger = Browser(desk.url)
        stranger.sign_in("ann", "a wrong password")
        stranger.close()
        ann, ben = desk.browser("ann"), other.browser("ben")
        ann.begin()
        path = ann.path
        ann.answer(label="a")
        assert "Answered." in ann.html
        ann.post("/undo")
        ben.get("/tasks/topic")
        ben.post(f"{path}/take")
        ann.get(path)
        ann.post(f"{path}/skip", view=True)
        ann.post("/sign-out")
        ann.close()
        ben.close()
    said = records(folder)
    people = {
        name: user.pseudonym for name, user in read_users(folder / "users.yaml").users.items()
    }
    mine = [one["did"] for one in said if one["person"] == people["ann"]]
    assert mine == [
        "signed in",
        "leased",
        "decided",
        "leased",
        "undid",
        "skipped",
        "leased",
        "signed out",
    ]
    assert [one["did"] for one in said if one["person"] == people["ben"]] == [
        "signed in",
        "was refused",
    ]
    assert [one["did"] for one in said if one["person"] is None] == ["was not let in"]
    assert len({one["desk"] for one in said}) == 2
    decided = next(one for one in said if one["did"] == "decided")
    assert decided["job"] == job_hash("default", "secret-id-1")
    assert decided["place"] == path.rpartition("/")[2]
    assert verify(folder / "actions").breaks == ()
    written = json.dumps(said)
    for word in ("Zanzibar", "secret-id", "ann", "ben", "127.0.0.1"):
        assert f'"{word}' not in written


def test_the_desk_tells_its_log_where_the_chain_ends(folder: Path, redis_url: str) -> None:
    """At its start and its end: so that a lost end can be seen later."""
    with running_desk(redis_url, folder, desk_log=folder / "actions") as desk:
        desk.browser("ann").close()
    lines = [json.loads(line) for line in desk.log.read_text("utf-8").splitlines()]
    told = [line for line in lines if line["event"] == "desk.action_log"]
    assert [line["last_record"] for line in told] == [0, 1]
    assert told[-1]["last_hash"] == verify(folder / "actions").head.hash


def test_nothing_is_done_that_cannot_be_recorded(redis: Any, folder: Path, redis_url: str) -> None:
    """The folder goes: one step is done still and kept, none after it; then all is written."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    away = folder / "away"
    with running_desk(redis_url, folder, desk_log=folder / "actions") as desk:
        ann = desk.browser("ann")
        shutil.move(folder / "actions", away)
        ann.begin()
        path = ann.path
        assert ann.answer(label="a").status_code == 503
        assert "cannot be recorded" in ann.html
        shutil.move(away, folder / "actions")
        ann.get(path)
        ann.answer(label="a")
        assert "Answered." in ann.html
        ann.close()
    assert [one["did"] for one in records(folder)][:3] == ["signed in", "leased", "decided"]
    assert verify(folder / "actions").breaks == ()


@pytest.mark.parametrize("way", ["/tasks/none/next", "/tasks/pii/jobs/9-bulk-1-1/take"])
def test_what_may_not_be_done_is_recorded_as_refused(
    redis_url: str, folder: Path, way: str
) -> None:
    """A task that is not theirs, a job that is not there: asked for by name, and refused."""
    with running_desk(redis_url, folder, desk_log=folder / "actions") as desk:
        ann = desk.browser("ann")
        ann.get("/")
        assert ann.post(way).status_code == 404
        ann.close()
    last = records(folder)[-1]
    assert (last["did"], last["why"]) == ("was refused", "404")


def test_a_folder_that_cannot_be_written_stops_the_start(folder: Path, redis_url: str) -> None:
    """With the name of the setting; better than at the first answer."""
    (folder / "file").write_text("x")
    with (
        pytest.raises(AssertionError, match="SMALLFIRST_DESK_LOG"),
        running_desk(redis_url, folder, desk_log=folder / "file" / "actions") as desk,
    ):
        assert isinstance(desk, RunningDesk)
