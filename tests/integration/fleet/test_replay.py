"""Jobs are asked again by `smallfirst audit-log replay`, and end as the log says of them."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.audit_logs import KEY

from smallfirst import Client, Job
from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.keeping import Keeper
from smallfirst.jobs import Status
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

NUM_JOBS = 1000
WORDS = ("a refund", "my password", "the parcel", "an invoice", "your app", "billing, please")


def rows() -> list[dict[str, Any]]:
    """Jobs for a rule and for a small model, no two alike."""
    texts = [f"{number}: about {WORDS[number % len(WORDS)]}" for number in range(NUM_JOBS)]
    return [
        {"id": f"r{number}", "task": ("topic", "ids")[number % 2], "text": text}
        for number, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def log(fleet: LocalFleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a fleet that has answered all of them."""
    folder = tmp_path_factory.mktemp("kept") / "log"
    with Redis.from_url(fleet.redis_url) as redis, LogFolder(folder, KEY) as log:
        stream = RecordStream(redis, Keys())
        keeper = Keeper(log, [stream], KEY.verifier)
        keeper.open()
        with Client(fleet.redis_url) as client:
            results = list(client.map(Job(**row) for row in rows()))
        assert Counter(result.status for result in results)[Status.ANSWERED] > NUM_JOBS / 2
        while keeper.turn():
            pass
        stream.close()
    return folder


def replayed(
    log: Path, catalogue: Path, found: list[dict[str, Any]], *options: str
) -> tuple[int, Any]:
    """What the command says of rows, and how it ended."""
    file = log.parent / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    of = ("--log", str(log), "--key", KEY.verifier.line, "--catalogue", str(catalogue))
    command = [sys.executable, "-m", "smallfirst", "audit-log", "replay", str(file), *of]
    done = subprocess.run(
        [*command, "--json", *options], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    assert not any(row["text"] in done.stdout + done.stderr for row in found)
    return done.returncode, json.loads(done.stdout)


def test_a_thousand_jobs_end_as_they_did(log: Path, small_catalogue: Path) -> None:
    """By a rule and by a small model, in batches of other neighbours; what cannot be is named."""
    odd = [{**rows()[0], "text": "a text of today"}, {**rows()[1], "id": "nobody"}]
    code, told = replayed(log, small_catalogue, rows() + odd)
    assert (code, told["equal"], told["differences"]) == (0, NUM_JOBS, [])
    assert told["reasons"] == {
        "its text is not the one of then": 1,
        "the log has no record of it, or its salt was erased": 1,
    }


def test_where_nothing_can_be_compared_nothing_is_started(log: Path, small_catalogue: Path) -> None:
    """And that is no success."""
    odd = [{**row, "text": "a text of today"} for row in rows()]
    code, told = replayed(log, small_catalogue, odd, "--sample", "10")
    assert (code, told["equal"], told["not_asked"]) == (1, 0, 10)
