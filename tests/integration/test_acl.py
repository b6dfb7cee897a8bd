"""Every component does its whole work under its own user of Redis, and is refused the rest."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from tests.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.acl import Role, acl_file, rules
from smallfirst.client.transports import State
from smallfirst.exporter import Fleet
from smallfirst.jobs import Status
from smallfirst.keys import POOL_GROUP, ROUTER_GROUP, ROUTERS, Keys
from smallfirst.ledger import Ledger
from smallfirst.local.redis_server import RedisServer, find_binary, free_port, version_of

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
    ),
]

KEYS = Keys()
BULK = "sf:backlog:cpu:bulk"
CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  ids:
    kind: tag
    labels: {card: a card}
    cascade: [{rule: {find: [card]}, accept: always}]
  similar:
    kind: embed
    cascade: [{model: minilm}]
"""


@dataclass(frozen=True)
class Guarded:
    """A Redis with the users of an access control file."""

    port: int
    passwords: Mapping[Role, str]

    def url(self, role: Role) -> str:
        """Where a role connects."""
        return f"redis://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/0"

    def connect(self, role: Role | None = None) -> Redis:
        """Connect as a role, or as whoever started the server."""
        return Redis.from_url(self.url(role) if role else f"redis://127.0.0.1:{self.port}/0")

    def refused(self) -> list[tuple[str, str, str]]:
        """Who was refused what, since the last time somebody asked."""
        with self.connect() as redis:
            found: Any = redis.acl_log()
            redis.execute_command("ACL", "LOG", "RESET")
        return [(one["username"], one["reason"], one["object"]) for one in found]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that knows every role, and still the one who started it."""
    with RedisServer(tmp_path_factory.mktemp("guarded"), persistent=False) as server:
        guarded = Guarded(server.port, {role: f"pass-of-{role}" for role in Role})
        with guarded.connect() as redis:
            for role, password in guarded.passwords.items():
                redis.execute_command(
                    "ACL", "SETUSER", role, "on", f">{password}", *rules(role, "sf")
                )
        yield guarded


@dataclass(frozen=True)
class Running:
    """A fleet whose parts each have a user of their own."""

    redis: Guarded
    flower_port: int

    def flower_has_seen(self, event: str) -> bool:
        """Whether Flower counts events of a kind."""
        try:
            with urlopen(f"http://127.0.0.1:{self.flower_port}/metrics", timeout=5) as page:
                return f'type="{event}"' in page.read().decode()
        except OSError:
            return False


@pytest.fixture
def fleet(guarded: Guarded, tmp_path: Path, wait_until: WaitUntil) -> Iterator[Running]:
    """A router, a worker and Flower, each under its own user."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    running = Running(guarded, free_port())
    flower = ("celery", "-A", "smallfirst.watch", "flower", "--address=127.0.0.1")
    modules = {
        Role.FLOWER: (*flower, f"--port={running.flower_port}", "--read_only=True"),
        Role.ROUTER: ("smallfirst_router",),
        Role.WORKER: ("smallfirst_workers",),
    }
    with ExitStack() as ending, guarded.connect() as redis:
        for role, module in modules.items():
            log = ending.enter_context((tmp_path / f"{role}.log").open("wb"))
            own = {"SMALLFIRST_REDIS_URL": guarded.url(role), "SMALLFIRST_POOL": "cpu"}
            place = {"SMALLFIRST_CATALOGUE": str(tmp_path / "catalogue.yaml")}
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env={**os.environ, **own, **place},
                stdout=log,
                stderr=log,
            )
            # Flower 2.2 stays for minutes after it was told to go.
            ending.callback(_kill if role is Role.FLOWER else _end, process)
        wait_until(
            lambda: redis.zcard(KEYS.workers(ROUTERS)) and redis.zcard(KEYS.workers("cpu")),
            description="router and worker live",
            timeout=120,
        )
        wait_until(redis.pubsub_numpat, description="Flower listens", timeout=60)
        yield running
    said = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert not [password for password in guarded.passwords.values() if password in said]


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_the_whole_work_is_done_without_a_refusal(fleet: Running, wait_until: WaitUntil) -> None:
    """Submit, answer, refuse, cancel, join, look for, watch, count: nobody asks for more."""
    with Client(fleet.redis.url(Role.PRODUCER)) as client:
        jobs = [Job(task="similar", text=f"parcel {n}") for n in range(50)]
        jobs += [Job(id="twice", task="ids", text="4111 1111 1111 1111")] * 2
        answers = list(client.map(jobs))
        assert {result.status for result in answers} == {Status.ANSWERED}
        refused = client.result(client.submit(Job(task="no_such_task", text="x")), timeout=20)
        assert refused.status is Status.REFUSED
        client.cancel("twice")
        assert client.status("twice").state is State.DONE
        assert client.status("never-seen").state is State.UNKNOWN
    wait_until(
        lambda: fleet.flower_has_seen("task-succeeded"),
        description="Flower saw a batch",
        timeout=30,
    )
    with fleet.redis.connect(Role.SCALER) as scaler:
        groups: Any = scaler.xinfo_groups(BULK)
        assert [group["name"] for group in groups] == [POOL_GROUP.encode()]
        assert scaler.xpending(KEYS.jobs, ROUTER_GROUP)["pending"] == 0
    with fleet.redis.connect(Role.EXPORTER) as exporter:
        metrics = {metric.name for metric in Fleet(exporter, KEYS, lambda: ["cpu"]).collect()}
    assert {"smallfirst_jobs_unread", "smallfirst_attempts", "smallfirst_workers"} <= metrics
    assert fleet.redis.refused() == []


@pytest.mark.parametrize(
    ("role", "command"),
    [
        (Role.PRODUCER, ("LPUSH", "sf:celery:cpu", "null")),
        (Role.PRODUCER, ("SET", "sf:result:a1", "{}")),
        (Role.PRODUCER, ("XADD", BULK, "*", "a", "b")),
        (Role.PRODUCER, ("XADD", KEYS.escalations, "*", "a", "b")),
        (Role.PRODUCER, ("XDEL", KEYS.jobs, "1-1")),
        (Role.PRODUCER, ("XRANGE", KEYS.dead, "-", "+")),
        (Role.PRODUCER, ("EVAL", "return 1", "0")),
        (Role.ROUTER, ("BRPOP", "sf:celery:cpu", "1")),
        (Role.ROUTER, ("GET", "sf:dead:1-1")),
        (Role.WORKER, ("XADD", KEYS.jobs, "*", "job", "{}")),
        (Role.WORKER, ("LPUSH", "sf:celery:cpu", "null")),
        (Role.WORKER, ("XREADGROUP", "GROUP", "pool", "w", "STREAMS", BULK, ">")),
        (Role.WORKER, ("GET", "sf:dead:1-1")),
        (Role.FLOWER, ("XRANGE", KEYS.jobs, "-", "+")),
        (Role.FLOWER, ("GET", "sf:result:a1")),
        (Role.FLOWER, ("LPUSH", "sf:celery:cpu", "null")),
        (Role.SCALER, ("XRANGE", KEYS.jobs, "-", "+")),
        (Role.SCALER, ("XADD", KEYS.jobs, "*", "job", "{}")),
        (Role.EXPORTER, ("XRANGE", KEYS.jobs, "-", "+")),
        (Role.EXPORTER, ("XRANGE", KEYS.dead, "-", "+")),
        (Role.EXPORTER, ("GET", "sf:result:a1")),
        (Role.EXPORTER, ("DEL", KEYS.booked("2026-01-01"))),
        *(
            (role, (command,))
            for role in Role
            for command in ("FLUSHALL", "KEYS *", "CONFIG GET *")
        ),
    ],
)
def test_what_is_not_its_work_is_refused(
    guarded: Guarded, role: Role, command: tuple[str, ...]
) -> None:
    """Nobody reads or writes beyond its own work, and nobody administers."""
    words = command if len(command) > 1 else command[0].split()
    with guarded.connect(role) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*words)
    assert [name for name, _, _ in guarded.refused()] == [role]


@contextmanager
def server_with(acl: str, folder: Path, wait_until: WaitUntil) -> Iterator[int]:
    """Start a server that writes everything down, with a file of users; give its port."""
    (folder / "users.acl").write_text(acl)
    port = free_port()
    command = [find_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", "", "--aclfile", str(folder / "users.acl")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(
            lambda: b"Ready to accept" in (folder / "log").read_bytes(), description="it is up"
        )
        yield port
    finally:
        server.terminate()
        server.wait(20)


def test_the_file_lets_in_whom_it_names_alone(tmp_path: Path, wait_until: WaitUntil) -> None:
    """As Redis reads it: by the password's hash; nobody nameless, and nobody left out."""
    written = acl_file("sf", {Role.PRODUCER: "a long secret"})
    assert "secret" not in written
    with server_with(written, tmp_path, wait_until) as port:
        with Redis.from_url(f"redis://producer:a%20long%20secret@127.0.0.1:{port}") as redis:
            assert redis.xlen(KEYS.jobs) == 0
        for stranger in ("producer:another@", "worker:a%20long%20secret@", "default:@", ""):
            with (
                Redis.from_url(f"redis://{stranger}127.0.0.1:{port}") as redis,
                pytest.raises(AuthenticationError),
            ):
                redis.ping()


def test_a_restart_under_the_file_loses_nothing(tmp_path: Path, wait_until: WaitUntil) -> None:
    """What scripts and transactions wrote is read back, though nobody may connect nameless."""
    written = acl_file("sf", {Role.ROUTER: "secret"})
    held: list[int] = []
    for _ in range(2):
        with (
            server_with(written, tmp_path, wait_until) as port,
            Redis.from_url(f"redis://router:secret@127.0.0.1:{port}") as redis,
        ):
            held.append(Ledger(redis, KEYS, f"router-{len(held)}").beat(ROUTERS))
    assert held == [1, 2]
