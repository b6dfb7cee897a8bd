"""What the chart renders is run: pods probed and restarted, pool and router scaled, under load.

The rendered commands, variables, probes, graces and ScaledObjects are the product's; the kubelet,
KEDA and the autoscaler are played (`kubelet.py`, `keda.py`).
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.charts import PLAIN, named, rendered
from tests.support.invariants import assert_each_ended_once, assert_unchanged, digests, remains
from tests.support.keda import Autoscaler
from tests.support.kubelet import Kubelet, Pod
from tests.support.running import Deployment
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Priority, Result, Status
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.process.exit_codes import EXIT_TOLD

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
    ),
]

#: KEDA's and the autoscaler's clock goes this many times as fast as the processes' own: their
#: periods are meant for pods that take minutes to start.
SPEED = 20.0
KEYS = Keys()
OWN = KEYS.of_producer("default")
POOL = "cpu-small"
WORKERS = f"pool-{POOL}"
ROUTER = "router"
REPLICAS = {"redis": 1, ROUTER: 1, "exporter": 1, "flower": 1}
COOLDOWN_SECONDS = 120
SCALING = {
    "type": "keda",
    "minReplicas": 0,
    "maxReplicas": 2,
    "jobsPerReplica": 40,
    "cooldownSeconds": COOLDOWN_SECONDS,
    "stabilizationSeconds": 60,
}
ROUTER_SCALING = SCALING | {"minReplicas": 1, "maxReplicas": 3, "jobsPerReplica": 1000}
VALUES: dict[str, Any] = {
    "metrics": {"enabled": True},
    "router": {"autoscaling": ROUTER_SCALING},
    "pools": {
        POOL: {
            "passSeconds": 30,
            "graceMarginSeconds": 15,
            "startupSeconds": 120,
            "autoscaling": SCALING,
        }
    },
    # Often, and with patience for a machine that has little time for them.
    "probes": {
        "startup": {"periodSeconds": 1, "timeoutSeconds": 20},
        "liveness": {"periodSeconds": 3, "timeoutSeconds": 20},
        "readiness": {"periodSeconds": 2, "timeoutSeconds": 20},
    },
}
NUM_JOBS = 160
#: Enough that the most routers are wanted, as long as none takes them.
NUM_RULE_JOBS = 4000
#: What is said where jobs have to be done, or given, a second time.
MISHAPS = (
    "batch.failed",
    "batch.given_back",
    "entries.recovered",
    "lease.lost",
    "worker.handed_back",
    "worker.lost",
)
#: Long enough that a batch takes a while.
TEXT = "Where is my parcel? It should have come last week, and nobody answers. " * 25


@dataclass
class Cluster:
    """A release that runs: the pods, and who looks after them."""

    deployment: Deployment
    kubelet: Kubelet
    autoscalers: dict[str, Autoscaler]
    redis: Redis
    wait: WaitUntil

    def until(self, predicate: Callable[[], object], description: str) -> None:
        """Let everybody who looks after the pods do so until something is so."""

        def turn() -> object:
            for component, autoscaler in self.autoscalers.items():
                self.kubelet.scale(component, autoscaler.turn(monotonic() * SPEED))
            self.kubelet.turn()
            return predicate()

        self.wait(turn, description=description, timeout=200)

    def is_ready(self) -> bool:
        """Whether there are as many pods that take work as at rest."""
        return all(len(self.kubelet.ready(name)) == count for name, count in REPLICAS.items())

    def is_resting(self) -> bool:
        """Whether the pool has no pod, and the routers are one."""
        is_awake = self.autoscalers[WORKERS].replicas or self.kubelet.pods[WORKERS]
        return not is_awake and len(self.kubelet.pods[ROUTER]) == 1

    def busy(self) -> list[Pod]:
        """Workers that have entries in hand."""
        pending: Any = self.redis.xpending(KEYS.backlog(POOL, Priority.BULK), POOL_GROUP)
        holders = [one["name"].decode() for one in pending["consumers"] if one["pending"]]
        ready = self.kubelet.ready(WORKERS)
        return [pod for pod in ready if any(f"/{pod.pid}/" in name for name in holders)]

    def submit(self, name: str, count: int, task: str) -> list[str]:
        """Submit a burst."""
        jobs = [Job(id=f"{name}-{n}", task=task, text=f"{n} {TEXT}") for n in range(count)]
        with Client(self.deployment.url("producer")) as client:
            return client.submit_many(jobs)

    def has_results(self, ids: list[str]) -> bool:
        """Whether each of these jobs has its result."""
        return int(str(self.redis.exists(*map(OWN.result, ids)))) == len(ids)

    def results(self, ids: list[str]) -> list[Result]:
        """The results of jobs that have one."""
        found: Any = self.redis.mget([OWN.result(name) for name in ids])
        return [Result.model_validate_json(raw) for raw in found]

    def said(self, event: str) -> list[dict[str, Any]]:
        """What the processes logged under an event's name."""
        logs = [path.read_text() for path in self.deployment.folder.glob("*.log")]
        lines = [line for log in logs for line in log.splitlines() if f'"event": "{event}"' in line]
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Iterator[Cluster]:
    """Install the chart: everything runs, and the pool rests."""
    deployment = Deployment(rendered(values=VALUES), tmp_path_factory.mktemp("cluster"))
    specs = {name: named(deployment.objects, "ScaledObject", name) for name in (WORKERS, ROUTER)}
    # KEDA's next look is its next try.
    asking = Redis.from_url(deployment.url("scaler"), retry=Retry(NoBackoff(), 0))
    kubelet = Kubelet(deployment)
    with Redis.from_url(deployment.url("admin")) as redis, asking, closing(kubelet):
        scaled = {name: Autoscaler(one["spec"], asking) for name, one in specs.items()}
        cluster = Cluster(deployment, kubelet, scaled, redis, wait_until)
        for component, count in REPLICAS.items():
            kubelet.scale(component, count)
        cluster.until(cluster.is_ready, "all pods are ready")
        cluster.until(cluster.is_resting, "the pool rests")
        yield cluster


@dataclass
class Drill:
    """What was done to a cluster, and what came of it.

    Attributes:
        exit_codes: Of the containers of the chart's test, by task.
        digests: Of each result, when its burst was done.
        settled: What the workers said of their batches until Redis went away.
        mishaps: What the processes said by then of work that had to be done again.
    """

    cluster: Cluster
    exit_codes: dict[str, int | None]
    bursts: dict[str, list[str]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    settled: list[dict[str, Any]] = field(default_factory=list)
    mishaps: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def drill(cluster: Cluster) -> Drill:
    """Three bursts: a worker's node is drained, then the only router's, then Redis is away."""
    drill = Drill(cluster, exit_codes={})
    tests = helm_test(cluster)
    try:
        burst(drill, "drained", lambda: cluster.kubelet.delete(cluster.busy()[0]))
        cluster.until(lambda: all(t.poll() is not None for t in tests.values()), "the test ends")
    finally:
        for process in tests.values():
            process.kill()
            process.wait()
    drill.exit_codes = {name: process.returncode for name, process in tests.items()}
    burst_for_routers(drill)
    drill.settled = cluster.said("batch.settled")
    drill.mishaps = [one for event in MISHAPS for one in cluster.said(event)]
    cluster.until(cluster.is_resting, "the pool rests")
    burst(drill, "outage", lambda: take_redis_away(cluster))
    cluster.until(cluster.is_resting, "the pool rests again")
    return drill


def helm_test(cluster: Cluster) -> "dict[str, subprocess.Popen[bytes]]":
    """Start every container of the test's pod, as `helm test` does."""
    spec = cluster.deployment.spec("Pod", "test")
    names = [container["name"] for container in spec["containers"]]
    return {
        name: cluster.deployment.start(spec, f"test-{name}", container=place)
        for place, name in enumerate(names)
    }


def burst(drill: Drill, name: str, strike: Callable[[], None]) -> None:
    """Submit jobs, strike while both workers have a batch in hand, wait for all results."""
    cluster = drill.cluster
    ids = drill.bursts[name] = cluster.submit(name, NUM_JOBS, "similar")
    cluster.until(lambda: len(cluster.busy()) == 2, "two workers have a batch in hand")
    strike()
    answered(drill, ids)


def burst_for_routers(drill: Drill) -> None:
    """Drain the only router's node, and submit jobs before another router is started."""
    cluster = drill.cluster
    [router] = cluster.kubelet.ready(ROUTER)
    cluster.kubelet.delete(router)
    # Nobody looks after the pods meanwhile: no other router is there before the jobs are.
    cluster.wait(lambda: router.has_ended, description="the router has ended", timeout=60)
    ids = drill.bursts["routed"] = cluster.submit("routed", NUM_RULE_JOBS, "ids")
    answered(drill, ids)


def answered(drill: Drill, ids: list[str]) -> None:
    """Wait for all results of a burst, and note what they are."""
    cluster = drill.cluster
    cluster.until(lambda: cluster.has_results(ids), "every job has a result")
    drill.digests |= digests(cluster.redis, ids)


def take_redis_away(cluster: Cluster) -> None:
    """Stop Redis for longer than the pool's cooldown, and start it anew from its file."""
    cluster.kubelet.scale("redis", 0)
    cluster.until(lambda: not cluster.kubelet.pods["redis"], "Redis has ended")
    until = monotonic() + 1.2 * COOLDOWN_SECONDS / SPEED
    cluster.until(lambda: monotonic() > until, "the cooldown is over")
    cluster.kubelet.scale("redis", 1)
    cluster.until(cluster.is_ready, "all pods are ready again")


def test_the_pool_wakes_and_rests_twice(drill: Drill) -> None:
    """Jobs start a pool that rests; it grows with them, and goes to nothing when all is done.

    In between an outage of Redis, longer than the cooldown, sends nobody away.
    """
    history = drill.cluster.autoscalers[WORKERS].history
    assert [replicas for replicas in history if replicas != 1] == [0, 2, 0, 2, 0]


def test_routers_grow_with_what_waits_for_them(drill: Drill) -> None:
    """A burst at a router that is away brings the most there may be, and one stays in the end."""
    history = drill.cluster.autoscalers[ROUTER].history
    assert [replicas for replicas in history if replicas != 2] == [1, 3, 1]


def test_each_job_is_answered_once(drill: Drill) -> None:
    """Nothing is lost, no result changes afterwards, and nothing is left over."""
    cluster = drill.cluster
    ids = [name for burst in drill.bursts.values() for name in burst]
    results = cluster.results(ids)
    assert_each_ended_once(results, ids, {Status.ANSWERED})
    assert {len(result.trail) for result in results} == {1}
    assert_unchanged(cluster.redis, drill.digests)
    assert remains(cluster.redis, [POOL]) == {}


def test_each_job_is_started_once(drill: Drill) -> None:
    """Neither scaling nor a drained node has any work done twice."""
    assert sum(one["results"] for one in drill.settled) == NUM_JOBS + 1
    assert sum(one["fenced"] for one in drill.settled) == 0
    assert drill.mishaps == []


def test_nobody_is_cut_off(drill: Drill) -> None:
    """Whoever is sent away finishes what it has in hand, and ends within its grace by itself."""
    gone = drill.cluster.kubelet.gone
    assert len([pod for pod in gone if pod.name.startswith(WORKERS)]) >= 4
    assert len([pod for pod in gone if pod.name.startswith(ROUTER)]) >= 3
    assert [pod.name for pod in gone if pod.is_killed] == []
    # One may have been sent away before it had loaded its models.
    codes = {pod.name: pod.exit_code for pod in gone if pod.is_started}
    assert set(codes.values()) == {0}, codes
    assert {pod.exit_code for pod in gone} <= {0, EXIT_TOLD}


def test_probes_are_content_and_nothing_restarts(drill: Drill) -> None:
    """From start-up to end every pod lives and takes work, whether or not Redis is there."""
    pods = [*drill.cluster.kubelet.all, *drill.cluster.kubelet.gone]
    assert {pod.name: pod.faults for pod in pods if pod.faults or pod.num_restarts} == {}
    assert {"redis-0", "redis-1"} <= {pod.name for pod in pods}


def test_the_chart_s_own_test_passes(drill: Drill) -> None:
    """`helm test` has a container for each task, and a pool that rests is woken by it."""
    tasks = yaml.safe_load(PLAIN.read_text("utf-8"))["catalogue"]["content"]
    assert drill.exit_codes == dict.fromkeys(yaml.safe_load(tasks)["tasks"], 0)
