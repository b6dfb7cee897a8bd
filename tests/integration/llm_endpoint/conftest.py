"""A fleet that asks a model elsewhere: a real server of vLLM, and a proxy that can be in trouble.

The server is vLLM's own, in a process of its own, with the model that `llm` makes: it knows
nothing, so whatever is true of its answers is true by construction.
"""

import http.client
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from tests.support.tiny_llama import make_model
from tests.support.waiting import WaitUntil

from smallfirst import Client
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.processes import Child, Command
from smallfirst.local.redis_server import free_port
from smallfirst_workers.llm.vllm.async_engine import environment
from smallfirst_workers.llm.vllm.engine_arguments import ONE_PROCESS, has_gpu

KEY_VARIABLE, KEY = "BABBLE_KEY", "sesame"
CATALOGUE = """
version: 1
pools:
  far: {{tier: llm, remote: true, batch_tokens: 16384, batch_jobs: 16, max_concurrent_batches: 4}}
models:
  direct:
    tier: llm
    source: babble
    endpoint: http://127.0.0.1:{server}/v1
    api_key_variable: BABBLE_KEY
    max_concurrency: 8
    price_per_million_tokens: {{input: 1.0, output: 3.0}}
  proxied:
    tier: llm
    source: babble
    endpoint: http://127.0.0.1:{proxy}/v1
    api_key_variable: BABBLE_KEY
    max_concurrency: 8
tasks:
  topic:
    kind: classify
    labels: {{billing: money, delivery: parcels, account: login}}
    examples: [{{text: where is it, label: delivery}}, {{text: my bill is wrong, label: billing}}]
    cascade: [{{model: direct}}]
  voted:
    kind: classify
    labels: {{billing: money, delivery: parcels, account: login}}
    cascade: [{{model: direct, vote: 4}}]
  about:
    kind: multilabel
    labels: {{money: sums and payments, time: days and hours}}
    cascade: [{{model: direct}}]
  found:
    kind: tag
    labels: {{person: a name, place: a town}}
    max_answer_tokens: 60
    cascade: [{{model: direct}}]
  invoice:
    kind: extract
    fields:
      is_paid: {{type: boolean, description: whether it was paid}}
      due: {{type: date, description: day by which to pay}}
    cascade: [{{model: direct}}]
  tampering:
    kind: judge
    question: Was this document changed after it was written?
    max_answer_tokens: 60
    cascade: [{{model: direct}}]
  reply:
    kind: generate
    max_answer_tokens: 20
    cascade: [{{model: direct}}]
  stormy:
    kind: classify
    labels: {{billing: money, delivery: parcels, account: login}}
    cascade: [{{model: proxied}}]
"""


class ModelServer:
    """A server of vLLM on a port of its own, that can be killed and started again."""

    def __init__(self, folder: Path, logs: Path, cache: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._logs = logs
        self._cache = cache
        self._child: Child | None = None

    def start(self) -> None:
        """Start it; it is not ready yet (`is_ready`)."""
        command = Command(
            name="model",
            arguments=(sys.executable, "-m", *self._arguments()),
            environment=dict(Command(name="", arguments=()).environment)
            | {**environment(self._cache), "VLLM_API_KEY": KEY},
        )
        self._child = Child(command, self._logs)
        self._child.start()

    def _arguments(self) -> tuple[str, ...]:
        # vLLM's command `serve` asks for the version of a package `vllm`, which its CPU build is
        # not called; what it starts is this module.
        module = ("vllm.entrypoints.openai.api_server", "--model", str(self._folder))
        whole = json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})
        return (
            *module,
            *("--served-model-name", "babble", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--max-model-len", "1024", "--enforce-eager", "--structured-outputs-config", whole),
            *(() if has_gpu() else ("--distributed-executor-backend", ONE_PROCESS)),
        )

    def is_ready(self) -> bool:
        """Whether it answers."""
        assert self._child is not None
        assert self._child.exit_code() is None, self._child.tail(40)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it with whatever it has in hand."""
        if self._child is not None:
            self._child.kill()


class Proxy:
    """Hands requests on to a server, unless it was told to be in trouble.

    `refuse` says, for the body of each request, with which status to refuse it; None hands it on.
    `headers` and `complaint` are what it says besides.
    """

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self.refuse: Callable[[bytes], int | None] = lambda _: None
        self.headers: dict[str, str] = {}
        self.complaint = b"{}"
        self.num_refused = 0
        self._backend = port
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def heal(self) -> None:
        """Hand everything on, from now on."""
        self.refuse, self.headers, self.complaint = (lambda _: None), {}, b"{}"
        self.num_refused = 0

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                refused = proxy.refuse(body)
                proxy.num_refused += refused is not None
                told = proxy._ask(self, body) if refused is None else (refused, proxy.complaint)
                with suppress(ConnectionError):
                    self._write(*told)

            def _write(self, status: int, answer: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                for name, value in proxy.headers.items() if status >= 400 else ():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing: it would be about every request."""

        return Handler

    def _ask(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._backend, timeout=120)
        wanted = ("authorization", "content-type")
        headers = {name: request.headers[name] for name in wanted if request.headers[name]}
        try:
            connection.request("POST", request.path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return 502, b"{}"
        finally:
            connection.close()


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, cache_in_the_checkout: Path, wait_until: WaitUntil
) -> Iterator[ModelServer]:
    """The model, served to every module; ready for every test."""
    folder = tmp_path_factory.mktemp("served")
    make_model(folder / "babble", CATALOGUE)
    server = ModelServer(folder / "babble", folder, cache_in_the_checkout)
    server.start()
    try:
        wait_until(server.is_ready, description="the server answers", timeout=900)
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def running_proxy(server: ModelServer) -> Iterator[Proxy]:
    """The proxy before it."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(running_proxy: Proxy) -> Iterator[Proxy]:
    """The proxy, out of trouble before and after each test."""
    running_proxy.heal()
    yield running_proxy
    running_proxy.heal()


@pytest.fixture(scope="module")
def remote_fleet(
    server: ModelServer, running_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalFleet]:
    """A fleet whose one pool is remote, and in which a second start of a job is one too many."""
    folder = tmp_path_factory.mktemp("remote")
    catalogue = CATALOGUE.format(server=server.port, proxy=running_proxy.port)
    (folder / "catalogue.yaml").write_text(catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        patch.setenv("SMALLFIRST_MAX_STARTS", "1")
        # Nor is a machine that stood still for some seconds to cost a start.
        patch.setenv("SMALLFIRST_LEASE_SECONDS", "60")
        fleet = LocalFleet(folder / "catalogue.yaml", folder / "fleet", flower=False)
        with fleet:
            fleet.wait_ready(timedelta(minutes=2))
            yield fleet


@pytest.fixture
def client(remote_fleet: LocalFleet) -> Iterator[Client]:
    """A producer of the fleet's."""
    with Client(remote_fleet.redis_url) as client:
        yield client
