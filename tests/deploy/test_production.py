"""The production guide, followed as it stands: from an empty cluster to a restored backup.

helm, kubectl, Redis, routers, workers and the command line are real; the API server remembers and
runs nothing, so pods are run, from what it holds, by the played kubelet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import yaml
from redis.exceptions import RedisError
from tests.support.guide import PAGE, Guided, as_rendered, guided
from tests.support.invariants import assert_each_ended_once
from tests.support.kube_api import Cluster, api_server
from tests.support.kubelet import Kubelet
from tests.support.pages import texts_of
from tests.support.running import Deployment
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Result, Status
from smallfirst.ledger.keys import Keys
from smallfirst.local.redis_server import find_binary, version_of

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
    ),
]
OWN = Keys().of_producer("shop")
POOL = "pool-cpu-small"
#: Of the pods that the page has, one of each is enough to follow it.
REPLICAS = {"router": 1, POOL: 1}
NUM_JOBS = 60
TEST = "helm test acme --namespace mail --timeout 6m --logs\n"


@dataclass
class Fleet:
    """What the page has brought about, and who looks after its pods."""

    someone: Guided
    cluster: Cluster
    wait: WaitUntil
    kubelet: Kubelet | None = None
    deployment: Deployment | None = None
    #: What each block printed.
    said: dict[str, str] = field(default_factory=dict)
    #: Results before the backup, and after the copy is restored, by id.
    kept: dict[str, bytes] = field(default_factory=dict)
    results: dict[str, bytes] = field(default_factory=dict)

    def until(self, predicate: Callable[[], object], description: str) -> None:
        """Let the kubelet look after the pods until something is so."""

        def turn() -> object:
            assert self.kubelet is not None
            self.kubelet.turn()
            return predicate()

        self.wait(turn, description=description, timeout=240)

    def run_pods(self) -> None:
        """Run what the cluster was told of, until every pod is ready."""
        folder = self.someone.folder / "pods"
        folder.mkdir()
        hooks = yaml.safe_load_all(self.someone.follow("helm get hooks acme --namespace mail"))
        self.deployment = Deployment([*as_rendered(self.cluster), *filter(None, hooks)], folder)
        kubelet = self.kubelet = Kubelet(self.deployment)
        for component, count in REPLICAS.items():
            kubelet.scale(component, count)
        self.until(
            lambda: all(len(kubelet.ready(name)) == many for name, many in REPLICAS.items()),
            "all pods are ready",
        )

    def test_release(self) -> list[int]:
        """Run the containers of the chart's test, as `helm test` does; give their exit codes."""
        assert self.deployment is not None
        spec = self.deployment.spec("Pod", "test")
        tests = [
            self.deployment.start(spec, f"test-{place}", container=place)
            for place in range(len(spec["containers"]))
        ]
        self.until(lambda: all(each.poll() is not None for each in tests), "the test ends")
        return [each.returncode for each in tests]

    def submit(self, first: int, last: int) -> None:
        """Submit jobs of the page's producer under ids that are numbers."""
        lines = f'for n in $(seq {first} {last}); do echo "Where is parcel $n?"; done > rows.txt\n'
        program = (
            "from smallfirst import Client, Job\n"
            "rows = open('rows.txt').read().splitlines()\n"
            "with Client() as client:\n"
            f"    client.submit_many([Job(id=f'drill-{{n}}', task='topic', text=row)"
            f" for n, row in enumerate(rows, {first})])\n"
        )
        self.someone.follow(f'{lines}python -c "{program}"')

    def found(self, first: int, last: int) -> dict[str, bytes]:
        """The results of those that have one."""
        ids = [f"drill-{n}" for n in range(first, last + 1)]
        try:
            with self.someone.connect() as redis:
                raw = redis.mget([OWN.result(one) for one in ids])
        except RedisError:
            return {}
        return {one: each for one, each in zip(ids, raw, strict=True) if each is not None}

    def answered(self, first: int, last: int) -> dict[str, bytes]:
        """Wait for all their results."""
        count = last - first + 1
        self.until(lambda: len(self.found(first, last)) == count, "each job has its result")
        return self.found(first, last)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Iterator[Fleet]:
    """Follow the page from its first block to its last, with the drill that it describes."""
    folder = tmp_path_factory.mktemp("guide")
    with api_server() as (cluster, port), guided(folder, port) as someone:
        fleet = Fleet(someone, cluster, wait_until)
        try:
            for block in texts_of(PAGE, "sh"):
                fleet.said[block] = follow(fleet, block)
            yield fleet
        finally:
            if fleet.kubelet is not None:
                fleet.kubelet.close()


def follow(fleet: Fleet, block: str) -> str:
    """Run a block, and before and after it what the page's words say besides."""
    someone = fleet.someone
    if "doctor || true" in block:
        someone.start_redis()
        fleet.wait(lambda: pings(someone), description="Redis answers")
    if block.startswith(TEST):
        fleet.run_pods()
        assert set(fleet.test_release()) == {0}
        return someone.follow(block.removeprefix(TEST))
    if "--rdb" in block:
        fleet.submit(1, NUM_JOBS)
        fleet.kept = fleet.answered(1, NUM_JOBS)
        fleet.submit(NUM_JOBS + 1, 2 * NUM_JOBS)
    if "dump.rdb" in block:
        fleet.submit(2 * NUM_JOBS + 1, 3 * NUM_JOBS)
        someone.kill_redis()
        said = someone.follow(block)
        fleet.submit(1, 3 * NUM_JOBS)
        fleet.results = fleet.answered(1, 3 * NUM_JOBS)
        return said
    return someone.follow(block)


def pings(someone: Guided) -> bool:
    """Whether Redis answers its administrator."""
    try:
        with someone.connect() as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def test_the_first_job_is_answered(fleet: Fleet) -> None:
    """Every step to it is written down; its answer is printed."""
    (said,) = [said for block, said in fleet.said.items() if "smallfirst submit" in block]
    assert "delivery" in said


def test_nothing_is_lost_with_redis(fleet: Fleet) -> None:
    """After a restored copy each job has one result, and those that had theirs have it still."""
    results = [Result.model_validate_json(raw) for raw in fleet.results.values()]
    ids = [f"drill-{n}" for n in range(1, 3 * NUM_JOBS + 1)]
    assert_each_ended_once(results, ids, {Status.ANSWERED, Status.ABSTAINED})
    assert {one: fleet.results[one] for one in fleet.kept} == fleet.kept


def test_pods_need_no_restart(fleet: Fleet) -> None:
    """Routers and workers wait for a Redis that is restored, and go on by themselves."""
    assert fleet.kubelet is not None
    assert {pod.name: pod.faults for pod in fleet.kubelet.all if pod.faults} == {}


def test_the_cluster_never_learns_of_the_administrator(fleet: Fleet) -> None:
    """No object holds its password, and none but Secrets any other's."""
    passwords = [path.read_text().strip() for path in (fleet.someone.folder / "users").iterdir()]
    admin = (fleet.someone.folder / "admin.password").read_text().strip()
    for one in as_rendered(fleet.cluster):
        assert admin not in str(one)
        assert one["kind"] == "Secret" or not any(each in str(one) for each in passwords)


def test_the_restored_redis_writes_its_file(fleet: Fleet) -> None:
    """It is as durable as the one before."""
    with fleet.someone.connect() as redis:
        assert redis.config_get("appendonly") == {"appendonly": "yes"}
        assert redis.info("persistence")["aof_enabled"] == 1


def test_a_rollback_goes_back(fleet: Fleet) -> None:
    """The page's upgrade had three routers, and the release has two again."""
    router = fleet.cluster.of("Deployment")["acme-smallfirst-router"]
    assert router["spec"]["replicas"] == 2
