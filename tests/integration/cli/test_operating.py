"""What an operator sees: queues, the doctor, schemas."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from smallfirst.jobs import Priority
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger

Smallfirst = Callable[..., Any]
KEYS = Keys()
OWN = KEYS.of_producer("default")


def put(ledger: Ledger, redis: Redis, stream: str, count: int) -> None:
    """Add jobs to a backlog, as if parked a minute ago."""
    ledger.open([stream], POOL_GROUP)
    parked_ms = ledger.now_ms() - 60_000
    for number in range(count):
        redis.xadd(stream, {"id": "x", "job": "{}", "slip": "{}"}, id=f"{parked_ms}-{number + 1}")


@pytest.mark.parametrize("name", ["cpu", "router-gpu"])
def test_queues_say_who_has_how_many(smallfirst: Smallfirst, redis: Redis, name: str) -> None:
    """A pool's jobs are counted by who has them: nobody, a router, the queue, a worker."""
    router = Ledger(redis, KEYS, str(Holder.here(ROUTERS)))
    worker = Ledger(redis, KEYS, str(Holder.here(name)))
    stream = KEYS.backlog(name, Priority.BULK)
    put(router, redis, stream, 10)
    router.open_pools([name])
    entries = [entry.entry for entry in router.read([stream], POOL_GROUP, count=6)]
    router.queue(stream, entries[:3])
    worker.claim(stream, entries[:1])
    worker.lives.beat(name)
    redis.xadd(OWN.jobs, {"job": "{}"})
    found = smallfirst("queues", "--json").json
    [pool] = found["pools"]
    counts = {name: pool[name] for name in ("unread", "held", "queued", "working", "workers")}
    assert counts == {"unread": 4, "held": 3, "queued": 2, "working": 1, "workers": 1}
    assert 60 <= pool["oldest_seconds"] < 600
    assert [stream["unread"] for stream in found["streams"]] == [1, 0]
    assert (found["routers"], found["dead_letters"]) == (0, 0)
    assert name in smallfirst("queues").out


def test_the_doctor_says_what_is_wrong_and_what_to_do(smallfirst: Smallfirst) -> None:
    """Without a router the doctor fails, with the remedy beside it."""
    done = smallfirst("doctor", "--json")
    assert done.code == 1
    checks = {check["name"]: check for check in done.json}
    assert checks["redis"]["state"] == checks["eviction"]["state"] == "ok"
    assert checks["persistence"]["state"] == "warn"
    assert checks["routers"]["state"] == "fail"
    assert "smallfirst up" in checks["routers"]["remedy"]


@pytest.mark.usefixtures("fleet")
def test_the_doctor_finds_a_fleet_well(smallfirst: Smallfirst) -> None:
    """With everything there, no check fails, and a person reads a line each."""
    done = smallfirst("doctor")
    assert done.code == 0
    assert "routers        1 alive" in done.out
    assert "fail" not in done.out


def test_the_doctor_names_a_pattern_that_never_matches(
    smallfirst: Smallfirst, tmp_path: Path
) -> None:
    """A border of words that RE2 does not see is warned of, with what to write in its place."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(
        "version: 1\npools: {cpu: {tier: slm, max_parameters: 50M}}\n"
        "tasks: {topic: {kind: classify, labels: {change: A change., other: Else.}, cascade: "
        "[{rule: {patterns: [{label: change, pattern: '\\bÄnderung\\b'}]}}]}}\n"
    )
    done = smallfirst("doctor", "--json", SMALLFIRST_CATALOGUE=str(catalogue))
    [check] = [check for check in done.json if check["name"] == "task topic"]
    assert check["state"] == "warn"
    assert "tasks.topic.cascade" in check["detail"]
    assert "(?P<span>...)" in check["remedy"]


def test_the_doctor_reads_the_catalogue(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A wrong catalogue fails with its line; the variable names the file."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text("version: 1\ntasks: {}\n")
    done = smallfirst("doctor", SMALLFIRST_CATALOGUE=str(catalogue))
    assert done.code == 1
    assert "fail  catalogue" in done.out
    assert f"{catalogue}:2" in done.out


def test_the_doctor_refuses_what_a_worker_would(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A model that was saved without its tokenizer fails, with the call that saves it."""
    (tmp_path / "own").mkdir()
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(
        "version: 1\n"
        "pools: {cpu: {tier: slm, max_parameters: 50M}}\n"
        "models: {own: {source: ./own, parameters: 1M}}\n"
        "tasks: {near: {kind: embed, cascade: [{model: own}]}}\n"
    )
    done = smallfirst("doctor", "--json", SMALLFIRST_CATALOGUE=str(catalogue))
    check = next(check for check in done.json if check["name"] == "model own")
    assert check["state"] == "fail"
    assert "has no tokenizer" in check["detail"]
    assert "tokenizer.save_pretrained" in check["remedy"]


def test_the_doctor_tells_of_destroyed_jobs(smallfirst: Smallfirst, redis: Redis) -> None:
    """Where submissions were trimmed away it says how many, and what to look for."""
    redis.hset(OWN.submissions, mapping={"destroyed": 200, "destroyed_at": 1_700_000_000})
    checks = {check["name"]: check for check in smallfirst("doctor", "--json").json}
    assert checks["submissions"]["state"] == "warn"
    assert "200 confirmed jobs were destroyed" in checks["submissions"]["detail"]
    assert "2023-11-14" in checks["submissions"]["detail"]
    assert "MAXLEN" in checks["submissions"]["remedy"]


def test_the_doctor_warns_of_a_log_that_quotes_texts(smallfirst: Smallfirst, redis: Redis) -> None:
    """Where slow commands are written down a doctor says so, and what to set."""
    redis.config_set("slowlog-log-slower-than", 10_000)
    try:
        checks = {check["name"]: check for check in smallfirst("doctor", "--json").json}
    finally:
        redis.config_set("slowlog-log-slower-than", -1)
    assert checks["slow log"]["state"] == "warn"
    assert "slowlog-log-slower-than -1" in checks["slow log"]["remedy"]


def test_schemas_are_json_schemas(smallfirst: Smallfirst) -> None:
    """`schema` prints the schema of what is asked for, and of job and result where nothing is."""
    assert smallfirst("schema", "job").json["required"] == ["task", "text"]
    assert "trail" in smallfirst("schema", "result").json["properties"]
    assert "pools" in smallfirst("schema", "catalogue").json["properties"]
    assert "target" in smallfirst("schema", "promise").json["properties"]
    assert set(smallfirst("schema").json) == {"job", "result"}
