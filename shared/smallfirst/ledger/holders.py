"""The names of holders: in whose name entries are pending, and who says that it lives.

    @router/{host}/{pid}/{token}    a router
    {pool}/{host}/{pid}/{token}     a worker of a pool

No name of a pool holds a slash or begins with an at sign, so no worker is taken for a router. The
token tells apart two processes that had the same id on the same host, one after the other, as those
in containers have. `QUEUE_CONSUMER`, and what begins with `WAITING_PREFIX`, name no process, and
are not made here.
"""

import os
import socket
from dataclasses import dataclass
from secrets import token_hex

from smallfirst.ledger.keys import ROUTERS


@dataclass(frozen=True)
class Holder:
    """One router or worker, from its start to its end.

    Attributes:
        pool: The worker's pool; `ROUTERS` for a router.
        host: Where it runs.
        pid: Its process id there.
        token: Random hex digits.
    """

    pool: str
    host: str
    pid: int
    token: str

    @classmethod
    def here(cls, pool: str) -> "Holder":
        """Name this process, as a worker of a pool or, for `ROUTERS`, as a router."""
        return cls(pool, socket.gethostname(), os.getpid(), token_hex(3))

    @classmethod
    def parse(cls, name: str) -> "Holder | None":
        """Take a name apart; None where it is no holder's."""
        pool, _, rest = name.partition("/")
        process, _, token = rest.rpartition("/")
        host, _, pid = process.rpartition("/")
        if not (pool and host and token and pid.isdecimal()):
            return None
        return cls(pool, host, int(pid), token)

    def __str__(self) -> str:
        return f"{self.pool}/{self.process}/{self.token}"

    @property
    def is_router(self) -> bool:
        """Whether it is a router; every other holder is a worker."""
        return self.pool == ROUTERS

    @property
    def process(self) -> str:
        """Its process, as those name it who see it end."""
        return _process(self.host, self.pid)


def process_here(pid: int) -> str:
    """Name a process of this host."""
    return _process(socket.gethostname(), pid)


def process_of(name: str) -> str | None:
    """Name the process of a holder; None where the name is no holder's."""
    holder = Holder.parse(name)
    return holder.process if holder else None


def _process(host: str, pid: int) -> str:
    return f"{host}/{pid}"
