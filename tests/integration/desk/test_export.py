"""What people answered comes out as rows that train, calibrate and fit read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.desks import ALL, Browser, folder_for, running_desk
from tests.support.reviews import OWN, wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.rows import read_rows
from smallfirst.jobs import Job

pytestmark = pytest.mark.timeout(120)

TEXT = "Marta wrote this letter on 3 May."
ENTERED: dict[str, dict[str, object]] = {
    "topic": {"label": "b"},
    "tags": {"label": ["refund"]},
    "pii": {"spans": "name: Marta"},
    "invoice": {"field.number": "1", "field.total": "2", "field.paid": "no"},
    "tampering": {"verdict": "no", "quote": "Marta wrote this"},
    "reply": {"text": "Dear Marta,"},
}


def export(folder: Path, task: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    told = ["--answers", str(folder / "answers"), "--catalogue", str(folder / "catalogue.yaml")]
    return subprocess.run(
        [sys.executable, "-m", "smallfirst", "export", task, *told, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_answer_is_a_row_that_the_commands_read(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Of every kind, with its provenance where it is asked for; only its owner reads the folder."""
    folder_for(tmp_path)
    with running_desk(
        redis_url, tmp_path, desk_undo_seconds=0, desk_answers=tmp_path / "answers"
    ) as desk:
        ann: Browser = desk.browser("ann")
        for task, entered in ENTERED.items():
            wait_for_people(redis, Job(id=f"{task}-1", task=task, text=TEXT))
            ann.begin(task)
            ann.answer(**entered)
        ann.close()
        results = [OWN.result(f"{task}-1") for task in ALL]
        wait_until(lambda: redis.exists(*results) == len(ALL), description="all have ended")
    assert (tmp_path / "answers").stat().st_mode & 0o077 == 0
    tasks = load_catalogue(tmp_path / "catalogue.yaml").tasks
    for task in ALL:
        rows = tmp_path / f"{task}.jsonl"
        assert export(tmp_path, task, "--out", str(rows)).returncode == 0
        [row] = read_rows(rows, task, tasks[task])
        assert (row.example.id, row.example.text) == (f"{task}-1", TEXT)
    told = export(tmp_path, "topic", "--json", "--out", str(tmp_path / "rows.jsonl")).stdout
    assert json.loads(told) == {"task": "topic", "rows": 1, "blind": 0, "left_out": {}}
    [line] = export(tmp_path, "topic", "--provenance").stdout.splitlines()
    about = json.loads(line)["human"]
    assert about["producer"] == "default"
    assert about["person"].startswith("r-")


def test_a_job_comes_out_once_and_what_the_task_knows_no_more_not_at_all(tmp_path: Path) -> None:
    """The last answer counts; half a line, which a desk left that died, is told of."""
    folder_for(tmp_path)
    (tmp_path / "answers").mkdir()
    about = {"producer": "default", "person": "r-1"}
    rows: list[dict[str, object]] = [
        {"id": "a1", "text": TEXT, "label": "a", "human": about},
        {"id": "a1", "text": TEXT, "label": "b", "human": about},
        {"id": "a2", "text": TEXT, "label": "gone", "human": about},
        {"id": "a1", "text": TEXT, "label": "c", "human": {**about, "producer": "shop"}},
    ]
    lines = [*map(json.dumps, rows), '{"id": "a3", "te']
    (tmp_path / "answers" / "topic.jsonl").write_text("\n".join(lines), "utf-8")
    done = export(tmp_path, "topic")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["label"]) for row in found] == [("a1", "b"), ("a1", "c")]
    assert "2 rows of people's answers to topic" in done.stderr
    assert "'gone', which is not one of the task's labels" in done.stderr
    assert "a line is no JSON" in done.stderr
    assert export(tmp_path, "tpoic").returncode == 2
    assert export(tmp_path, "pii").returncode == 1
