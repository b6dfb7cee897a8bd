"""A process's own metrics, for Prometheus to read where the process was given a port.

No component forks: workers run their batches in threads, and vLLM's processes have no metrics of
ours. So a process's one registry holds all there is to tell; nothing is gathered from children.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    start_http_server,
)

from smallfirst.errors import SettingsError, SettingsProblem
from smallfirst.settings import MetricsSettings, variable_of

log = structlog.get_logger()


@contextmanager
def serve_metrics(registry: CollectorRegistry, settings: MetricsSettings) -> Iterator[None]:
    """Answer scrapes as long as the context lasts; without a port, nobody listens.

    What libraries tell of the process is answered too: its memory and processor, Python's
    collector, and in a worker of large models all that vLLM measures.

    Raises:
        SettingsError: When the address cannot be listened on.
    """
    if settings.metrics_port is None:
        yield
        return
    # When each series began would double their number, and nobody asks.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry.register(REGISTRY)
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, registry=registry)
    except OSError as error:
        rule = f"{host}:{port} cannot be listened on ({error.strerror})"
        raise SettingsError(SettingsProblem(variable_of("metrics_port"), rule)) from error
    log.info("metrics.served", host=host, port=port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
