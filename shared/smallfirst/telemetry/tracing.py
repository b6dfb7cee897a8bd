"""Spans of OpenTelemetry, where the operator asks for them: a job's way as one trace.

    submit (the producer's span, if it has one)
    └─ triage (a router)             every further span of the job is this one's child
       ├─ step                       a rule's attempt, within the router's time
       ├─ step ⇢ batch               a model's attempt: linked to the pass that it shared
       ├─ triage                     a router again, where the step was not sure
       └─ …
    batch (a worker)                 a trace of its own, linked to each of its jobs

A batch is nobody's child, since it is of many jobs. Attributes tell names, sizes and numbers, and
never what a text says. Where spans go is said by OpenTelemetry's own variables
(`OTEL_EXPORTER_OTLP_ENDPOINT` and the rest).
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from smallfirst.errors import SettingsError, SettingsProblem
from smallfirst.jobs import Attempt
from smallfirst.settings import TracedSettings, variable_of
from smallfirst.telemetry.traceparent import traceparent_of

#: Longest wait at the end for spans that are not sent yet: their receiver holds no drain up.
LAST_SECONDS = 3.0
#: As many jobs as a batch may have are linked to it; OpenTelemetry's own bound is 128.
MAX_LINKS = 1024

Attributes = Mapping[str, str | int | float | bool]


class Mark:
    """A span that has begun; without tracing, nothing."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """By which another process's span becomes its child."""
        return None if self._span is None else traceparent_of(self._span.get_span_context())

    def end(self, attributes: Attributes | None = None, at_ns: int | None = None) -> None:
        """End it, now unless said otherwise (ns since 1970), with what has come to be known."""
        if self._span is not None:
            self._span.set_attributes(dict(attributes or {}))
            self._span.end(at_ns)


class Tracing:
    """Makes a process's spans.

    Args:
        tracer: OpenTelemetry's; None where nobody wants spans: then nothing is made.
    """

    def __init__(self, tracer: Any = None) -> None:
        self._tracer = tracer

    def begin(
        self,
        name: str,
        *,
        parent: str | None = None,
        attributes: Attributes | None = None,
        links: Iterable[str | None] = (),
        at_ns: int | None = None,
    ) -> Mark:
        """Begin a span.

        Args:
            name: Of few values: what is done, not to what.
            parent: Its parent's traceparent; without one it begins a trace.
            attributes: What is known of it.
            links: Traceparents of spans that have to do with it.
            at_ns: When it began, in ns since 1970; now where left out.
        """
        if self._tracer is None:
            return Mark()
        # Only who traces has it installed.
        from opentelemetry import context, trace  # noqa: PLC0415

        linked = [trace.Link(_span_context(link)) for link in links if link]
        empty = context.Context()
        within = (
            trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)), empty)
            if parent
            else empty
        )
        return Mark(
            self._tracer.start_span(
                name,
                context=within,
                kind=trace.SpanKind.CONSUMER,
                attributes=dict(attributes or {}),
                links=linked,
                start_time=at_ns,
            )
        )

    def step(
        self, task: str, attempt: Attempt, *, parent: str | None, link: str | None, seconds: float
    ) -> None:
        """Make the span of an attempt that has just ended, and that took so many seconds."""
        if self._tracer is None:
            return
        end_ns = time.time_ns()
        begun_ns = end_ns - round(seconds * 1e9)
        told = attributes_of(task, attempt)
        mark = self.begin("step", parent=parent, attributes=told, links=[link], at_ns=begun_ns)
        mark.end(at_ns=end_ns)


def attributes_of(task: str, attempt: Attempt) -> dict[str, str | int | float | bool]:
    """Say what is known of an attempt; its reason may quote a model, and so is left out."""
    found: dict[str, str | int | float | bool | None] = {
        "smallfirst.task": task,
        "smallfirst.step": attempt.step,
        "smallfirst.tier": str(attempt.tier),
        "smallfirst.model": attempt.model,
        "smallfirst.revision": attempt.revision,
        "smallfirst.pool": attempt.pool,
        "smallfirst.outcome": str(attempt.outcome),
        "smallfirst.confidence": attempt.confidence,
        "smallfirst.threshold": attempt.threshold,
        "smallfirst.tokens": attempt.tokens,
        "smallfirst.worker_seconds": attempt.seconds,
        "smallfirst.waited_seconds": attempt.waited_seconds,
        "smallfirst.cost": attempt.cost,
    }
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def open_tracing(settings: TracedSettings, *, component: str) -> Iterator[Tracing]:
    """Make spans for as long as the context lasts, if the settings ask for them.

    Raises:
        SettingsError: When they do, and OpenTelemetry is not installed.
    """
    if not settings.tracing:
        yield Tracing()
        return
    try:
        provider = _provider(component)
    except ImportError as error:
        rule = "needs OpenTelemetry: pip install 'smallfirst[tracing]'"
        raise SettingsError(SettingsProblem(variable_of("tracing"), rule)) from error
    try:
        yield Tracing(provider.get_tracer("smallfirst"))
    finally:
        last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(LAST_SECONDS)


def _provider(component: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    own = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": f"smallfirst-{component}"}
    provider = TracerProvider(
        resource=Resource.create(own),
        span_limits=SpanLimits(max_links=MAX_LINKS),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _span_context(traceparent: str) -> Any:
    from opentelemetry import trace  # noqa: PLC0415

    _, trace_id, span_id, flags = traceparent.split("-")
    return trace.SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(flags, 16)),
    )
