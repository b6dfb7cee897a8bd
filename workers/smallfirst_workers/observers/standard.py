"""The observers of every worker process, in their order."""

from smallfirst.telemetry.tracing import Tracing
from smallfirst_workers.metrics import WorkerMetrics
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.observers.logs import LogObserver
from smallfirst_workers.observers.metrics import MetricsObserver
from smallfirst_workers.observers.self_test import SelfTestObserver
from smallfirst_workers.observers.tracing import TracingObserver
from smallfirst_workers.observers.void_promises import VoidPromiseObserver
from smallfirst_workers.observers.watchdog import WatchdogObserver
from smallfirst_workers.watchdog import Watchdog


def standard_observers(
    watchdog: Watchdog, metrics: WorkerMetrics, tracing: Tracing, *others: BatchObserver
) -> tuple[BatchObserver, ...]:
    """Put the observers together: the watchdog next to the engine, the self-test round it.

    Those of this process alone come last.
    """
    return (
        WatchdogObserver(watchdog),
        SelfTestObserver(watchdog),
        MetricsObserver(metrics),
        TracingObserver(tracing),
        VoidPromiseObserver(),
        LogObserver(),
        *others,
    )
