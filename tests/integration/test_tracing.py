"""One trace from submission to result, as a receiver of OpenTelemetry's protocol gets it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from tests.support.observed import Observed, ended, observed
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Outcome, Status
from smallfirst.local.redis_server import free_port

pytestmark = pytest.mark.timeout(300)
CANARY = "canary-51aa"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


Send = Callable[[Job, str, int], "list[Span]"]


class Span:
    """A span as it was received, its ids in hex digits."""

    def __init__(self, sent: Any, service: str) -> None:
        self.service = service
        self.name = sent.name
        self.trace, self.id, self.parent = (
            raw.hex() for raw in (sent.trace_id, sent.span_id, sent.parent_span_id)
        )
        self.links = {link.span_id.hex() for link in sent.links}
        self.start_ns, self.end_ns = sent.start_time_unix_nano, sent.end_time_unix_nano
        self.told = {
            each.key.removeprefix("smallfirst."): _plain(each.value) for each in sent.attributes
        }


def _plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


class Receiver:
    """Takes spans in."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.raw: list[bytes] = []

    def take(self, body: bytes) -> None:
        """Read one request."""
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: _plain(each.value) for each in resource.resource.attributes}
            self.spans += [
                Span(span, told["service.name"])
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def of_trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace, by the time they began."""
        found = [span for span in self.spans if span.trace == trace_id]
        return sorted(found, key=lambda span: span.start_ns)


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[Receiver, int]]:
    """A receiver, and its port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield receiver, server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def traced(
    receiver: tuple[Receiver, int], tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> Iterator[Observed]:
    """A fleet that sends its spans there."""
    settings = {
        "SMALLFIRST_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver[1]}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with observed(tmp_path_factory.mktemp("traced"), wait_until, **settings) as fleet:
        yield fleet


@pytest.fixture
def send(traced: Observed, receiver: tuple[Receiver, int], wait_until: WaitUntil) -> Send:
    """Send a job, await its result; give the spans of a trace once so many are there."""

    def send_one(job: Job, trace_id: str, count: int) -> list[Span]:
        with Client(traced.redis_url) as client:
            result = client.result(client.submit(job), timeout=60)
        assert result.status is Status.ANSWERED
        wait_until(
            lambda: len(receiver[0].of_trace(trace_id)) >= count,
            description=f"{count} spans of the trace",
            timeout=30,
        )
        return receiver[0].of_trace(trace_id)

    return send_one


def test_a_job_is_one_trace_across_routers_batches_and_steps(
    send: Send, receiver: tuple[Receiver, int], wait_until: WaitUntil
) -> None:
    """The producer's span, a triage below it, and below that each step and each return."""
    job = Job(task="twice", text=f"{CANARY} what is this?", traceparent=f"00-{TRACE}-{SPAN}-01")
    first, *others = send(job, TRACE, 4)
    assert [span.name for span in (first, *others)] == ["triage", "step", "triage", "step"]
    assert first.parent == SPAN
    assert {span.parent for span in others} == {first.id}
    services = [span.service for span in (first, *others)]
    assert services == ["smallfirst-router", "smallfirst-worker"] * 2
    steps = [span.told for span in others if span.name == "step"]
    assert [(told["step"], told["outcome"]) for told in steps] == [
        (0, str(Outcome.ESCALATED)),
        (1, str(Outcome.ACCEPTED)),
    ]
    assert steps[0]["confidence"] < 0.999 == steps[0]["threshold"]
    assert all(span.start_ns < span.end_ns for span in others)
    links = {link for span in others for link in span.links}
    # A batch's span ends, and is sent, after those of its jobs.
    wait_until(
        lambda: links <= {span.id for span in receiver[0].spans}, description="the batches' spans"
    )
    batches = {span.id: span for span in receiver[0].spans if span.name == "batch"}
    for span in others:
        if span.name == "step":
            (link,) = span.links
            batch = batches[link]
            assert batch.trace != TRACE
            assert batch.parent == ""
            assert first.id in batch.links


def test_a_rule_is_a_step_too(send: Send) -> None:
    """Within the triage that asked it, with what it found out and not with what it found."""
    fresh = "d" * 32
    triage, rule = send(
        Job(task="ids", text="card 4111 1111 1111 1111", traceparent=f"00-{fresh}-{SPAN}-01"),
        fresh,
        2,
    )
    assert (triage.name, rule.name, rule.parent) == ("triage", "step", triage.id)
    assert triage.told["status"] == str(Status.ANSWERED)
    assert (rule.told["tier"], rule.told["outcome"]) == ("rule", str(Outcome.ACCEPTED))


def test_without_a_producers_span_the_router_begins_the_trace(
    receiver: tuple[Receiver, int], traced: Observed, wait_until: WaitUntil
) -> None:
    """Found by the job's id; steps and returns are in the same trace all the same."""
    with Client(traced.redis_url) as client:
        client.result(client.submit(Job(id="lonely", task="similar", text="x")), timeout=60)

    def of_job() -> list[Span]:
        spans = [each for each in receiver[0].spans if each.told.get("job") == "lonely"]
        return receiver[0].of_trace(spans[0].trace) if spans else []

    wait_until(lambda: len(of_job()) == 2, description="triage and step", timeout=30)
    root, step = of_job()
    assert (root.name, root.parent, step.name, step.parent) == ("triage", "", "step", root.id)


def test_a_producer_that_traces_need_not_say_so(send: Send) -> None:
    """Its current span is the job's parent."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    with tracer.start_as_current_span("order") as span:
        context = span.get_span_context()
        spans = send(Job(task="similar", text="y"), f"{context.trace_id:032x}", 2)
    assert spans[0].parent == f"{context.span_id:016x}"
    assert not trace.get_current_span().get_span_context().is_valid


def test_what_its_producer_does_not_sample_is_not_sent(
    send: Send, receiver: tuple[Receiver, int]
) -> None:
    """The flag of the submission holds for every span below it."""
    dropped = TRACE[::-1]
    send(Job(task="similar", text="z", traceparent=f"00-{dropped}-{SPAN}-00"), dropped, 0)
    kept = "f" * 32
    send(Job(task="similar", text="z", traceparent=f"00-{kept}-{SPAN}-01"), kept, 2)
    assert receiver[0].of_trace(dropped) == []


def test_no_text_is_in_a_span(send: Send, receiver: tuple[Receiver, int]) -> None:
    """Not in a name, an attribute or an event."""
    fresh = "e" * 32
    send(Job(task="twice", text=f"parcel {CANARY}", traceparent=f"00-{fresh}-{SPAN}-01"), fresh, 2)
    assert not [body for body in receiver[0].raw if CANARY.encode() in body]


def test_a_receiver_that_is_away_holds_nobody_up(tmp_path: Path, wait_until: WaitUntil) -> None:
    """Jobs are answered, and a drain ends within its grace: `observed` waits for it."""
    settings = {
        "SMALLFIRST_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    with (
        observed(tmp_path, wait_until, **settings) as fleet,
        Client(fleet.redis_url) as client,
    ):
        jobs = [Job(task="similar", text=f"{CANARY} {n}") for n in range(50)]
        assert {result.status for result in client.map(jobs)} == {Status.ANSWERED}
    said = "".join(log.read_text() for log in fleet.logs.values())
    assert CANARY not in said


def test_without_opentelemetry_the_setting_is_refused(tmp_path: Path) -> None:
    """With the words that install it."""
    (tmp_path / "catalogue.yaml").write_text("{version: 1, pools: {}, models: {}, tasks: {}}")
    hidden = "import sys; sys.modules['opentelemetry.sdk'] = None; import runpy;"
    program = f"{hidden} runpy.run_module('smallfirst_router', run_name='__main__')"
    catalogue = str(tmp_path / "catalogue.yaml")
    status, said = ended(["-c", program], SMALLFIRST_TRACING="true", SMALLFIRST_CATALOGUE=catalogue)
    assert status == 78
    assert "SMALLFIRST_TRACING: needs OpenTelemetry: pip install" in said
