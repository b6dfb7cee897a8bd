"""A whole fleet on one machine, as one thing to open and close.

It owns which processes there are, and the order they start and stop in. How one process is kept
alive is `supervision`'s.
"""

import http.client
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.checking import check_catalogue
from smallfirst.catalogue.placement import engines_by_pool
from smallfirst.jobs import Tier
from smallfirst.ledger.holders import process_here, process_of
from smallfirst.ledger.keys import ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.local.cores import usable_cores
from smallfirst.local.desk_account import DeskAccount, desk_account
from smallfirst.local.errors import NotReadyError
from smallfirst.local.folder import only_fleet_in
from smallfirst.local.processes import Child, Command
from smallfirst.local.redis_server import RedisServer, free_port
from smallfirst.local.supervision import Supervisor
from smallfirst.process.announcement import Addresses, announced
from smallfirst.process.installed import can_run_desk, can_run_flower

#: How patiently each part is stopped. A worker finishes the batch in its hands. Flower has nothing
#: in hand, and 2.2 stays for minutes after it has said that it shuts down.
ROUTER_GRACE, WORKER_GRACE, FLOWER_GRACE = (timedelta(seconds=s) for s in (10, 30, 0))
DESK_GRACE = timedelta(seconds=10)
#: It shows what happens and changes nothing; arguments and results tell sizes, never texts.
#: The chart has the same; a test holds the two together.
FLOWER_OPTIONS = (
    "--read_only=True",
    "--max_tasks=10000",
    "--tasks_columns=state,name,runtime,worker,received,result,args,uuid,started",
)
#: What no process of the fleet is told: two cannot share a port of metrics, nor a folder of health,
#: and one Redis has no use for several slices, whatever another fleet's producers here are told.
NOT_PASSED_ON = frozenset({"SMALLFIRST_METRICS_PORT", "SMALLFIRST_HEALTH_DIR", "SMALLFIRST_SLICES"})
#: How long Flower must live to count as started where it does not answer: a fleet works without.
_STEADY_SECONDS = 5.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Part:
    """How much of one part of the fleet is alive. A slow one takes long to start: a large model."""

    name: str
    live: int
    wanted: int
    is_slow: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether all of it is."""
        return self.live >= self.wanted


class LocalFleet:
    """Redis, routers, SLM workers, Flower and a review desk on this machine; no more is needed.

    Args:
        catalogue_path: What the fleet serves.
        folder: For Redis's data, logs and the address file.
        routers: How many replicas.
        slm_processes: Workers of each SLM pool that has a model, one thread each; as many as there
            are cores where left out.
        flower: Whether to start Flower, where it is installed.
        redis_port: Where left out, the one that this folder's Redis had before, else a free one.
        flower_port: A free one where left out.
        desk_port: Of the review desk, which is there where a task asks a person; the same.
        persistent: Whether jobs survive a restart of the fleet.
    """

    def __init__(  # noqa: PLR0913 - a port for each part that has one
        self,
        catalogue_path: Path,
        folder: Path,
        *,
        routers: int = 1,
        slm_processes: int | None = None,
        flower: bool = True,
        desk: bool = True,
        redis_port: int | None = None,
        flower_port: int | None = None,
        desk_port: int | None = None,
        persistent: bool = True,
    ) -> None:
        self.folder = folder.absolute()
        self._catalogue_path = catalogue_path.absolute()
        self._num_routers = routers
        self._num_workers = slm_processes or usable_cores()
        self._flower_port = flower_port
        self._wants_flower = flower and can_run_flower()
        self._wants_desk = desk and can_run_desk()
        self._desk_port = desk_port
        #: Who may sign in at the desk that was started.
        self.desk_account: DeskAccount | None = None
        self._redis_port = redis_port
        self._persistent = persistent
        self._keys = Keys()
        self._redis: Redis | None = None
        self._resources = ExitStack()
        #: The heartbeat key of each child that beats.
        self._beats: dict[str, str] = {}
        self._part_of: dict[str, str] = {}
        self._slow_parts: set[str] = set()
        self._supervisor = Supervisor(self.logs, self._has_started, self._note_exit)
        self.addresses: Addresses | None = None
        #: The port that its Redis had before, where another program has it now.
        self.lost_port: int | None = None
        self.is_stopping = False

    @property
    def logs(self) -> Path:
        """Where each process's output stands."""
        return self.folder / "logs"

    @property
    def redis_url(self) -> str:
        """Where the fleet's Redis is; an error before `open`."""
        assert self.addresses is not None, "the fleet is not open"
        return self.addresses.redis_url

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def open(self) -> None:
        """Start every process; they are not ready yet (`wait_ready`).

        Raises:
            CatalogueError: When the catalogue is wrong, or asks of its models what they cannot.
            LocalFleetError: When Redis is missing, or the folder is another fleet's.
        """
        catalogue = check_catalogue(self._catalogue_path).unwrap()
        with ExitStack() as opening:
            opening.enter_context(only_fleet_in(self.folder))
            self._supervisor.open()
            opening.callback(self._supervisor.close)
            server = self._start_redis(opening)
            self.addresses = self._addresses(server.url, catalogue)
            self._start_flower(opening, catalogue)
            self._start_desk(opening)
            self._start_workers(opening, catalogue)
            self._start_routers(opening)
            opening.enter_context(announced(self.addresses))
            self._resources = opening.pop_all()

    def stop(self) -> None:
        """Drain and end everything, in the order opposite to the start's.

        The routers let go, the workers finish what they have in hand, and Redis writes it down.
        """
        self.is_stopping = True
        self._resources.close()

    def hurry(self) -> None:
        """Let `stop` wait for nobody: what is in hand is done again at the next start."""
        self._supervisor.hurry.set()

    def check(self) -> None:
        """See that nothing was given up.

        Raises:
            ChildFailedError: When a process could not be kept running.
        """
        if self._supervisor.failure is not None:
            raise self._supervisor.failure

    def children(self) -> dict[str, Child]:
        """The processes that there are, by name, `redis` among them."""
        return self._supervisor.children()

    def parts(self) -> list[Part]:
        """How much of the fleet is alive, in the order of its start."""
        started = self._supervisor.started()
        names = dict.fromkeys(self._part_of[child] for child in started)
        return [
            Part(
                name,
                sum(up for child, up in started.items() if self._part_of[child] == name),
                sum(self._part_of[child] == name for child in started),
                is_slow=name in self._slow_parts,
            )
            for name in names
        ]

    def wait_ready(
        self,
        timeout: timedelta = timedelta(minutes=5),
        on_progress: Callable[[list[Part]], None] = lambda _: None,
        *,
        with_slow: bool = True,
    ) -> None:
        """Wait until every part is alive.

        Args:
            timeout: The first start trains the tasks' heads, which takes a while.
            on_progress: Called every tenth of a second with what is there so far.
            with_slow: Whether to wait for large models too; the rest of the fleet works meanwhile.

        Raises:
            ChildFailedError: When a process could not be started.
            NotReadyError: When it took too long.
        """
        until = monotonic() + timeout.total_seconds()
        pause = Event()
        while True:
            parts = self.parts()
            # Afterwards: what was given up meanwhile is none of the parts, and no part is missing.
            self.check()
            on_progress(parts)
            missing = tuple(
                f"{part.name} {part.live}/{part.wanted}"
                for part in parts
                if not part.is_ready and (with_slow or not part.is_slow)
            )
            if not missing:
                return
            if monotonic() > until:
                raise NotReadyError(missing, timeout.total_seconds(), self.logs)
            pause.wait(_POLL_SECONDS)

    def _start_redis(self, opening: ExitStack) -> RedisServer:
        server = RedisServer.start(
            self.folder / "redis", port=self._redis_port, persistent=self._persistent
        )
        self.lost_port = server.lost_port
        self._part_of["redis"] = "redis"
        self._supervisor.adopt(server.child)
        opening.callback(self._supervisor.stop, ["redis"])
        self._redis = opening.enter_context(Redis.from_url(server.url, socket_timeout=1))
        return server

    def _start_flower(self, opening: ExitStack, catalogue: Catalogue) -> None:
        assert self.addresses is not None
        if self.addresses.flower_url is None:
            return
        port = self.addresses.flower_url.rpartition(":")[2]
        place = ("--address=127.0.0.1", f"--port={port}")
        module = ("celery", "-A", "smallfirst.watch", "flower", *FLOWER_OPTIONS, *place)
        extra = {"SMALLFIRST_FLOWER_POOLS": ",".join(catalogue.pools)}
        self._start(opening, "flower", ["flower"], module, extra, grace=FLOWER_GRACE)

    def _start_desk(self, opening: ExitStack) -> None:
        assert self.addresses is not None
        if self.addresses.desk_url is None:
            return
        self.desk_account = desk_account(self.folder)
        port = self.addresses.desk_url.rpartition(":")[2]
        told = {"SMALLFIRST_DESK_HOST": "127.0.0.1", "SMALLFIRST_DESK_PORT": port}
        told["SMALLFIRST_DESK_ANSWERS"] = str(self.folder / "answers")
        extra = {**told, **self.desk_account.variables}
        self._start(opening, "desk", ["desk"], ("smallfirst_desk",), extra, grace=DESK_GRACE)

    def _start_workers(self, opening: ExitStack, catalogue: Catalogue) -> None:
        for pool, engines in engines_by_pool(catalogue).items():
            if any(engine.is_left_out for engine in engines):
                continue
            if any(engine.is_heavy for engine in engines):
                self._slow_parts.add(_part_of_pool(pool))
            is_small = catalogue.pools[pool].tier is Tier.SLM
            self._start_pool(opening, pool, self._num_workers if is_small else 1)

    def _start_pool(self, opening: ExitStack, pool: str, num_workers: int) -> None:
        children = [f"worker-{pool}-{number + 1}" for number in range(num_workers)]
        self._beats |= dict.fromkeys(children, self._keys.workers(pool))
        extra = {"SMALLFIRST_POOL": pool, "SMALLFIRST_THREADS": "1"}
        module = ("smallfirst_workers",)
        self._start(opening, _part_of_pool(pool), children, module, extra, grace=WORKER_GRACE)

    def _start_routers(self, opening: ExitStack) -> None:
        children = [f"router-{number + 1}" for number in range(self._num_routers)]
        self._beats |= dict.fromkeys(children, self._keys.workers(ROUTERS))
        self._start(opening, "router", children, ("smallfirst_router",), grace=ROUTER_GRACE)

    def _start(
        self,
        opening: ExitStack,
        part: str,
        children: list[str],
        module: tuple[str, ...],
        extra: dict[str, str] | None = None,
        *,
        grace: timedelta,
    ) -> None:
        """Start the processes of one part, and register their end."""
        opening.callback(self._supervisor.stop, children)
        for child in children:
            self._part_of[child] = part
            command = Command(
                name=child,
                arguments=(sys.executable, "-m", *module),
                environment=self.environment_of(child) | (extra or {}),
                grace=grace,
                death_signal=signal.SIGKILL,
            )
            self._supervisor.start(command, is_essential=part not in {"flower", "desk"})

    def environment_of(self, child: str) -> dict[str, str]:
        """What a process is told: this process's own settings, and where the fleet is."""
        return {
            **{name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON},
            "PYTHONUNBUFFERED": "1",
            # A file in the working folder must not stand in for a module of the same name.
            "PYTHONSAFEPATH": "1",
            "SMALLFIRST_LOG_FORMAT": os.environ.get("SMALLFIRST_LOG_FORMAT", "json"),
            "SMALLFIRST_REDIS_URL": self.redis_url_of(child),
            "SMALLFIRST_NAMESPACE": self._keys.namespace,
            "SMALLFIRST_CATALOGUE": str(self._catalogue_path),
        }

    def redis_url_of(self, child: str) -> str:  # noqa: ARG002 - for who leads each by its own link
        """Where one process finds Redis."""
        return self.redis_url

    def _addresses(self, redis_url: str, catalogue: Catalogue) -> Addresses:
        port = self._flower_port or free_port()
        asks_people = any(task.person_step or task.audit for task in catalogue.tasks.values())
        has_desk = self._wants_desk and asks_people
        return Addresses(
            redis_url=redis_url,
            namespace=self._keys.namespace,
            catalogue=str(self._catalogue_path),
            folder=str(self.folder),
            flower_url=f"http://127.0.0.1:{port}" if self._wants_flower else None,
            pid=os.getpid(),
            desk_url=f"http://127.0.0.1:{self._desk_port or free_port()}" if has_desk else None,
        )

    def _has_started(self, child: Child) -> bool:
        """Whether a child's heartbeat is there, or Flower or the desk answers."""
        beats = self._beats.get(child.command.name)
        if child.command.name == "flower" and monotonic() - child.started_at > _STEADY_SECONDS:
            return True
        if beats is None:
            return self._answers(child)
        process = process_here(child.pid)
        try:
            holders: Any = self._redis.zrange(beats, 0, -1) if self._redis else ()
        except RedisError:
            return False
        return any(process_of(holder.decode()) == process for holder in holders)

    def _note_exit(self, child: Child, exit_code: int) -> None:
        """Leave word of how a process died, for the dead letter of a job that killed it."""
        with suppress(RedisError):
            if self._redis:
                ledger = Ledger(self._redis, self._keys, "supervisor")
                ledger.lives.note_end(process_here(child.pid), words_of(exit_code))

    def _answers(self, child: Child) -> bool:
        """Whether Flower, or the desk, answers."""
        assert self.addresses is not None
        is_desk = child.command.name == "desk"
        url = self.addresses.desk_url if is_desk else self.addresses.flower_url
        path = "/healthz" if is_desk else "/healthcheck"
        connection = http.client.HTTPConnection((url or "").removeprefix("http://"), timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


def words_of(exit_code: int) -> str:
    """Say how a process ended: a negative code is a signal's number."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


def _part_of_pool(pool: str) -> str:
    return f"workers of {pool}"
