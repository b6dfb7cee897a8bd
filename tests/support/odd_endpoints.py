"""An endpoint that says whatever a test has it say, over real HTTP on a port of its own."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Said:
    """One answer: its status, its body as it is sent, and headers besides."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


#: What an endpoint says to the body of a request.
Speech = Callable[[Mapping[str, Any]], Said]


def said(body: object, *, status: int = 200, **headers: str) -> Said:
    """An answer of JSON; `retry_after` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(json.dumps(body).encode(), status, named)


def chat(*contents: object, end: object = "stop", **more: object) -> dict[str, Any]:
    """The body of a completion that has these contents."""
    choices = [
        {"index": n, "finish_reason": end, "message": {"role": "assistant", "content": content}}
        for n, content in enumerate(contents)
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return {"id": "1", "choices": choices, "usage": usage} | more


class OddEndpoint:
    """A server of one route. `asked` has the body of each request, in the order they came."""

    def __init__(self, speech: Speech, tls: ssl.SSLContext | None = None) -> None:
        self.speech = speech
        self.asked: list[Mapping[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.server_address[1]
        return port

    def num_asked(self, word: str) -> int:
        """How often it was asked about a text with this word."""
        return sum(word in asked["messages"][-1]["content"] for asked in self.asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                endpoint.asked.append(asked)
                with suppress(ConnectionError):
                    self._write(endpoint.speech(asked))

            def _write(self, answer: Said) -> None:
                self.send_response(answer.status)
                headers = {"content-type": "application/json"} | dict(answer.headers)
                for name, value in (headers | {"content-length": str(len(answer.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing: it would be about every request."""

        return Handler
