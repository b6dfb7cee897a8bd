"""Where a fleet's Redis is: one server, the master that Sentinels name, or the nodes of a cluster.

    redis://[USER:PASSWORD@]HOST[:PORT][/DB]                    rediss:// for TLS
    redis+sentinel://[USER:PASSWORD@]HOST[:PORT],.../MASTER[/DB]   rediss+sentinel:// for TLS
    redis+cluster://[USER:PASSWORD@]HOST[:PORT],...             rediss+cluster:// for TLS

Options of redis-py follow a question mark, `?ssl_ca_certs=/ca.crt` for instance; Sentinels with a
password of their own take `sentinel_username` and `sentinel_password` there.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from redis import Redis, Sentinel
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry

from smallfirst.redis_access.slot_connections import (
    AsyncEncryptedSlotConnection,
    AsyncSlotConnection,
    EncryptedSlotConnection,
    SlotConnection,
    SlotOwner,
)

EXAMPLE: Final = "redis://host:6379/0"
SENTINEL_EXAMPLE: Final = "redis+sentinel://host1:26379,host2:26379/mymaster"
CLUSTER_EXAMPLE: Final = "redis+cluster://host1:6379,host2:6379"
SCHEMES: Final = (
    *("redis", "rediss", "redis+sentinel", "rediss+sentinel"),
    *("redis+cluster", "rediss+cluster"),
)
#: A socket would serve the ledger, but not Celery's lists: kombu opens one without the time limits
#: and checks that `broker.transport` puts around a port's connections.
_NO_SOCKET: Final = (
    "must have a host and a port, since Celery's lists are not served over a socket:"
    " redis://127.0.0.1:6379/0"
)
#: The ports where none is given, of a server and of a Sentinel.
_PORTS: Final = {False: 6379, True: 26379}
_MAX_PORT = 65_535
#: Tries of one command in a cluster, where nobody says: it is known by trying where a slot is.
RETRIES: Final = 3
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@/,\s]+)(:(?P<port>\d+))?")
#: The paths: a number of a database; the name of a master, and perhaps a database's number; a
#: cluster has one database.
_DB_PATH, _MASTER_PATH = re.compile(r"(/\d*)?"), re.compile(r"/([\w.-]+)(/\d*)?")
_CLUSTER_PATH = re.compile(r"(/0?)?")


@dataclass(frozen=True)
class RedisAddress:
    """The parts of an address.

    `repr` and `shown` hold no secret.
    """

    url: str = field(repr=False)
    scheme: str
    #: Of the server, or of each Sentinel, or of some nodes of the cluster.
    hosts: tuple[tuple[str, int], ...]
    path: str
    #: What Sentinels call the server; None where it is told directly.
    master: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address.

        Raises:
            ValueError: When it has another form. Nothing of the address is quoted: it may hold a
                password.
        """
        scheme = url.partition("://")[0]
        if scheme == "unix":
            raise ValueError(_NO_SOCKET)
        if scheme not in SCHEMES:
            raise ValueError(f"must begin with {', '.join(f'{each}://' for each in SCHEMES)}")
        try:
            parts = _split(url)
        except ValueError:
            raise ValueError(f"must be a URL such as {EXAMPLE}") from None
        is_sentinel = scheme.endswith("+sentinel")
        example, form = _FORMS.get(scheme.partition("+")[2], (EXAMPLE, _DB_PATH))
        hosts = _hosts_of(parts.netloc.rpartition("@")[2], scheme)
        path = form.fullmatch(parts.path)
        if not hosts or path is None:
            raise ValueError(f"must be a URL such as {example}")
        master = path[1] if is_sentinel else None
        return cls(url, scheme, hosts, (path[2] or "") if is_sentinel else parts.path, master)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is spoken, with the Sentinels too."""
        return self.scheme.startswith("rediss")

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster, whose nodes share the keys."""
        return self.scheme.endswith("+cluster")

    @property
    def is_local(self) -> bool:
        """Whether it is one server on this machine."""
        return "+" not in self.scheme and _is_loopback(self.hosts[0][0])

    @property
    def shown(self) -> str:
        """The address without user, password and options: fit for a log."""
        hosts = _split(self.url).netloc.rpartition("@")[2]
        master = f"/{self.master}" if self.master else ""
        return f"{self.scheme}://{hosts}{master}{self.path}"

    def as_user(self, name: str, password: str) -> str:
        """The same address for another user, options and all."""
        parts = _split(self.url)
        hosts = parts.netloc.rpartition("@")[2]
        user = f"{quote(name, safe='')}:{quote(password, safe='')}@"
        return parts._replace(scheme=self.scheme, netloc=f"{user}{hosts}").geturl()

    @property
    def options(self) -> dict[str, str]:
        """What follows the question mark, without what is meant for Sentinels alone."""
        given = dict(parse_qsl(_split(self.url).query))
        return {name: value for name, value in given.items() if not name.startswith("sentinel_")}

    @property
    def broker_url(self) -> str:
        """The address as kombu reads it: a URL for each Sentinel."""
        if self.master is None:
            return self.url
        user = _user_of(self.url)
        return ";".join(
            f"sentinel://{user}{f'[{host}]' if ':' in host else host}:{port}{self.path}"
            for host, port in self.hosts
        )

    def sentinel_options(self, **options: Any) -> dict[str, Any]:
        """How the Sentinels themselves are talked to: TLS and passwords, beside other options."""
        query = dict(parse_qsl(_split(self.url).query))
        own = {
            name.removeprefix("sentinel_"): value
            for name, value in query.items()
            if name.startswith("sentinel_")
        }
        tls = self._tls() | {"ssl": True} if self.is_encrypted else {}
        return {**options, **own, **tls}

    def connect(self, **options: Any) -> Redis:
        """Open a pool of connections that follows the master, as redis-py takes options.

        In a cluster it follows one slot, and so it is asked for the keys of one slice alone.
        """
        if self.is_cluster:
            kind = EncryptedSlotConnection if self.is_encrypted else SlotConnection
            retry = Retry(_pauses(), RETRIES)
            told = {"retry": retry, "owner": SlotOwner(self.hosts), **self._of_node(), **options}
            return Redis.from_pool(ConnectionPool(kind, **told))
        if self.master is None:
            return Redis.from_url(self.url, **options)
        sentinel: Any = Sentinel  # it publishes no types
        group = sentinel(self.hosts, sentinel_kwargs=self.sentinel_options(**_sockets(options)))
        found: Redis = group.master_for(self.master, **self._of_master(), **options)
        return found

    def connect_async(self, **options: Any) -> "redis_asyncio.Redis":
        """Open such a pool for asyncio; it closes with the client that it is given to."""
        if self.is_cluster:
            kind = AsyncEncryptedSlotConnection if self.is_encrypted else AsyncSlotConnection
            retry = AsyncRetry(_pauses(), RETRIES)
            told = {"retry": retry, "owner": SlotOwner(self.hosts), **self._of_node(), **options}
            return redis_asyncio.Redis.from_pool(redis_asyncio.ConnectionPool(kind, **told))
        if self.master is None:
            return redis_asyncio.Redis.from_url(self.url, **options)
        sentinel: Any = redis_asyncio.Sentinel
        group = sentinel(self.hosts, sentinel_kwargs=self.sentinel_options(**_sockets(options)))
        found: redis_asyncio.Redis = group.master_for(self.master, **self._of_master(), **options)
        return found

    def _of_master(self) -> dict[str, Any]:
        """What redis-py is told of the master beside its name."""
        return self._of_node() | ({"ssl": True} if self.is_encrypted else {})

    def _of_node(self) -> dict[str, Any]:
        """User, password, database and options, read by redis-py's own rules."""
        query = f"?{urlencode(self.options)}" if self.options else ""
        read: Any = parse_url
        found = read(f"redis://{_user_of(self.url)}node{self.path}{query}")
        return {name: value for name, value in found.items() if name not in ("host", "port")}

    def _tls(self) -> dict[str, str]:
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}


def _pauses() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.05, cap=1.0)


#: How an address of several hosts looks, and its path.
_FORMS: Final = {
    "sentinel": (SENTINEL_EXAMPLE, _MASTER_PATH),
    "cluster": (CLUSTER_EXAMPLE, _CLUSTER_PATH),
}


def _split(url: str) -> SplitResult:
    """Split an address; of the schemes with a plus, urllib knows too little."""
    return urlsplit(f"redis://{url.partition('://')[2]}")


def _hosts_of(netloc: str, scheme: str) -> tuple[tuple[str, int], ...]:
    """Read host and port, or several of Sentinels or of a cluster; empty when they are none."""
    is_sentinel = scheme.endswith("+sentinel")
    places = netloc.split(",") if "+" in scheme else [netloc]
    found = [_HOST.fullmatch(place) for place in places]
    ports = [int(each["port"] or _PORTS[is_sentinel]) for each in found if each]
    if len(ports) < len(places) or not all(0 < port <= _MAX_PORT for port in ports):
        return ()
    hosts = [each["host"].strip("[]") for each in found if each]
    return tuple(zip(hosts, ports, strict=True))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _user_of(url: str) -> str:
    """User and password as they stand in an address, with the `@`; else empty."""
    user, at, _ = _split(url).netloc.rpartition("@")
    name, colon, password = user.partition(":")
    return f"{quote(unquote(name), safe='')}{colon}{quote(unquote(password), safe='')}{at}"


def _sockets(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name.startswith("socket_")}
