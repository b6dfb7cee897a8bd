"""What Redis says of itself, as metrics: how full it is, whether it saves, whether it throws away.

Several slices may be on one server, and one fleet on several: sums are of servers, and of several
the one is told of that is worst off.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

#: What one server says to INFO, by field.
About = Mapping[str, Any]


def distinct(told: Iterable[About]) -> list[About]:
    """Keep one of the answers of each server; one that hides its name counts as another."""
    return list({about.get("run_id", place): about for place, about in enumerate(told)}.values())


def memory_metrics(servers: Sequence[About]) -> Iterator[Metric]:
    """How full the server is that is the fullest."""
    fullest = max(servers, key=lambda about: about["used_memory"] / (about["maxmemory"] or inf))
    words = "Bytes that Redis holds in memory."
    yield _gauge("memory_bytes", words, fullest["used_memory"])
    words = "Bytes of memory beyond which Redis refuses writes; 0 means no bound."
    yield _gauge("max_memory_bytes", words, fullest["maxmemory"])


def persistence_metrics(servers: Sequence[About]) -> Iterator[Metric]:
    """Whether what was confirmed is on a disk. What a managed Redis does not say has no sample."""
    gauges: dict[str, tuple[str, Callable[[About], object]]] = {
        "aof_enabled": (
            "Whether Redis keeps an append-only file.",
            lambda about: about.get("aof_enabled"),
        ),
        "aof_write_ok": (
            "Whether the last write to the append-only file succeeded.",
            lambda about: _is_ok(about.get("aof_last_write_status")),
        ),
        "rdb_save_ok": (
            "Whether the last snapshot succeeded.",
            lambda about: _is_ok(about.get("rdb_last_bgsave_status")),
        ),
    }
    for name, (words, value) in gauges.items():
        found = [float(said) for about in servers if isinstance(said := value(about), int)]
        yield _gauge(name, words, min(found, default=None))
    counters = {
        "evicted_keys": "Keys that Redis threw away for want of memory.",
        "aof_delayed_fsync": "Times that Redis waited for its disk.",
    }
    for field, words in counters.items():
        counted = [float(about[field]) for about in servers if field in about]
        total = sum(counted) if counted else None
        yield CounterMetricFamily(f"smallfirst_redis_{field}", words, value=total)


def _is_ok(status: object) -> bool | None:
    """Read a status; None where there is none."""
    return None if status is None else status == "ok"


def _gauge(name: str, words: str, value: float | None) -> Metric:
    return GaugeMetricFamily(f"smallfirst_redis_{name}", words, value=value)
