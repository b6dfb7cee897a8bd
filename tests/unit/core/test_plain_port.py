"""An address with TLS that leads to a port without it."""

import socket
import threading
from collections.abc import Callable

import pytest

from smallfirst.errors import RedisUnfit
from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.plain_port import refuse_plain_port


@pytest.fixture
def answering() -> Callable[[bytes], int]:
    """Open a port that answers its first caller with some bytes, and closes."""

    def listen(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with server, server.accept()[0] as caller:
                caller.recv(100)
                caller.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        port: int = server.getsockname()[1]
        return port

    return listen


@pytest.mark.parametrize("answer", [b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"])
def test_a_port_that_answers_in_clear_is_refused(
    answering: Callable[[bytes], int], answer: bytes
) -> None:
    """Whoever names TLS and gets a word in clear is told what to write."""
    address = RedisAddress.parse(f"rediss://:geheim@127.0.0.1:{answering(answer)}/0")
    with pytest.raises(RedisUnfit, match=r"does not speak TLS; .*redis:// in place of") as caught:
        refuse_plain_port(address)
    assert "geheim" not in str(caught.value)


def test_what_speaks_tls_or_nothing_is_left_to_the_driver(
    answering: Callable[[bytes], int],
) -> None:
    """An alert of TLS, a closed port and an address without TLS are no answer in clear."""
    refuse_plain_port(RedisAddress.parse(f"rediss://127.0.0.1:{answering(bytes([21, 3, 3]))}/0"))
    refuse_plain_port(RedisAddress.parse("rediss://127.0.0.1:1/0"))
    refuse_plain_port(RedisAddress.parse("redis://127.0.0.1:1/0"))
