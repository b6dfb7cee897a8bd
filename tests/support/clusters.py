"""A real Redis Cluster of three nodes on this machine, whose slots move, and whose nodes die.

No node has a replica. A node that is killed keeps what it confirmed, and is started again.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError
from tests.support.waiting import WaitUntil

from smallfirst.local.processes import Child, Command, stop_children
from smallfirst.local.redis_server import MAX_PORTS_TRIED, find_binary, free_port
from smallfirst.redis_access.address import RedisAddress

NUM_SLOTS, NUM_NODES = 16_384, 3
#: Milliseconds in which a whole slot has to pass from one node to another.
_MIGRATE_MS = 10_000
_KEYS_AT_ONCE = 100


class Node:
    """One server of a cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = self.bus_port = 0
        self._child: Child | None = None
        folder.mkdir(parents=True)

    def open(self, wait_until: WaitUntil) -> None:
        """Start it for the first time, on ports that nobody else took meanwhile."""
        for _ in range(MAX_PORTS_TRIED):
            self.port, self.bus_port = free_port(), free_port()
            self.start()
            wait_until(lambda: self.is_up() or self.has_ended(), description="a node answers")
            if self.is_up():
                return
        assert self._child is not None
        raise AssertionError(f"no node started: {self._child.tail()}")

    def start(self) -> None:
        """Start it, or start it again with what it has written down."""
        options = {
            "port": self.port,
            "cluster-port": self.bus_port,
            "dir": self._folder,
            "cluster-enabled": "yes",
            "cluster-node-timeout": 2000,
            # The other slices go on while one's node is away.
            "cluster-require-full-coverage": "no",
            "appendonly": "yes",
            # A node that is killed keeps all that it confirmed, however slow the disk is.
            "appendfsync": "always",
            "save": "",
            "bind": "127.0.0.1",
        }
        arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        command = Command(name=self._folder.name, arguments=(find_binary(), *arguments))
        self._child = Child(command, self._folder)
        self._child.start()

    def kill(self) -> None:
        """Take its process away at once."""
        assert self._child is not None
        self._child.kill()

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self._child is not None and self._child.exit_code() is not None

    def is_up(self) -> bool:
        """Whether it answers at all."""
        with suppress(RedisError):
            return not self.has_ended() and bool(self.ask("PING"))
        return False

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            stop_children([self._child])

    def ask(self, *command: object) -> Any:
        """Run one command there."""
        with Redis(port=self.port, socket_timeout=5, decode_responses=True) as redis:
            asking: Any = redis
            return asking.execute_command(*command)

    def answers(self) -> bool:
        """Whether it answers, and all of the cluster that it knows serves."""
        with suppress(RedisError):
            return bool(self.ask("CLUSTER INFO")["cluster_state"] == "ok")
        return False

    def knows(self) -> int:
        """Count the nodes that it knows."""
        return len(self.ask("CLUSTER NODES"))

    @property
    def id(self) -> str:
        """What the cluster calls it."""
        return str(self.ask("CLUSTER MYID"))


class Cluster:
    """Three nodes that share all slots."""

    def __init__(self, folder: Path, wait_until: WaitUntil) -> None:
        self.nodes = [Node(folder / f"node-{number}") for number in range(NUM_NODES)]
        self._wait_until = wait_until

    @property
    def url(self) -> str:
        """What every part of a fleet is told."""
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://{places}"

    def connect(self) -> Redis:
        """Connect to one slot, that of the first key that is asked for."""
        return RedisAddress.parse(self.url).connect(socket_timeout=5)

    def open(self) -> None:
        """Start the nodes, share the slots, and wait until they serve."""
        for node in self.nodes:
            node.open(self._wait_until)
        for place, node in enumerate(self.nodes):
            first, last = place * NUM_SLOTS // NUM_NODES, (place + 1) * NUM_SLOTS // NUM_NODES
            node.ask("CLUSTER ADDSLOTS", *range(first, last))
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER MEET", "127.0.0.1", node.port, node.bus_port)
        self.serves()

    def serves(self) -> None:
        """Wait until all nodes know each other, and serve."""
        for node in self.nodes:
            self._wait_until(
                partial(_knows_all, node),
                description="the cluster serves",
                timeout=30,
            )

    def owner_of(self, key: str) -> Node:
        """Name the node that has a key's slot, by the first node that answers."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            with suppress(RedisError):
                shares: Any = node.ask("CLUSTER SLOTS")
                return next(each for each in self.nodes if _has(shares, slot, each.port))
        raise AssertionError("no node answers")

    def begin_move(self, key: str, to: Node) -> Node:
        """Let a key's slot be on its way to a node, all keys left where they are; name that."""
        slot, source = key_slot(key.encode()), self.owner_of(key)
        to.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        return source

    def end_move(self, key: str, source: Node, to: Node) -> None:
        """Take the slot's keys over to the node, and have all others know."""
        slot = key_slot(key.encode())
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, _KEYS_AT_ONCE):
            place = ("127.0.0.1", to.port, "", 0, _MIGRATE_MS)
            source.ask("MIGRATE", *place, "KEYS", *keys)
        for node in (to, source, *self.nodes):
            node.ask("CLUSTER SETSLOT", slot, "NODE", to.id)

    def move(self, key: str, to: Node) -> None:
        """Move a key's slot to a node."""
        self.end_move(key, self.begin_move(key, to), to)

    def empty(self) -> None:
        """Forget every key."""
        for node in self.nodes:
            node.ask("FLUSHALL")


@contextmanager
def cluster_in(folder: Path, wait_until: WaitUntil) -> Iterator[Cluster]:
    """Start a cluster, and end it."""
    cluster = Cluster(folder, wait_until)
    with ExitStack() as ending:
        for node in cluster.nodes:
            ending.callback(node.stop)
        cluster.open()
        yield cluster


def _knows_all(node: Node) -> bool:
    return node.answers() and node.knows() == NUM_NODES


def _has(shares: Any, slot: int, port: int) -> bool:
    """Whether a node has a slot, in the words of CLUSTER SLOTS."""
    return any(first <= slot <= last and node[1] == port for first, last, node, *_ in shares)
