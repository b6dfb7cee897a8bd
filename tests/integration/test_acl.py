"""Every component does its whole work under its own user of Redis, and is refused the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from tests.support.guarded import (
    PRODUCER,
    Guarded,
    Running,
    catalogue_with,
    guarded_fleet,
    guarded_redis,
    server_with,
)
from tests.support.shapes import slip_for
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.audit_log.keeping import written
from smallfirst.client.transports import State
from smallfirst.exporter import Fleet
from smallfirst.jobs import Result, Status
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, ROUTERS, Keys, ProducerKeys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.records import ResultRecord, read_record
from smallfirst.ledger.slices import Slice
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.redis_access.acl import acl_file
from smallfirst.redis_access.users import Role, producer_user, worker_user
from smallfirst.results import LAST_MS

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
    ),
]

KEYS = Keys()
OWN = KEYS.of_producer("default")
SHOP = KEYS.of_producer(PRODUCER)
SHOPS_USER = producer_user(PRODUCER)
CPU = worker_user("cpu")
BULK = "{sf:0}:backlog:cpu:bulk"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that knows every role."""
    with guarded_redis(tmp_path_factory.mktemp("guarded")) as guarded:
        yield guarded


@pytest.fixture
def fleet(guarded: Guarded, tmp_path: Path, wait_until: WaitUntil) -> Iterator[Running]:
    """A router, a worker and Flower, each under its own user."""
    with guarded_fleet(guarded, tmp_path, wait_until) as running:
        yield running


def test_the_whole_work_is_done_without_a_refusal(fleet: Running, wait_until: WaitUntil) -> None:
    """Submit, answer, refuse, cancel, join, look for, watch, count: nobody asks for more.

    And whoever writes a result, a router or a worker, writes its record beside it: one each.
    """
    with fleet.redis.connect(Role.AUDIT_LOG) as keeper, fleet.redis.connect() as admin:
        # What another test has left in this Redis was not recorded.
        before = results_in(admin)
        RecordStream(keeper, KEYS).open()
    with Client(fleet.redis.url(Role.PRODUCER)) as client:
        jobs = [Job(task="similar", text=f"parcel {n}") for n in range(50)]
        jobs += [Job(id="twice", task="ids", text="4111 1111 1111 1111")] * 2
        answers = list(client.map(jobs))
        assert {result.status for result in answers} == {Status.ANSWERED}
        refused = client.result(client.submit(Job(task="no_such_task", text="x")), timeout=60)
        assert refused.status is Status.REFUSED
        client.cancel("twice")
        assert client.status("twice").state is State.DONE
        assert client.status("never-seen").state is State.UNKNOWN
    with Client(fleet.redis.url(SHOPS_USER), producer=PRODUCER) as client:
        job = Job(id="twice", task="similar", text="the same id, and another's job")
        assert client.result(client.submit(job), timeout=60).fingerprint == job.fingerprint
        assert client.status("twice").state is State.DONE
    wait_until(
        lambda: fleet.flower_has_seen("task-succeeded"),
        description="Flower saw a batch",
        timeout=60,
    )
    with fleet.redis.connect(Role.SCALER) as scaler:
        groups: Any = scaler.xinfo_groups(BULK)
        assert [group["name"] for group in groups] == [POOL_GROUP.encode()]
        wait_until(
            lambda: scaler.xpending(OWN.jobs, ROUTER_GROUP)["pending"] == 0,
            description="what was read last is settled",
        )
    with fleet.redis.connect(Role.EXPORTER) as exporter:
        exported = Fleet([Slice(exporter, KEYS)], CeleryLists(exporter, KEYS), catalogue_with)
        metrics = {metric.name for metric in exported.collect()}
    assert "smallfirst_people_jobs" in metrics
    assert {"smallfirst_jobs_unread", "smallfirst_attempts", "smallfirst_workers"} <= metrics
    with fleet.redis.connect(Role.AUDIT_LOG) as keeper, fleet.redis.connect() as admin:
        found = RecordStream(keeper, KEYS).read("", 1000)
        told = [(each.fields[b"producer"].decode(), each.fields[b"id"].decode()) for each in found]
        recorded = [KEYS.of_producer(producer).result(job_id) for producer, job_id in told]
        assert sorted(recorded) == sorted(results_in(admin) - before)
        assert all(isinstance(read_record(each.record), ResultRecord) for each in written(0, found))
    assert fleet.redis.refused() == []


def results_in(admin: Any) -> set[str]:
    """The keys of all results; a scan may name one twice."""
    return {key.decode() for key in admin.scan_iter("{sf:0}:result:*", count=1000)}


def test_a_job_that_nobody_can_read_ends_all_the_same(
    fleet: Running, wait_until: WaitUntil
) -> None:
    """Its worker may write no dead letter, and gives it back to who may."""
    slip = slip_for("similar", expires_ms=LAST_MS)
    with fleet.redis.connect() as admin:
        fields = {"producer": "default", "id": "odd", "job": '{"id": "odd", "new": 1}'}
        admin.xadd(BULK, {**fields, "slip": slip.to_json()})
        result = OWN.result("odd")
        wait_until(lambda: admin.exists(result), description="it has ended", timeout=60)
        assert Result.model_validate_json(admin.get(result)).status is Status.FAILED
        assert admin.xlen(KEYS.dead)
        assert not admin.exists(BULK) or admin.xlen(BULK) == 0
    assert fleet.redis.refused() == []


@pytest.mark.parametrize(
    ("role", "command"),
    [
        (Role.PRODUCER, ("LPUSH", "sf:celery:cpu", "null")),
        (Role.PRODUCER, ("SET", "{sf:0}:result:default:a1", "{}")),
        (Role.PRODUCER, ("XADD", BULK, "*", "a", "b")),
        (Role.PRODUCER, ("XADD", KEYS.escalations, "*", "a", "b")),
        (Role.PRODUCER, ("XDEL", OWN.jobs, "1-1")),
        (Role.PRODUCER, ("XRANGE", KEYS.dead, "-", "+")),
        (Role.PRODUCER, ("EVAL", "return 1", "0")),
        (Role.ROUTER, ("BRPOP", "sf:celery:cpu", "1")),
        (Role.ROUTER, ("GET", "{sf:0}:dead:1-1")),
        (Role.WORKER, ("XADD", OWN.jobs, "*", "job", "{}")),
        (Role.WORKER, ("LPUSH", "sf:celery:cpu", "null")),
        (Role.WORKER, ("XREADGROUP", "GROUP", "pool", "w", "STREAMS", BULK, ">")),
        (Role.WORKER, ("GET", "{sf:0}:dead:1-1")),
        (Role.WORKER, ("GET", "{sf:0}:result:default:a1")),
        (Role.WORKER, ("XADD", KEYS.dead, "*", "letter", "{}")),
        (CPU, ("XPENDING", "{sf:0}:backlog:gpu:bulk", "pool")),
        (CPU, ("XCLAIM", "{sf:0}:backlog:gpu:bulk", "pool", "w", "0", "1-1")),
        (CPU, ("BRPOP", "sf:celery:gpu", "1")),
        (CPU, ("HGET", "sf:celery:unacked:gpu", "x")),
        (CPU, ("ZADD", KEYS.workers("gpu"), "1", "w")),
        (Role.ROUTER, ("LRANGE", "sf:celery:cpu", "0", "-1")),
        (Role.FLOWER, ("HGET", "sf:celery:unacked:cpu", "x")),
        (Role.FLOWER, ("XRANGE", OWN.jobs, "-", "+")),
        (Role.FLOWER, ("GET", "{sf:0}:result:default:a1")),
        (Role.FLOWER, ("LPUSH", "sf:celery:cpu", "null")),
        (Role.SCALER, ("XRANGE", OWN.jobs, "-", "+")),
        (Role.SCALER, ("XADD", OWN.jobs, "*", "job", "{}")),
        (Role.EXPORTER, ("XRANGE", OWN.jobs, "-", "+")),
        (Role.EXPORTER, ("XRANGE", "{sf:0}:backlog:@people.asked:bulk", "-", "+")),
        (Role.EXPORTER, ("ZREM", KEYS.review("asked"), "bulk:1-1")),
        (Role.EXPORTER, ("XRANGE", KEYS.dead, "-", "+")),
        (Role.EXPORTER, ("GET", "{sf:0}:result:default:a1")),
        (Role.EXPORTER, ("DEL", KEYS.booked("2026-01-01"))),
        (Role.AUDIT_LOG, ("GET", "{sf:0}:result:default:a1")),
        (Role.AUDIT_LOG, ("XRANGE", OWN.jobs, "-", "+")),
        (Role.AUDIT_LOG, ("XRANGE", BULK, "-", "+")),
        (Role.AUDIT_LOG, ("XADD", KEYS.log, "*", "record", "{}")),
        (Role.WORKER, ("XRANGE", KEYS.log, "-", "+")),
        (Role.WORKER, ("XTRIM", KEYS.log, "MAXLEN", "0")),
        (Role.ROUTER, ("DEL", KEYS.log)),
        *(
            (role, (command,))
            for role in Role
            for command in ("FLUSHALL", "KEYS *", "CONFIG GET *")
        ),
    ],
)
def test_what_is_not_its_work_is_refused(
    guarded: Guarded, role: str, command: tuple[str, ...]
) -> None:
    """Nobody reads or writes beyond its own work, and nobody administers."""
    words = command if len(command) > 1 else command[0].split()
    with guarded.connect(role) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*words)
    assert [name for name, _, _ in guarded.refused()] == [role]


def of_another(other: ProducerKeys) -> list[tuple[str, ...]]:
    """Everything that a producer does, to the keys of another."""
    return [
        ("XADD", other.jobs, "*", "job", "{}"),
        ("XADD", other.jobs, "MAXLEN", "1", "*", "job", "{}"),
        ("XLEN", other.jobs),
        ("XRANGE", other.jobs, "-", "+"),
        ("XREVRANGE", other.jobs, "+", "-"),
        ("GET", other.result("a1")),
        ("MGET", other.result("a1"), other.result("a2")),
        ("HGET", other.job("a1"), "at"),
        ("SUBSCRIBE", other.results("me")),
        ("PSUBSCRIBE", "{sf:0}:results:*"),
        ("PUBLISH", other.results("me"), "a1"),
    ]


@pytest.mark.parametrize(
    ("user", "command"),
    [
        *((SHOPS_USER, command) for command in of_another(OWN)),
        *((Role.PRODUCER, command) for command in of_another(SHOP)),
        (SHOPS_USER, ("MGET", SHOP.result("a1"), OWN.result("a1"))),
        (SHOPS_USER, ("HGETALL", OWN.submissions)),
        (SHOPS_USER, ("HGETALL", KEYS.producers)),
        (SHOPS_USER, ("HSET", KEYS.producers, PRODUCER, '{"weight":1000}')),
    ],
)
def test_what_is_another_producers_is_refused(
    guarded: Guarded, user: str, command: tuple[str, ...]
) -> None:
    """Nobody submits as another, reads what another has, or takes a larger share."""
    with guarded.connect(user) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*command)
    assert [name for name, _, _ in guarded.refused()] == [user]


def test_the_file_lets_in_whom_it_names_alone(tmp_path: Path, wait_until: WaitUntil) -> None:
    """As Redis reads it: by the password's hash; nobody nameless, and nobody left out."""
    written = acl_file("sf", {Role.PRODUCER: "a long secret"})
    assert "secret" not in written
    with server_with(written, tmp_path, wait_until) as port:
        with Redis.from_url(f"redis://producer:a%20long%20secret@127.0.0.1:{port}") as redis:
            assert redis.xlen(OWN.jobs) == 0
        for stranger in ("producer:another@", "worker:a%20long%20secret@", "default:@", ""):
            with (
                Redis.from_url(f"redis://{stranger}127.0.0.1:{port}") as redis,
                pytest.raises(AuthenticationError),
            ):
                redis.ping()


def test_a_user_may_have_two_passwords(tmp_path: Path, wait_until: WaitUntil) -> None:
    """While one is changed for the other, programs that have either come in."""
    written = acl_file("sf", {SHOPS_USER: ["old", "new"]})
    with server_with(written, tmp_path, wait_until) as port:
        for password in ("old", "new"):
            with Redis.from_url(f"redis://{SHOPS_USER}:{password}@127.0.0.1:{port}") as redis:
                assert redis.xlen(SHOP.jobs) == 0


def test_rules_of_two_versions_stand_behind_one_another(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    """As the page on upgrades tells it: a user whose line has both files' rules may do both's."""
    (line,) = acl_file("sf", {Role.PRODUCER: "secret"}).splitlines()[1:]
    # Another version's rules name other keys, as those of another namespace do.
    (newer,) = acl_file("newer", {Role.PRODUCER: "secret"}).splitlines()[1:]
    both = f"{line} {newer[newer.index('resetkeys') :]}\n"
    with (
        server_with(both, tmp_path, wait_until) as port,
        Redis.from_url(f"redis://producer:secret@127.0.0.1:{port}") as redis,
    ):
        for keys in (OWN, Keys("newer").of_producer("default")):
            assert redis.xadd(keys.jobs, {"job": "{}"})
        with pytest.raises(NoPermissionError):
            redis.get(KEYS.dead)


@pytest.mark.parametrize(
    "name", ["admin", "producer-", "producer-A:b", "producer-default", "worker-", "worker-A"]
)
def test_nobody_else_is_written_down(name: str) -> None:
    """A name that stands for no role, and for no producer, has no rights to be given."""
    with pytest.raises(ValueError, match="user"):
        acl_file("sf", {name: "secret"})


def test_a_restart_under_the_file_loses_nothing(tmp_path: Path, wait_until: WaitUntil) -> None:
    """What scripts and transactions wrote is read back, though nobody may connect nameless."""
    written = acl_file("sf", {Role.ROUTER: "secret"})
    held: list[int] = []
    for _ in range(2):
        with (
            server_with(written, tmp_path, wait_until) as port,
            Redis.from_url(f"redis://router:secret@127.0.0.1:{port}") as redis,
        ):
            held.append(Ledger(redis, KEYS, f"router-{len(held)}").lives.beat(ROUTERS))
    assert held == [1, 2]
