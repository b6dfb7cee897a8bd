"""Strikes at a fleet at random: what `chaos` does to one, and how long each fault is felt."""

import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

import psutil
from redis.exceptions import RedisError
from tests.support.cluster_fleets import ClusterFleet
from tests.support.links import LinkedFleet
from tests.support.producers import Producer

from smallfirst import Job
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.slices import slice_of

KEYS = Keys()
OWN = KEYS.of_producer("default")
#: A producer that destroys what it has submitted: harm that must be its own alone.
CARELESS = KEYS.of_producer("careless")
#: How many of its submissions its stream keeps.
NUM_KEPT = 5
#: A time that no clock shows.
FUTURE_MS = 9_999_999_000_000
SLM, LLM = "cpu-small", "cpu-llm"
#: Seconds between two faults, and how long one lasts that ends.
PAUSE, LASTS = (3.0, 12.0), (0.5, 15.0)
#: How long a pool is away: long enough that its workers are taken for dead.
POOL_LASTS = (8.0, 20.0)
#: How long a node of a cluster is away.
NODE_LASTS = (1.0, 8.0)
#: How many jobs are submitted again at once.
NUM_AGAIN = 20
OLD_JOB = {"v": 0, "id": "old", "task": "ids", "body": "from before the wire had a version"}


@dataclass
class Fault:
    """One fault: when it began, whom it struck, and when nobody felt it any more."""

    kind: str
    victim: str = ""
    #: Entries that were in the struck one's hands, by stream and consumer.
    held: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)
    begun: float = field(default_factory=monotonic)
    seconds: float | None = None


class Chaos:
    """Strikes a fleet at random.

    Args:
        fleet: Whom.
        redis: The fleet's Redis, by a link that is never struck.
        seed: Of the dice.
        producers: Whose jobs are submitted again.
        slices: Of the fleet.
    """

    def __init__(
        self,
        fleet: LinkedFleet,
        redis: Any,
        seed: int,
        producers: Sequence[Producer],
        slices: Sequence[Keys] = (KEYS,),
    ) -> None:
        self.slices = slices
        self._streams = {name: group for keys in slices for name, group in streams_of(keys)}
        self._fleet = fleet
        self._redis = redis
        self._producers = producers
        self._dice = random.Random(seed)
        self._stop = threading.Event()
        self._mending: list[threading.Timer] = []
        self.faults: list[Fault] = []
        self.pids: set[int] = set()
        #: How often the careless producer has submitted.
        self.num_careless = 0
        self._kinds: dict[str, tuple[int, Callable[[], Fault]]] = {
            "SIGKILL": (6, lambda: self._signal(signal.SIGKILL)),
            "SIGTERM": (3, lambda: self._signal(signal.SIGTERM)),
            "SIGSTOP, then SIGCONT": (4, self._pause),
            "link cut": (4, lambda: self._break("cut")),
            "link frozen": (3, lambda: self._break("freeze")),
            "connections half open": (2, lambda: self._break("forget")),
            "link of 100 ms": (2, lambda: self._break("slow_down", 0.1)),
            "Redis killed": (1, self._kill_redis),
            "Celery message destroyed": (2, self._destroy_message),
            "Celery message doubled": (2, self._double_message),
            "malformed entries": (2, self._write_nonsense),
            "pool away": (2, self._send_pool_away),
            "jobs submitted again": (2, self._submit_again),
            "submissions trimmed": (2, self._trim),
        }
        if isinstance(fleet, ClusterFleet):
            self._cluster = fleet.cluster
            self._kinds |= {
                "slice moved": (6, self._move_slice),
                "node killed": (2, self._kill_node),
            }
            # The careless producer is in one slice; its harm is tried without a cluster.
            del self._kinds["submissions trimmed"]

    def run(self, until: float) -> None:
        """Strike until a moment of the monotonic clock; then mend everything."""
        names = list(self._kinds)
        weights = [weight for weight, _ in self._kinds.values()]
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        while monotonic() < until:
            self._fleet.check()
            [kind] = self._dice.choices(names, weights)
            with suppress(RedisError, ProcessLookupError, psutil.NoSuchProcess):
                fault = self._kinds[kind][1]()
                fault.kind = kind
                self.faults.append(fault)
            self._stop.wait(self._dice.uniform(*PAUSE))
        for timer in self._mending:
            timer.join()
        self._stop.set()
        watching.join()

    def look(self) -> None:
        """See who has recovered from what, and note who there is."""
        self.pids |= {child.pid for child in self._fleet.children().values()}
        for fault in self.faults:
            if fault.seconds is None and not self._is_felt(fault):
                fault.seconds = monotonic() - fault.begun

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            with suppress(RedisError):
                self.look()

    def _is_felt(self, fault: Fault) -> bool:
        return any(
            entries & entries_of(self._redis, stream, self._streams[stream], consumer)
            for (stream, consumer), entries in fault.held.items()
        )

    def _victim(self) -> str:
        names = [name for name in self._fleet.children() if name in self._fleet.links]
        return self._dice.choice(sorted(names))

    def _held_by(self, name: str) -> dict[tuple[str, str], set[bytes]]:
        """What a child has in hand now."""
        mark = f"/{self._fleet.children()[name].pid}/"
        held = {}
        for stream, group in self._streams.items():
            for consumer in self._redis.xpending(stream, group)["consumers"]:
                who = consumer["name"].decode()
                if mark in who:
                    held[stream, who] = entries_of(self._redis, stream, group, who)
        return held

    def _signal(self, number: signal.Signals) -> Fault:
        """Send a signal to a child; instead of the large model's worker, often to its engine."""
        name = self._victim()
        fault = Fault("", name, self._held_by(name))
        below = [each.pid for each in psutil.Process(self._pid(name)).children(recursive=True)]
        is_below = bool(below) and number is signal.SIGKILL and self._dice.random() < 0.5
        os.kill(self._dice.choice(below) if is_below else self._pid(name), number)
        return fault

    def _pause(self) -> Fault:
        name = self._victim()
        fault, process = Fault("", name, self._held_by(name)), psutil.Process(self._pid(name))
        process.suspend()
        self._later(process.resume)
        return fault

    def _send_pool_away(self) -> Fault:
        """Stop every worker of a pool; later they go on, or others come in their place."""
        pool = self._dice.choice((SLM, LLM))
        names = [name for name in self._fleet.children() if name.startswith(f"worker-{pool}-")]
        fault = Fault("", pool)
        mend = self._dice.choice((psutil.Process.resume, psutil.Process.kill))
        for name in names:
            fault.held |= self._held_by(name)
            process = psutil.Process(self._pid(name))
            process.suspend()
            # It knows itself by more than its id, which another may have by then.
            self._later(partial(mend, process), POOL_LASTS)
        return fault

    def _submit_again(self) -> Fault:
        """Submit jobs that were confirmed before, done or not, as others submit them."""
        known = self._dice.choice(self._producers).confirmed_jobs
        for job in self._dice.sample(known, min(NUM_AGAIN, len(known))):
            keys = self.slices[slice_of(job.id, len(self.slices))]
            self._redis.xadd(keys.of_producer("default").jobs, {"job": job.to_json()})
        return Fault("")

    def _move_slice(self) -> Fault:
        """Move one slice to another node, under load."""
        moved = self._dice.choice(self.slices)
        source = self._cluster.owner_of(moved.due)
        to = self._dice.choice([node for node in self._cluster.nodes if node is not source])
        fault = Fault("", moved.tag)
        self._cluster.move(moved.due, to)
        return fault

    def _kill_node(self) -> Fault:
        """Kill a node and start it again, before anything else is struck."""
        node = self._dice.choice(self._cluster.nodes)
        fault = Fault("", f"node {node.port}")
        node.kill()
        self._stop.wait(self._dice.uniform(*NODE_LASTS))
        node.start()
        self._cluster.serves()
        return fault

    def _trim(self) -> Fault:
        """Submit as who bounds its stream far too low, now and then under ids from the future."""
        is_far = self._dice.random() < 0.3
        for number in range(NUM_AGAIN):
            name = f"careless-{self.num_careless}-{number}"
            row = {"job": Job(id=name, task="ids", text="4111 1111 1111 1111").to_json()}
            entry = f"{FUTURE_MS + self.num_careless}-{number}" if is_far else "*"
            self._redis.xadd(CARELESS.jobs, row, id=entry, maxlen=NUM_KEPT, approximate=False)
        self.num_careless += 1
        return Fault("")

    def _break(self, how: str, *options: float) -> Fault:
        name = self._victim()
        fault = Fault("", name, self._held_by(name))
        link = self._fleet.links[name]
        getattr(link, how)(*options)
        self._later(link.mend)
        return fault

    def _kill_redis(self) -> Fault:
        os.kill(self._pid("redis"), signal.SIGKILL)
        return Fault("", "redis")

    def _destroy_message(self) -> Fault:
        self._redis.lpop(self._any_queue())
        return Fault("")

    def _double_message(self) -> Fault:
        queue = self._any_queue()
        for message in self._redis.lrange(queue, 0, 0):
            self._redis.rpush(queue, message)
        return Fault("")

    def _write_nonsense(self) -> Fault:
        """Write what is no message, no submission, and one of an older version."""
        for entry in (b"null", b"\xff\xfe", b"[" * 10_000, b"{}"):
            self._redis.lpush(self._any_queue(), entry)
        for raw in (b"\xff", b"{", b'"job"', json.dumps(OLD_JOB).encode()):
            self._redis.xadd(OWN.jobs, {"job": raw})
        self._redis.xadd(KEYS.escalations, {"slip": b"?"})
        self._redis.xadd(self._dice.choice(list(KEYS.backlogs(SLM).values())), {"no": b"\x00"})
        return Fault("")

    def _any_queue(self) -> str:
        return KEYS.queue(self._dice.choice((SLM, LLM)), self._dice.choice(list(Priority)))

    def _pid(self, name: str) -> int:
        return self._fleet.children()[name].pid

    def _later(self, mend: Callable[[], object], lasts: tuple[float, float] = LASTS) -> None:
        def quietly() -> None:
            with suppress(psutil.NoSuchProcess):
                mend()

        timer = threading.Timer(self._dice.uniform(*lasts), quietly)
        timer.start()
        self._mending = [each for each in self._mending if each.is_alive()] + [timer]


def streams_of(keys: Keys) -> Iterator[tuple[str, str]]:
    """The streams of a slice that a process may have entries of in hand, and their groups."""
    names = ("default", "careless") if keys == KEYS else ("default",)
    yield from ((keys.of_producer(name).jobs, ROUTER_GROUP) for name in names)
    yield keys.escalations, ROUTER_GROUP
    for pool in (SLM, LLM):
        yield from ((stream, POOL_GROUP) for stream in keys.backlogs(pool).values())


def entries_of(redis: Any, stream: str, group: str, consumer: str) -> set[bytes]:
    """What one consumer has in hand."""
    pending = redis.xpending_range(stream, group, "-", "+", 5000, consumername=consumer)
    return {each["message_id"] for each in pending}
