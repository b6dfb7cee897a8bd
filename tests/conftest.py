"""What every test may use: a private Redis, and a way to wait that is not a sleep.

The Redis is empty before each test, and is checked for leaks after it.
"""

import importlib.util
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from hypothesis import HealthCheck, settings
from redis import Redis
from tests.support import clusters, waiting
from tests.support.groups import GroupScheduling, group_of, rank_of
from tests.support.invariants import LASTING_KEYS
from tests.support.observed import Observed, observed
from tests.support.waiting import WaitUntil
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from smallfirst.local.redis_server import RedisServer

# Speed is measured in `benchmarks/`: a machine that is busy with other tests makes no law untrue.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TESTS = Path(__file__).parent
SUPPORT_MAIL = Path(__file__).parents[1] / "examples" / "support_mail"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer | None) -> LoadScopeScheduling:
    """Hand whole groups to the processes of tests."""
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest groups first, in whatever order the tests of a group were shuffled."""
    items.sort(key=lambda item: rank_of(group_of(item.path.relative_to(TESTS))))
    _skip_without_vllm(items)


def _skip_without_vllm(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("vllm") is not None:
        return
    skip = pytest.mark.skip(reason="vLLM is not installed: pip install '.[llm-cpu]'")
    folders = [TESTS / "integration" / name for name in ("llm", "llm_endpoint")]
    for item in items:
        if any(folder in item.path.parents for folder in folders):
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def cache_in_the_checkout() -> Iterator[Path]:
    """Keep heads and converted models where `make clean` finds them, for every process started."""
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(__file__).parents[1] / ".cache" / "smallfirst"
        patch.setenv("SMALLFIRST_CACHE_DIR", os.environ.get("SMALLFIRST_CACHE_DIR", str(folder)))
        yield Path(os.environ["SMALLFIRST_CACHE_DIR"])


@pytest.fixture(scope="session", autouse=True)
def interrupts_reach_children() -> None:
    """Let children be interrupted, even where a shell runs the tests in the background.

    It then has SIGINT ignored, which every process that a test starts would inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the demo's catalogue without its large model, which takes half a minute to start.

    Nor does it ask people: nobody sits at a desk.
    """
    whole = yaml.safe_load((SUPPORT_MAIL / "catalogue.yaml").read_text("utf-8"))
    large = {name for name, model in whole["models"].items() if model.get("tier") == "llm"}
    for kind in ("pools", "models"):
        whole[kind] = {n: each for n, each in whole[kind].items() if each.get("tier") != "llm"}
    for task in whole["tasks"].values():
        task["cascade"] = [
            step
            for step in task["cascade"]
            if step.get("model") not in large and "person" not in step
        ]
        if "examples" in task:
            task["examples"] = str(SUPPORT_MAIL / task["examples"])
    whole["tasks"] = {name: task for name, task in whole["tasks"].items() if task["cascade"]}
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    return path


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """Put logging back as it was, for the tests after this one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Wait until something is so; fail with its description when that takes too long."""
    return waiting.wait_until


@pytest.fixture(scope="module")
def fleet_observed(
    tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> Iterator[Observed]:
    """A small fleet whose every component tells of itself."""
    with observed(tmp_path_factory.mktemp("observed"), wait_until) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Start a Redis that nobody else uses and that keeps nothing, for all tests of a process."""
    with RedisServer(tmp_path_factory.mktemp("redis"), persistent=False) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> Iterator[clusters.Cluster]:
    """Start a Redis Cluster of three nodes, for all tests of a process."""
    with clusters.cluster_in(tmp_path_factory.mktemp("cluster"), wait_until) as found:
        yield found


@pytest.fixture
def redis(plain_redis: Redis) -> Redis:
    """The Redis of a test; a folder may have others."""
    return plain_redis


@pytest.fixture
def plain_redis(redis_server: RedisServer) -> Iterator[Redis]:
    """Connect to an empty Redis; afterwards no key without a TTL or a bound may be left."""
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
        yield redis
        leaked = [key for key in _keys(redis) if _lasts(redis, key)]
        assert not leaked, f"keys without a TTL or a bound: {leaked}"


@pytest.fixture
def redis_url(redis_server: RedisServer, redis: Redis) -> str:  # noqa: ARG001 - emptied and checked
    """Where that Redis is found."""
    return redis_server.url


def _keys(redis: Redis) -> list[str]:
    return [key.decode() for key in redis.scan_iter(count=1000)]


def _lasts(redis: Redis, key: str) -> bool:
    ttl: Any = redis.ttl(key)
    return bool(ttl == -1 and not LASTING_KEYS.fullmatch(key))
