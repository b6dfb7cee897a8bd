"""A registry of OCI artifacts that remembers, for who pushes: no users, no TLS, 127.0.0.1.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, the part "Push".
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Registry(ThreadingHTTPServer):
    """What was pushed: blobs by digest; manifests by repository and tag or digest.

    Attributes:
        contents: Of each manifest, its type and its bytes.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], dict[str, Any]] = {}
        self.contents: dict[tuple[str, str], tuple[str, bytes]] = {}

    @property
    def host(self) -> str:
        """Where it listens, as a name of an image begins."""
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def registry() -> Iterator[Registry]:
    """Serve an empty one."""
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def digest(content: bytes) -> str:
    """Name content as registries do."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Say whether a blob or a manifest is there."""
        self._give(with_content=False)

    def do_GET(self) -> None:
        """Give one."""
        self._give(with_content=True)

    def _give(self, *, with_content: bool) -> None:
        *repository, kind, name = urlsplit(self.path).path.removeprefix("/v2/").split("/")
        if kind == "manifests" and ("/".join(repository), name) in self.server.contents:
            media_type, content = self.server.contents["/".join(repository), name]
        elif kind == "blobs" and name in self.server.blobs:
            media_type, content = "application/octet-stream", self.server.blobs[name]
        else:
            self._answer(404)
            return
        self._answer(200, digest(content), media_type=media_type, length=len(content))
        if with_content:
            self.wfile.write(content)

    def do_POST(self) -> None:
        """Begin an upload."""
        self._content()
        self._answer(202, location=f"{urlsplit(self.path).path.rstrip('/')}/1")

    def do_PUT(self) -> None:
        """Take a blob whole, or a manifest."""
        address = urlsplit(self.path)
        content = self._content()
        name = digest(content)
        if "/manifests/" in address.path:
            repository, _, tag = address.path.removeprefix("/v2/").partition("/manifests/")
            for each in (tag, name):
                self.server.manifests[repository, each] = json.loads(content)
                self.server.contents[repository, each] = self.headers["Content-Type"], content
        elif parse_qs(address.query)["digest"] == [name]:
            self.server.blobs[name] = content
        else:
            self._answer(400)
            return
        self._answer(201, name, location=address.path)

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(
        self,
        status: int,
        name: str = "",
        *,
        location: str = "",
        media_type: str = "",
        length: int = 0,
    ) -> None:
        headers = {
            "Docker-Content-Digest": name,
            "Location": location,
            "Content-Type": media_type,
            "Content-Length": str(length),
        }
        self.send_response(status)
        for key, value in headers.items():
            if value:
                self.send_header(key, value)
        self.end_headers()
