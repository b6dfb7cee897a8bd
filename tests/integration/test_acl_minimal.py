"""No role may do more than its work takes: each right that is granted is one that somebody uses.

A fleet does all its work under its users, and the server tells what each of them asked. Then one
right after another is taken away, and something that was asked must be refused.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from tests.support.acl_people import (
    ask_people,
    ask_two_people,
    check_blind,
    run_in_shadow,
    show_the_dashboard,
)
from tests.support.acl_trace import Call, Trace, narrowings, refusals, traced
from tests.support.guarded import Guarded, Running, catalogue_with, guarded_fleet, guarded_redis
from tests.support.keda import count
from tests.support.ledgers import finish_of
from tests.support.shapes import slip_for
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.client.transports import RedisTransport, State
from smallfirst.errors import IdConflict, ResultTimeout
from smallfirst.exporter import Fleet
from smallfirst.jobs import Priority, Status
from smallfirst.ledger.alarms import Alarms, StandingAlarm
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.seen import Period, read_seen
from smallfirst.ledger.settlements import Move, Refuse, dead_letter
from smallfirst.ledger.slices import Slice, check_slices
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.redis_access.acl import all_grants
from smallfirst.redis_access.users import Role, worker_user

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
    ),
]

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = "{sf:0}:backlog:cpu:bulk"
TASKS = ("ids", "similar", "mood", "tone")
HOUR = timedelta(hours=1)
LONG = "Where is my parcel? It should have come last week, and nobody answers. " * 25
_IDLE = "clients ask it when they have said nothing for ten seconds"
#: The workers connect as those of their pool; the rules of `worker` are the same for every pool.
CPU = worker_user("cpu")
USERS = tuple(CPU if role is Role.WORKER else str(role) for role in Role)
#: Rights that the drill below need not come to use, each with its reason.
RARE: dict[str, dict[str, str]] = {
    Role.PRODUCER: {"ping": _IDLE},
    Role.ROUTER: {},
    CPU: {"unwatch": "redis-py says it where something fails between WATCH and EXEC"},
    Role.FLOWER: {"punsubscribe": "kombu says it at its end, for which Flower takes minutes"},
    Role.SCALER: {},
    Role.EXPORTER: {"ping": _IDLE},
    Role.DESK: {"ping": _IDLE},
    Role.AUDIT_LOG: {"ping": _IDLE},
}
#: What anybody may say who is connected.
FREE = {"auth", "hello", "quit", "reset"}
#: Commands whose keys stand where other words say, on a key that is nobody's.
MOVABLE = {
    "evalsha": "evalsha sha 1 x",
    "xread": "xread streams x 0",
    "xreadgroup": "xreadgroup group g c streams x >",
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that knows every role."""
    with guarded_redis(tmp_path_factory.mktemp("guarded")) as guarded:
        yield guarded


@pytest.fixture(scope="module")
def trace(
    guarded: Guarded, tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> Trace:
    """Let everybody do all their work, and what they do seldom, under their users."""
    folder = tmp_path_factory.mktemp("fleet")
    producer = guarded.url(Role.PRODUCER)
    with traced(guarded.admin_url) as trace, Client(producer) as client:
        wait_in_vain(client)
        ask_whether_it_was_read(producer, trace, wait_until)
        lose_a_message(guarded)
        keep_records(guarded)
        with guarded_fleet(guarded, folder, wait_until) as fleet:
            submit_all_kinds(client)
            submit_nonsense(guarded)
            leave_work_behind(guarded, wait_until)
            choose_an_id(guarded, wait_until)
            count_everything(guarded)
            walk_rare_paths(guarded)
            end_what_nobody_reads(guarded, wait_until)
            with no_room_for_records(guarded):
                ask_people(guarded, client, wait_until)
            ask_two_people(guarded, client, wait_until)
            check_blind(guarded, wait_until)
            run_in_shadow(guarded)
            show_the_dashboard(guarded, tmp_path_factory.mktemp("dashboard"))
            wait_until(
                lambda: fleet.flower_has_seen("task-succeeded"),
                description="Flower saw a batch",
                timeout=60,
            )
            let_flower_ask(fleet, trace, wait_until)
    assert guarded.refused() == []
    assert trace.strangers == []
    return trace


def let_flower_ask(fleet: Running, trace: Trace, wait_until: WaitUntil) -> None:
    """Ask for the workers' page until Flower has waited for a reply, and so looked for lost ones.

    It asks the workers once by itself, and waits for no reply where the machine is so slow that
    the second for it is over by then.
    """

    def has_looked() -> bool:
        fleet.ask_flower("/workers?refresh=1")
        return trace.names(Role.FLOWER, b"ZRANGE")

    wait_until(has_looked, description="Flower has looked for lost messages", timeout=60)


def wait_in_vain(client: Client) -> None:
    """Ask for a job that no router has read."""
    job_id = client.submit(Job(id="early", task="ids", text="4111 1111 1111 1111"))
    with pytest.raises(ResultTimeout):
        client.result(job_id, timeout=0.1)
    assert client.status(job_id).state is State.SUBMITTED


def keep_records(guarded: Guarded) -> None:
    """The audit log's keeper has results recorded from now on, and does what it ever does."""
    with guarded.connect(Role.AUDIT_LOG) as redis:
        assert not check_slices(redis, KEYS, 1, address="")
        stream = RecordStream(redis, KEYS)
        assert stream.open()
        assert stream.is_open
        assert stream.read("", 10) == []
        stream.note_head(b"a checkpoint")
        assert stream.head == b"a checkpoint"


@contextmanager
def no_room_for_records(guarded: Guarded) -> Iterator[None]:
    """Nobody has taken up records for long, so that a worker, a router and a desk count them."""
    fill = "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'void', '0-1') end"
    with guarded.connect() as admin, guarded.connect(Role.AUDIT_LOG) as redis:
        stream, backlog = RecordStream(redis, KEYS), KEYS.backlog("cpu", Priority.INTERACTIVE)
        admin.eval(fill, 1, KEYS.log)
        adding = admin.pipeline(transaction=True)
        adding.xadd(backlog, {"producer": "default", "id": "unkept", "job": "{}", "slip": "{}"})
        adding.xreadgroup(POOL_GROUP, "worker-of-the-drill", {backlog: ">"})
        entry = adding.execute()[0].decode()
        with guarded.connect(CPU) as cpu:
            worker = Ledger(cpu, KEYS, "worker-of-the-drill")
            worker.settle(backlog, POOL_GROUP, [finish_of(entry, "unkept")])
        num_lost = stream.lost
        assert num_lost > 0
        yield
        assert stream.lost > num_lost
        last = stream.read("", 200_000)[-1]
        stream.forget(last.entry)


def ask_whether_it_was_read(url: str, trace: Trace, wait_until: WaitUntil) -> None:
    """Ask as a client does that found an older refusal of an id that it has sent again."""

    def has_seen() -> bool:
        return trace.names(Role.PRODUCER, b"XRANGE")

    async def ask() -> bool:
        transport = RedisTransport(url)
        (entry,) = await transport.add([Job(id="early", task="ids", text="4111 1111 1111 1111")])
        found = await transport.unread([entry])
        # Of whom a connection was, the server tells only as long as it is there.
        await asyncio.to_thread(wait_until, has_seen, description="the trace has it", timeout=60)
        await transport.close()
        return found == {entry}

    assert asyncio.run(ask())


def submit_all_kinds(client: Client) -> None:
    """Answered by rule, by model, by nobody; refused and mended; twice, otherwise, cancelled."""
    jobs = [Job(task=task, text=f"{n}: 4111 1111 1111 1111") for n in range(8) for task in TASKS]
    statuses = {result.status for result in client.map(jobs)}
    assert statuses == {Status.ANSWERED, Status.ABSTAINED}
    for task in ("no_such_task", "no_such_task", "ids"):
        result = client.result(client.submit(Job(id="mended", task=task, text="x")), timeout=60)
    assert result.task == "ids"
    with pytest.raises(IdConflict):
        client.result(client.submit(Job(id="mended", task="similar", text="x")), timeout=60)
    flying = [Job(id="twice", task="similar", text=LONG, reply_to=name) for name in "ab"]
    client.submit_many([*flying, Job(id="twice", task="similar", text="another")])
    with pytest.raises(IdConflict):
        client.result("twice", timeout=60)
    client.submit_many([Job(id="gone", task="similar", text=LONG)])
    for name in ("gone", "never"):
        client.cancel(name)
    assert client.status("twice").state is State.DONE
    assert client.status("never").state is State.UNKNOWN


def submit_nonsense(guarded: Guarded) -> None:
    """Submit what is no job at all."""
    with guarded.connect(Role.PRODUCER) as redis:
        redis.xadd(OWN.jobs, {"job": "{"})


def leave_work_behind(guarded: Guarded, wait_until: WaitUntil) -> None:
    """A worker died a minute ago; a router strikes it off, and takes over what it had in hand."""
    minute_ms = 60_000
    with guarded.connect() as admin:
        entry: Any = admin.xadd(
            BULK, {"producer": "default", "id": "left", "job": "{}", "slip": "{}"}
        )
        admin.xreadgroup(POOL_GROUP, "cpu/host/1/dead", {BULK: ">"})
        admin.xclaim(BULK, POOL_GROUP, "cpu/host/1/dead", 0, [entry], idle=minute_ms)
        seconds, _ = admin.time()
        admin.zadd(KEYS.workers("cpu"), {"cpu/host/1/dead": seconds * 1000 - minute_ms})
        wait_until(lambda: not admin.xrange(BULK, entry, entry), description="it is settled")
        wait_until(lambda: admin.zcard(KEYS.workers("cpu")) == 1, description="it is struck off")


def choose_an_id(guarded: Guarded, wait_until: WaitUntil) -> None:
    """Submit under an id from the future; a router notes the job, and then mends the stream."""
    job = Job(id="far", task="ids", text="4111 1111 1111 1111")
    with guarded.connect(Role.PRODUCER) as redis:
        redis.xadd(OWN.jobs, {"job": job.model_dump_json()}, id="9999999999999-0")
    with guarded.connect() as admin:
        wait_until(
            lambda: admin.xinfo_stream(OWN.jobs)["last-generated-id"] < b"9",
            description="the stream is made anew",
            timeout=30,
        )


def lose_a_message(guarded: Guarded) -> None:
    """A consumer took a message long ago and never started it; the next one puts it back."""
    message: dict[str, Any] = {"headers": {}, "properties": {"delivery_info": {}}}
    with guarded.connect() as admin:
        admin.hset(KEYS.unacked("cpu"), "lost", json.dumps([message, "", "cpu"]))
        admin.zadd(KEYS.unacked_index("cpu"), {"lost": 0.0})


def count_everything(guarded: Guarded) -> None:
    """Count as KEDA and as the exporter do, where there is no group, and where one has a gap."""
    streams = {OWN.jobs: ROUTER_GROUP, KEYS.escalations: ROUTER_GROUP, BULK: POOL_GROUP}
    with guarded.connect(Role.SCALER) as scaler:
        # As KEDA's client does when it connects.
        scaler.ping()
        for stream, group in streams.items():
            for how in ({"lagCount": "1"}, {}):
                count(scaler, {"stream": stream, "consumerGroup": group, **how})
            count(scaler, {"stream": stream, "consumerGroup": "nobody's", "lagCount": "1"})
    with guarded.connect() as admin:
        admin.xgroup_create("{sf:0}:backlog:empty:bulk", POOL_GROUP, id="0", mkstream=True)
        for _ in range(2):
            entry: Any = admin.xadd("{sf:0}:backlog:empty:bulk", {"id": "x"})
        admin.xdel("{sf:0}:backlog:empty:bulk", entry)
    with guarded.connect(Role.EXPORTER) as exporter:
        lists = CeleryLists(exporter, KEYS)
        assert list(
            Fleet(
                [Slice(exporter, KEYS)],
                lists,
                lambda: catalogue_with("empty"),
                lambda: check_slices(exporter, KEYS, 1, address=""),
            ).collect()
        )
    with guarded.connect() as admin:
        admin.delete("{sf:0}:backlog:empty:bulk")


def walk_rare_paths(guarded: Guarded) -> None:
    """What the ledger does where something has gone wrong, as a router and as a worker."""
    with guarded.connect(Role.ROUTER) as redis:
        router = Ledger(redis, KEYS, "router-of-the-drill")
        with guarded.connect() as admin:
            admin.xgroup_createconsumer(KEYS.escalations, ROUTER_GROUP, "long-gone")
        router.tidy([KEYS.escalations], ROUTER_GROUP, idle=-HOUR)
        move_what_is_misplaced(guarded, router)
        bury_more_than_is_kept(guarded, redis)
        assert router.lives.end_of("cpu/host/1/abc") is None
        watch_drift(guarded, router, Slice(redis, KEYS))
    with guarded.connect(CPU) as redis:
        worker = Ledger(redis, KEYS, "worker-of-the-drill")
        worker.lives.note_end("host/1", "RuntimeError")
        assert worker.audits.broken({"tone": "0" * 16}) == frozenset()
        assert worker.alarms.standing() == {}


def watch_drift(guarded: Guarded, router: Ledger, first: Slice) -> None:
    """Judge, say what was found, and let everybody read it who goes by it."""
    assert router.alarms.may_judge()
    assert read_seen(first, [Period("2026-01-01")])
    router.alarms.say({"tone": StandingAlarm(promise="0" * 16, since_ms=1)})
    for role in (Role.EXPORTER, Role.DESK):
        with guarded.connect(role) as redis:
            assert set(Alarms(redis, KEYS).standing()) == {"tone"}
    assert set(router.alarms.standing()) == {"tone"}
    router.alarms.say({})


def end_what_nobody_reads(guarded: Guarded, wait_until: WaitUntil) -> None:
    """A job is past its deadline that waits, unread, for a pool which is not in the catalogue."""
    with guarded.connect() as admin:
        stream = "{sf:0}:backlog:resting:bulk"
        admin.xgroup_create(stream, POOL_GROUP, id="0", mkstream=True)
        entry: Any = admin.xadd(
            stream, {"producer": "default", "id": "overdue", "job": "{}", "slip": "{}"}
        )
        admin.hset(OWN.job("overdue"), mapping={"origin": "1-1", "at": stream, "entry": entry})
        admin.zadd(KEYS.due, {"default:overdue": 0})
        wait_until(lambda: admin.exists(OWN.result("overdue")), description="the job has ended")
        assert admin.xlen(stream) == 0


def bury_more_than_is_kept(guarded: Guarded, redis: Redis) -> None:
    """Refuse a submission where nothing of it may be kept."""
    router = Ledger(redis, KEYS, "router-that-keeps-nothing", Bounds(max_dead_bytes=0))
    with guarded.connect() as admin:
        adding = admin.pipeline(transaction=True)
        adding.xadd(OWN.jobs, {"job": "{"})
        adding.xreadgroup(ROUTER_GROUP, "router-that-keeps-nothing", {OWN.jobs: ">"})
        entry, _ = adding.execute()
    letter = dead_letter(b"{", "not_json", producer="default")
    refusal = Refuse(entry=entry.decode(), producer="default", letter=letter, raw=b"{")
    assert router.settle(OWN.jobs, ROUTER_GROUP, [refusal]).results == 1


def move_what_is_misplaced(guarded: Guarded, router: Ledger) -> None:
    """Send a job back to triage that waits for a pool which is not in the catalogue any more."""
    stream = "{sf:0}:backlog:removed:bulk"
    with guarded.connect() as admin:
        adding = admin.pipeline(transaction=True)
        adding.xgroup_create(stream, POOL_GROUP, id="0", mkstream=True)
        adding.xadd(stream, {"producer": "default", "id": "moved", "job": "{}", "slip": "{}"})
        adding.xreadgroup(POOL_GROUP, "router-of-the-drill", {stream: ">"})
        _, entry, _ = adding.execute()
    move = Move(
        entry=entry.decode(), job_id="moved", job=b"{}", slip=slip_for(), to=KEYS.escalations
    )
    assert router.settle(stream, POOL_GROUP, [move]).moves == 1
    router.drop_empty("removed")


@pytest.mark.parametrize("user", USERS)
def test_no_right_is_granted_that_nobody_uses(guarded: Guarded, trace: Trace, user: str) -> None:
    """Without any one of its rights a user would be refused something that it asked."""
    calls = trace.of(user)
    with guarded.connect() as redis:
        assert refusals(redis, all_grants(user, "sf"), calls) == []
        idle = [
            (right, where)
            for right, where, grants in narrowings(all_grants(user, "sf"))
            if right not in RARE[user] and not refusals(redis, grants, calls)
        ]
    assert idle == []


@pytest.mark.parametrize("user", USERS)
def test_a_neighbour_s_keys_are_refused(guarded: Guarded, trace: Trace, user: str) -> None:
    """Whatever a user asks of its own fleet, it may not ask of another in the same Redis."""
    own = (b"sf:", b"{sf:")
    calls = [call for call in trace.of(user) if any(word.startswith(own) for word in call)]
    theirs = [tuple(word.replace(b"sf:", b"other:") for word in call) for call in calls]
    assert theirs
    with guarded.connect() as redis:
        assert refusals(redis, all_grants(user, "sf"), theirs) == theirs


@pytest.mark.parametrize("user", USERS)
def test_every_other_command_is_refused(guarded: Guarded, user: str) -> None:
    """Of all that this Redis knows, a user may ask what its rules name, on no key but its own."""
    granted = {word for grant in all_grants(user, "sf") for word in grant.commands.split()}
    with guarded.connect() as redis:
        commands = list(every_command(redis))
        refused = refusals(redis, all_grants(user, "sf"), [call for _, _, call in commands])
    allowed = {(name, has_keys) for name, has_keys, call in commands if call not in refused}
    assert len(refused) > 200
    assert {name for name, _ in allowed} - granted <= FREE
    assert [name for name, has_keys in allowed if has_keys] == []


def every_command(redis: Redis) -> Iterator[tuple[str, bool, Call]]:
    """Give each command of a server, whether it names keys, and a call of it on nobody's key."""
    connection: Any = redis.connection_pool.get_connection()
    connection.send_command("COMMAND")
    for about in connection.read_response():
        yield from _calls_of(about)
    redis.connection_pool.release(connection)


def _calls_of(about: Any) -> Iterator[tuple[str, bool, Call]]:
    name, arity, keys, subcommands = about[0].decode(), abs(about[1]), about[8], about[9]
    if not subcommands:
        words = name.split("|")
        words = MOVABLE.get(name, " ".join([*words, *"x" * (arity - len(words))])).split()
        yield name, bool(keys), tuple(word.encode() for word in words)
    for one in subcommands:
        yield from _calls_of(one)
