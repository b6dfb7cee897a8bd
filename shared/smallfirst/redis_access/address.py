"""Where a fleet's Redis is: one server, or the master that a group of Sentinels names.

    redis://[USER:PASSWORD@]HOST[:PORT][/DB]                    rediss:// for TLS
    redis+sentinel://[USER:PASSWORD@]HOST[:PORT],.../MASTER[/DB]   rediss+sentinel:// for TLS
    unix://[USER:PASSWORD@]/PATH

Options of redis-py follow a question mark, `?ssl_ca_certs=/ca.crt` for instance; Sentinels with a
password of their own take `sentinel_username` and `sentinel_password` there.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from redis import Redis, Sentinel
from redis import asyncio as redis_asyncio
from redis.connection import parse_url

EXAMPLE: Final = "redis://host:6379/0"
SENTINEL_EXAMPLE: Final = "redis+sentinel://host1:26379,host2:26379/mymaster"
SCHEMES: Final = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix")
_PORTS: Final = {False: 6379, True: 26379}
_MAX_PORT = 65_535
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@/,\s]+)(:(?P<port>\d+))?")
#: The paths: a number of a database; the name of a master, and perhaps a database's number.
_DB_PATH, _MASTER_PATH = re.compile(r"(/\d*)?"), re.compile(r"/([\w.-]+)(/\d*)?")


@dataclass(frozen=True)
class RedisAddress:
    """The parts of an address.

    `repr` and `shown` hold no secret.
    """

    url: str = field(repr=False)
    scheme: str
    #: Of the server, or of each Sentinel.
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
        if scheme not in SCHEMES:
            raise ValueError(f"must begin with {', '.join(f'{each}://' for each in SCHEMES)}")
        try:
            parts = _split(url)
        except ValueError:
            raise ValueError(f"must be a URL such as {EXAMPLE}") from None
        if scheme == "unix":
            return cls(url, scheme, (), parts.path)
        is_sentinel = scheme.endswith("+sentinel")
        example = SENTINEL_EXAMPLE if is_sentinel else EXAMPLE
        hosts = _hosts_of(parts.netloc.rpartition("@")[2], is_sentinel=is_sentinel)
        path = (_MASTER_PATH if is_sentinel else _DB_PATH).fullmatch(parts.path)
        if not hosts or path is None:
            raise ValueError(f"must be a URL such as {example}")
        master = path[1] if is_sentinel else None
        return cls(url, scheme, hosts, (path[2] or "") if is_sentinel else parts.path, master)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is spoken, with the Sentinels too."""
        return self.scheme.startswith("rediss")

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
        return parts._replace(netloc=f"{user}{hosts}").geturl()

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
        """Open a pool of connections that follows the master, as redis-py takes options."""
        if self.master is None:
            return Redis.from_url(self.url, **options)
        sentinel: Any = Sentinel  # it publishes no types
        group = sentinel(self.hosts, sentinel_kwargs=self.sentinel_options(**_sockets(options)))
        found: Redis = group.master_for(self.master, **self._of_master(), **options)
        return found

    def connect_async(self, **options: Any) -> "redis_asyncio.Redis":
        """Open such a pool for asyncio; it closes with the client that it is given to."""
        if self.master is None:
            return redis_asyncio.Redis.from_url(self.url, **options)
        sentinel: Any = redis_asyncio.Sentinel
        group = sentinel(self.hosts, sentinel_kwargs=self.sentinel_options(**_sockets(options)))
        found: redis_asyncio.Redis = group.master_for(self.master, **self._of_master(), **options)
        return found

    def _of_master(self) -> dict[str, Any]:
        """What redis-py is told of the master beside its name, read by redis-py's own rules."""
        query = f"?{urlencode(self.options)}" if self.options else ""
        read: Any = parse_url
        found = read(f"redis://{_user_of(self.url)}master{self.path}{query}")
        told = {name: value for name, value in found.items() if name not in ("host", "port")}
        return told | ({"ssl": True} if self.is_encrypted else {})

    def _tls(self) -> dict[str, str]:
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}


def _split(url: str) -> SplitResult:
    """Split an address; of the schemes with a plus, urllib knows too little."""
    return urlsplit(f"redis://{url.partition('://')[2]}")


def _hosts_of(netloc: str, *, is_sentinel: bool) -> tuple[tuple[str, int], ...]:
    """Read host and port, or several for Sentinels; empty when they are none."""
    places = netloc.split(",") if is_sentinel else [netloc]
    found = [_HOST.fullmatch(place) for place in places]
    ports = [int(each["port"] or _PORTS[is_sentinel]) for each in found if each]
    if len(ports) < len(places) or not all(0 < port <= _MAX_PORT for port in ports):
        return ()
    hosts = [each["host"].strip("[]") for each in found if each]
    return tuple(zip(hosts, ports, strict=True))


def _user_of(url: str) -> str:
    """User and password as they stand in an address, with the `@`; else empty."""
    user, at, _ = _split(url).netloc.rpartition("@")
    name, colon, password = user.partition(":")
    return f"{quote(unquote(name), safe='')}{colon}{quote(unquote(password), safe='')}{at}"


def _sockets(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name.startswith("socket_")}
