"""A Redis with a user for each role, and a fleet whose parts each have their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from redis import ConnectionPool, Redis
from tests.support.waiting import WaitUntil

from smallfirst.catalogue import Catalogue
from smallfirst.ledger.keys import ROUTERS, Keys
from smallfirst.local.redis_server import RedisServer, find_binary, free_port
from smallfirst.redis_access.acl import rules
from smallfirst.redis_access.users import Role, producer_user, worker_user

KEYS = Keys()
#: A producer besides `default`.
PRODUCER = "shop"
#: A server that is starved of its processor takes its time.
PATIENCE_SECONDS = 60
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
    audit: 1.0
  similar:
    kind: embed
    cascade: [{model: minilm}]
  mood:
    kind: classify
    labels: {glad: glad, sad: sad}
    examples: mood.jsonl
    cascade: [{model: minilm, accept: 0.999999}]
  tone:
    kind: classify
    labels: {glad: glad, sad: sad}
    examples: mood.jsonl
    cascade: [{model: minilm}]
    audit: 1.0
  asked:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{person: {wait: 1h}}]
  twice:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{person: {wait: 1h, reviewers: 2}}]
"""
#: Of whom nobody can be as sure as the step asks.
EXAMPLES = [
    ("glad", "Lovely, thank you"),
    ("sad", "What a pity"),
    ("glad", "So good"),
    ("sad", "Oh no"),
]


def catalogue_with(*pools: str) -> Catalogue:
    """Read the fleet's catalogue but for its examples, with some pools more that no model fits."""
    read = yaml.safe_load(CATALOGUE)
    read["pools"] |= {name: {"tier": "llm", "max_parameters": "1M"} for name in pools}
    del read["tasks"]["mood"], read["tasks"]["tone"]
    return Catalogue.model_validate(read)


@dataclass(frozen=True)
class Guarded:
    """A Redis with the users of an access control file."""

    port: int
    passwords: Mapping[str, str]
    _pools: dict[str | None, ConnectionPool] = field(default_factory=dict, repr=False)

    def url(self, user: str) -> str:
        """Where a user connects."""
        return f"redis://{user}:{self.passwords[user]}@127.0.0.1:{self.port}/0"

    @property
    def admin_url(self) -> str:
        """Where whoever started the server connects."""
        return f"redis://127.0.0.1:{self.port}/0"

    def connect(self, user: str | None = None) -> Redis:
        """Connect as a user, or as whoever started the server; KEDA's client tells no name.

        Connections stay open when a client is closed: whose one was, the server tells only as long
        as it is there, and a trace of the server asks a moment later.
        """
        if user not in self._pools:
            name = None if user in (None, Role.SCALER) else f"smallfirst-{user}"
            self._pools[user] = ConnectionPool.from_url(
                self.url(user) if user else self.admin_url,
                client_name=name,
                socket_timeout=PATIENCE_SECONDS,
            )
        return Redis(connection_pool=self._pools[user])

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.disconnect()

    def refused(self) -> list[tuple[str, str, str]]:
        """Who was refused what, since the last time somebody asked."""
        with self.connect() as redis:
            found: Any = redis.acl_log()
            redis.execute_command("ACL", "LOG", "RESET")
        return [(one["username"], one["reason"], one["object"]) for one in found]


@contextmanager
def guarded_redis(folder: Path) -> Iterator[Guarded]:
    """A server that knows every role and one more producer, and still who started it."""
    with RedisServer(folder, persistent=False) as server, ExitStack() as ending:
        users = [*Role, producer_user(PRODUCER), worker_user("cpu")]
        guarded = Guarded(server.port, {user: f"pass-of-{user}" for user in users})
        ending.callback(guarded.close)
        with guarded.connect() as redis:
            for user, password in guarded.passwords.items():
                redis.execute_command(
                    "ACL", "SETUSER", user, "on", f">{password}", *rules(user, "sf")
                )
        yield guarded


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


@dataclass(frozen=True)
class Running:
    """A fleet whose parts each have a user of their own."""

    redis: Guarded
    folder: Path
    flower_port: int
    processes: "dict[Role, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self, role: Role) -> None:
        """Start a part, in the place of the one before it."""
        flower = ("celery", "-A", "smallfirst.watch", "flower", "--address=127.0.0.1")
        modules = {
            Role.FLOWER: (*flower, f"--port={self.flower_port}", "--read_only=True"),
            Role.ROUTER: ("smallfirst_router",),
            Role.WORKER: ("smallfirst_workers",),
        }
        user = worker_user("cpu") if role is Role.WORKER else role
        own = {"SMALLFIRST_REDIS_URL": self.redis.url(user), "SMALLFIRST_POOL": "cpu"}
        own["SMALLFIRST_PRODUCERS"] = json.dumps({PRODUCER: 1})
        place = {"SMALLFIRST_CATALOGUE": str(self.folder / "catalogue.yaml")}
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                [sys.executable, "-m", *modules[role]],
                env={**os.environ, **own, **place},
                stdout=log,
                stderr=log,
            )

    def end(self, role: Role) -> None:
        """Tell a part to go, and wait until it has gone."""
        self.processes[role].send_signal(signal.SIGTERM)
        assert self.processes[role].wait(60) == 0

    def kill(self, role: Role) -> None:
        """Take a part away in the midst of its work."""
        self.processes[role].kill()
        self.processes[role].wait()

    def flower_has_seen(self, event: str) -> bool:
        """Whether Flower counts events of a kind."""
        with suppress(OSError):
            return f'type="{event}"' in self.ask_flower("/metrics")
        return False

    def ask_flower(self, path: str) -> str:
        """Get a page of Flower's."""
        with urlopen(f"http://127.0.0.1:{self.flower_port}{path}", timeout=5) as page:
            return str(page.read().decode())


@contextmanager
def guarded_fleet(guarded: Guarded, folder: Path, wait_until: WaitUntil) -> Iterator[Running]:
    """A router, a worker and Flower, each under its own user; no password is in what they say."""
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    rows = [json.dumps({"text": text, "label": label}) for label, text in EXAMPLES]
    (folder / "mood.jsonl").write_text("".join(f"{row}\n" for row in rows))
    running = Running(guarded, folder, free_port())
    with ExitStack() as ending, guarded.connect() as redis:
        for role in (Role.FLOWER, Role.ROUTER, Role.WORKER):
            running.start(role)
            # Flower 2.2 stays for minutes after it was told to go.
            ending.callback(running.kill if role is Role.FLOWER else running.end, role)
        wait_until(
            lambda: redis.zcard(KEYS.workers(ROUTERS)) and redis.zcard(KEYS.workers("cpu")),
            description="router and worker live",
            timeout=120,
        )
        wait_until(redis.pubsub_numpat, description="Flower listens", timeout=60)
        yield running
    said = "".join(path.read_text() for path in folder.glob("*.log"))
    assert not [password for password in guarded.passwords.values() if password in said]
