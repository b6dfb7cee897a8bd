"""Knowing a port that does not speak TLS, where the address says that it does.

The driver sends its greeting there, which is no command, and waits three quarters of a minute for
an answer that never comes.
"""

import socket
from contextlib import suppress

from smallfirst.errors import RedisUnfit
from smallfirst.redis_access.address import RedisAddress

#: What every answer of a Redis begins with to whom it does not know.
_ANSWERS = (b"+", b"-")
_TIMEOUT_SECONDS = 1.0


def refuse_plain_port(address: RedisAddress) -> None:
    """Make sure that an address with TLS does not lead to a port without it.

    Raises:
        RedisUnfit: When Redis answers there in clear. Where nobody answers nothing is known.
    """
    if not address.is_encrypted or not address.hosts:
        return
    with suppress(OSError), socket.create_connection(address.hosts[0], _TIMEOUT_SECONDS) as found:
        found.settimeout(_TIMEOUT_SECONDS)
        found.sendall(b"PING\r\n")
        if found.recv(1) in _ANSWERS:
            scheme = address.scheme.replace("rediss", "redis", 1)
            remedy = f"name its port with TLS, or write {scheme}:// in place of {address.scheme}://"
            raise RedisUnfit(address.shown, "this port does not speak TLS", remedy)
