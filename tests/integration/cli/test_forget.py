"""A person's texts, results and rows are gone from wherever they stood, and nobody else's."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.audit_logs import KEY
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.audit_log.folder import LogFolder
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.keeping import Keeper
from smallfirst.audit_log.verifying import verify
from smallfirst.catalogue.likeness import text_key
from smallfirst.client.transports import State
from smallfirst.jobs import Priority, Status
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.local import LocalFleet
from smallfirst.provenance.row_vectors import (
    ROW_VECTORS,
    TaughtRow,
    id_hash,
    read_rows,
    write_rows,
)

Smallfirst = Callable[..., Any]
CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
tasks:
  ids:
    kind: tag
    labels: {iban: international bank account number}
    cascade: [{rule: {find: [iban]}, accept: always}]
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{person: {wait: 1h, otherwise: abstain}}]
  mood:
    kind: classify
    labels: {a: one, b: two}
    cascade:
      - {rule: {patterns: [{label: a, pattern: parcel}]}}
      - {person: {wait: 1h}}
    audit: {share: 1.0}
  next:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{rule: {patterns: [{label: b, pattern: parcel}]}}]
    shadow: {of: mood, share: 0.5}
"""
CANARY = "wombatzibet"
WHERE = ("forget", "--where", "metadata.person=ann")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFleet]:
    """A router, and a Redis that keeps a file."""
    folder = tmp_path_factory.mktemp("forget")
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    with LocalFleet(folder / "catalogue.yaml", folder / "fleet", flower=False) as fleet:
        fleet.wait_ready()
        yield fleet


def jobs_of(person: str, text: str) -> list[Job]:
    """One that a rule answers, one that waits for a person, one that is refused."""
    return [
        Job(
            id=f"{person}-{task}",
            task=task,
            text=f"{text} DE89370400440532013000",
            metadata={"person": person},
        )
        for task in ("ids", "topic", "gone")
    ]


def holding(folder: Path, word: str) -> set[str]:
    """The files below a folder that hold a word."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in files if word.encode() in path.read_bytes()}


def run(fleet: LocalFleet, *arguments: object) -> Any:
    """Run a command as the fleet's administrator."""
    return subprocess.run(
        [sys.executable, "-m", "smallfirst", "--redis-url", fleet.redis_url, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_nothing_is_left_of_a_person(fleet: LocalFleet, tmp_path: Path) -> None:
    """Not in Redis, in its file, in rows; what was under way has ended; another's is as it was."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "ann-ids", "text": "wombatzibet"}\n{"id": "bob-ids", "text": "x"}\n')
    with Client(fleet.redis_url) as client:
        for job in (*jobs_of("ann", CANARY), *jobs_of("bob", "capybara")):
            client.submit(job)
        ended = [f"{person}-{task}" for person in ("ann", "bob") for task in ("ids", "gone")]
        assert {client.result(one, timeout=20).status for one in ended} == {
            Status.ANSWERED,
            Status.REFUSED,
        }
        folder = Path(fleet.folder)
        assert holding(folder, CANARY)
        done = run(fleet, *WHERE, "--rows", rows, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["failed"], told["unreadable"]) == ([], 0)
        assert sorted(told["jobs"]) == ["ann-gone", "ann-ids", "ann-topic"]
        assert told["removed"] == {
            "results": 3,
            "copies in shadow": 0,
            "dead letters": 1,
            "blind checks": 0,
            str(rows): 1,
        }
        # Beside it another's job waits, in the same few kilobytes of Redis's memory.
        assert told["lingering"] == [Keys().backlog("@people.topic", Priority.BULK)]
        assert holding(folder, "capybara")
        assert client.status("ann-ids").state is State.UNKNOWN
        assert client.status("bob-topic").state is State.QUEUED
        assert client.result("bob-ids", timeout=5).status is Status.ANSWERED
        assert json.loads(rows.read_text())["id"] == "bob-ids"
        client.cancel("bob-topic")
        assert client.result("bob-topic", timeout=20).status is Status.CANCELLED
    again = run(fleet, *WHERE)
    assert (again.returncode, "nothing was found" in again.stdout) == (1, True), again.stderr
    assert "may be left" not in again.stdout
    assert holding(folder, CANARY) == set()
    assert holding(folder, "capybara")


def test_a_file_that_is_being_rewritten_is_rewritten_once_more(
    fleet: LocalFleet, wait_until: WaitUntil
) -> None:
    """One that began before holds what was removed while it was written."""
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        slowly: Any = redis
        [waiting] = [job for job in jobs_of("ann", CANARY) if job.task == "topic"]
        client.submit(waiting)
        wait_until(lambda: client.status(waiting.id).state is State.QUEUED, description="it waits")
        # A hundredth of a second a key, so that it lasts until the command has come that far.
        slowly.mset({f"filling:{number}": 1 for number in range(300)})
        slowly.config_set("rdb-key-save-delay", 10_000)
        slowly.bgrewriteaof()
        slowly.config_set("rdb-key-save-delay", 0)
        done = run(fleet, *WHERE)
        assert done.returncode == 0, done.stderr
        slowly.delete(*(f"filling:{number}" for number in range(300)))
    assert holding(Path(fleet.folder), CANARY) == set()


def test_the_logs_tree_stays_whole(fleet: LocalFleet, tmp_path: Path) -> None:
    """The salt of a record goes, the record stays: nobody can show whose it is, or what it said."""
    log = tmp_path / "log"
    with (
        Client(fleet.redis_url) as client,
        Redis.from_url(fleet.redis_url) as redis,
        LogFolder(log, KEY) as kept,
    ):
        keeper = Keeper(kept, [RecordStream(redis, Keys())], KEY.verifier)
        keeper.open()
        client.submit(Job(id="cleo-1", task="ids", text="IBAN DE89370400440532013000"))
        client.result("cleo-1", timeout=20)
        keeper.turn()
        with Index(log) as index:
            [row] = index.find("default", "cleo-1")
        # The keeper lives on, and has the index open.
        done = run(fleet, "forget", "--id", "cleo-1", "--log", log, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["removed"]["audit log"] == 1
        assert not any(row.salt in path.read_bytes() for path in log.glob("index*"))
    with Index(log) as index:
        assert index.find("default", "cleo-1") == []
    _, breaks = verify(log, KEY.verifier)
    assert breaks == []
    assert run(fleet, "audit-log", "close").returncode == 0


def test_a_model_keeps_no_vector_of_theirs(fleet: LocalFleet, tmp_path: Path) -> None:
    """In every folder below the one named, and where only their text is known as theirs."""
    for place in ("topic-1", "cache/heads/abc"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        rows = [
            TaughtRow(number, name, ("a",), (id_hash(name),), b"\0\0")
            for number, name in enumerate(("dora-ids", "bob-ids"), start=1)
        ]
        write_rows(folder, rows)
    done = run(fleet, "forget", "--id", "dora-ids", "--model", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["removed"][str(tmp_path)] == 2
    for place in ("topic-1", "cache/heads/abc"):
        [left] = read_rows(tmp_path / place / ROW_VECTORS)
        assert left.key == "bob-ids"
    # A row that had no id yet when the model learned from it is found by its text.
    write_rows(tmp_path / "topic-1", [TaughtRow(1, text_key("My parcel?"), (), (), b"\0\0")])
    rows_file = tmp_path / "rows.jsonl"
    rows_file.write_text('{"id": "dora-2", "text": "my PARCEL"}\n{"id": "bob-2", "text": "x"}\n')
    done = run(
        fleet, "forget", "--id", "dora-2", "--rows", rows_file, "--model", tmp_path, "--json"
    )
    removed = json.loads(done.stdout)["removed"]
    assert (removed[str(tmp_path)], removed[str(rows_file)]) == (1, 1)


def test_a_broken_file_ends_nothing_else(fleet: LocalFleet, tmp_path: Path) -> None:
    """Redis and its file, other rows and salts lose what is theirs; then it is asked by their ids.

    What their metadata said went with their results.
    """
    good, odd = tmp_path / "good.csv", tmp_path / "odd rows.jsonl"
    good.write_text("id,text\nfay-ids,wombatzibet\nbob-ids,x\n")
    odd.write_text('{"id": "fay-ids"\n{"id": "fay-topic", "text": "wombatzibet"}\n')
    (tmp_path / ROW_VECTORS).write_text("?\n")
    paths = ("--model", tmp_path, "--rows", odd, "--rows", good)
    where = ("forget", "--where", "metadata.person=fay")
    with Client(fleet.redis_url) as client:
        for job in jobs_of("fay", CANARY)[:2]:
            client.submit(job)
        client.result("fay-ids", timeout=20)
        done = run(fleet, *where, *paths)
        assert done.returncode == 1, done.stderr
        assert client.status("fay-ids").state is State.UNKNOWN
        assert client.status("fay-topic").state is State.UNKNOWN
    assert holding(Path(fleet.folder), CANARY) == set()
    assert good.read_text() == "id,text\nbob-ids,x\n"
    assert odd.read_text() == '{"id": "fay-ids"\n'
    assert f"left: {tmp_path / ROW_VECTORS}: no line of a taught row; remove it" in done.stderr
    assert f"left: {odd}: line 1 cannot be read, and may be theirs" in done.stderr
    assert CANARY not in done.stderr + done.stdout
    asked = [line for line in done.stderr.splitlines() if line.startswith("  smallfirst")]
    [words] = map(shlex.split, asked)
    assert words[1:] == [
        *("forget", "--producer", "default", "--id", "fay-ids", "--id", "fay-topic"),
        *map(str, ("--rows", odd, "--rows", good, "--model", tmp_path)),
    ]
    odd.write_text('{"id": "fay-ids"}\n')
    (tmp_path / ROW_VECTORS).unlink()
    assert "nothing was found" in run(fleet, *where).stdout
    again = run(fleet, *words[1:])
    assert (again.returncode, again.stderr, odd.read_text()) == (0, "", "")


def test_a_wrong_path_is_told_before_anything_is_removed(fleet: LocalFleet, tmp_path: Path) -> None:
    """A file or folder that is not there, or holds something else: all stands as it stood."""
    array, rows = tmp_path / "array.jsonl", tmp_path / "rows.jsonl"
    array.write_text('[{"id": "gus-ids"}]\n')
    rows.write_text('{"id": "gus-ids"}\n')
    wrong = {
        ("--rows", array): "jq -c",
        ("--rows", tmp_path / "none"): "no such file; see --rows",
        ("--model", tmp_path / "none"): "no such folder; see --model",
        ("--log", tmp_path): "no audit log is there; see --log",
    }
    with Client(fleet.redis_url) as client:
        client.submit(jobs_of("gus", "x")[0])
        client.result("gus-ids", timeout=20)
        for option, reason in wrong.items():
            done = run(fleet, "forget", "--id", "gus-ids", "--rows", rows, *option)
            assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
        assert client.status("gus-ids").state is State.DONE
    assert rows.read_text() == '{"id": "gus-ids"}\n'
    assert run(fleet, "forget", "--id", "gus-ids").returncode == 0


def test_copies_for_a_candidate_go_too(fleet: LocalFleet, wait_until: WaitUntil) -> None:
    """What it said of a person's jobs, and the blind checks of these."""
    jobs = [
        Job(id=f"eve-{n}", task="mood", text=f"parcel {CANARY}", metadata={"person": "eve"})
        for n in range(20)
    ]
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        assert len(list(client.map(jobs))) == 20
        wait_until(
            lambda: redis.keys(Keys().shadowed("*")) and not redis.keys(Keys().shadowing("*", "*")),
            description="every copy was compared",
            timeout=30,
        )
        num_copies = len(redis.keys(Keys().shadowed("*")))
        done = run(fleet, "forget", "--where", "metadata.person=eve", "--json")
        assert done.returncode == 0, done.stderr
        removed = json.loads(done.stdout)["removed"]
        assert (removed["copies in shadow"], removed["blind checks"]) == (num_copies, 20)
        assert redis.keys("*@shadow*") == redis.keys(Keys().shadowed("*")) == []
    assert holding(Path(fleet.folder), CANARY) == set()


def test_who_stops_it_is_told_the_ids(
    redis: Redis, environment: dict[str, str], wait_until: WaitUntil
) -> None:
    """A job that it has cancelled has no metadata any more by which it could be found again."""
    own = Keys().of_producer("default").jobs
    job = Job(id="hal-1", task="ids", text="x", metadata={"person": "hal"})
    entry = redis.xadd(own, {"job": job.to_json()})
    redis.hset(Keys().of_producer("default").job("hal-1"), "origin", str(entry))
    redis.expire(Keys().of_producer("default").job("hal-1"), 60)
    command = [sys.executable, "-m", "smallfirst", "forget", "--where", "metadata.person=hal"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        wait_until(lambda: redis.xlen(own) == 2, description="it is cancelled", timeout=30)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "  smallfirst forget --producer default --id hal-1\n" in told


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "--id, or by --where"),
        (("--where", "person=ann"), "metadata.KEY=VALUE"),
        (("--id", "a", "--where", "metadata.a=b"), "--id, or by --where"),
        (("--id", "a b"), "can be no job's id"),
    ],
)
def test_whom_is_said_in_one_way(
    smallfirst: Smallfirst, arguments: tuple[str, ...], reason: str
) -> None:
    """By ids or by metadata, and by nothing else."""
    done = smallfirst("forget", *arguments)
    assert (done.code, reason in done.err) == (2, True)
