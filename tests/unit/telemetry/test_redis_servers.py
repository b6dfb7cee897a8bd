"""What several Redis servers say of themselves, told as one fleet's."""

from collections.abc import Iterable
from typing import Any

from prometheus_client.metrics_core import Metric

from smallfirst.telemetry.redis_servers import distinct, memory_metrics, persistence_metrics


def about(**more: Any) -> dict[str, Any]:
    """What one server says to INFO."""
    said = {"used_memory": 10, "maxmemory": 100, "aof_enabled": 1, "aof_last_write_status": "ok"}
    counted = {"rdb_last_bgsave_status": "ok", "evicted_keys": 0, "aof_delayed_fsync": 0}
    return {"run_id": "a", **said, **counted, **more}


def values(metrics: Iterable[Metric]) -> dict[str, float]:
    """The samples by name, without what all have in common."""
    return {
        sample.name.removeprefix("smallfirst_redis_"): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def test_slices_on_one_server_are_counted_once() -> None:
    """A sum is of servers; one that hides its name counts as another."""
    told = [about(evicted_keys=3), about(evicted_keys=3), about(run_id="b", evicted_keys=4)]
    assert values(persistence_metrics(distinct(told)))["evicted_keys_total"] == 7
    nameless = [{k: v for k, v in about(evicted_keys=1).items() if k != "run_id"}] * 2
    assert values(persistence_metrics(distinct(nameless)))["evicted_keys_total"] == 2


def test_of_several_the_worst_off_is_told() -> None:
    """The fullest, and whichever does not save."""
    fuller = about(run_id="b", used_memory=90, aof_last_write_status="err")
    unsaved = about(run_id="c", rdb_last_bgsave_status="err", aof_enabled=0)
    told = [about(), fuller, unsaved]
    assert values(memory_metrics(told)) == {"memory_bytes": 90, "max_memory_bytes": 100}
    found = values(persistence_metrics(told))
    assert (found["aof_enabled"], found["aof_write_ok"], found["rdb_save_ok"]) == (0, 0, 0)
    assert values(persistence_metrics([about()]))["aof_write_ok"] == 1


def test_what_a_server_does_not_say_has_no_sample() -> None:
    """A managed Redis hides some fields; nothing is made up for them."""
    assert values(persistence_metrics([{"used_memory": 1, "maxmemory": 0}])) == {}
    unbounded = [{"used_memory": 5, "maxmemory": 0}, {"used_memory": 1, "maxmemory": 100}]
    assert values(memory_metrics(unbounded))["memory_bytes"] == 1
