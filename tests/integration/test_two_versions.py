"""Two versions of routers, workers and clients beside each other, as while one is rolled out."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from redis import Redis
from tests.support.versions import PREVIOUS_COMMIT, REPOSITORY, path_of, unpack_previous
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Result, Status
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.local.processes import Child, Command, stop_children
from smallfirst.local.redis_server import RedisServer

pytestmark = pytest.mark.timeout(180)

KEYS = Keys()
OWN = KEYS.of_producer("default")

Version = Literal["previous", "today"]
VERSIONS: tuple[Version, ...] = ("previous", "today")

#: A pool for a worker of each version, and tasks that climb from one to the other and back.
CATALOGUE = """
version: 1
pools:
  previous: {tier: slm, max_parameters: 30M}
  today: {tier: slm, max_parameters: 100M}
models:
  small: {source: "bundled:minilm", parameters: 23M}
  large: {source: "bundled:minilm", parameters: 60M}
tasks:
  ids: {kind: tag, labels: {card: payment card}, cascade: [{rule: {find: [card]}, accept: always}]}
  up:
    kind: classify
    labels: {good: content, bad: cross}
    examples:
      - {text: thank you so much, label: good}
      - {text: this was lovely, label: good}
      - {text: I am furious, label: bad}
      - {text: this is terrible, label: bad}
    cascade: [{model: small, accept: 1.0}, {model: large}]
  down:
    kind: classify
    labels: {good: content, bad: cross}
    examples:
      - {text: thank you so much, label: good}
      - {text: this was lovely, label: good}
      - {text: I am furious, label: bad}
      - {text: this is terrible, label: bad}
    cascade: [{model: large, accept: 1.0}, {model: small}]
"""

#: What a program of either version does; it tells first which version it is.
PRODUCER = """
import json, sys
import smallfirst
from smallfirst import Client, Job

print(smallfirst.__file__)
jobs = [Job(**fields) for fields in json.load(sys.stdin)]
with Client(sys.argv[1]) as client:
    if sys.argv[2] == "submit":
        client.submit_many(jobs)
    else:
        for result in client.map(jobs):
            print(result.to_json())
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[Version, Path]:
    """Where each version stands."""
    folder = tmp_path_factory.mktemp("previous")
    if not unpack_previous(folder):
        pytest.skip(f"no history of git here that reaches back to {PREVIOUS_COMMIT[:7]}")
    return {"previous": folder, "today": REPOSITORY}


class Fleet:
    """A Redis, and processes of either version."""

    def __init__(self, url: str, folder: Path, paths: Mapping[Version, Path]) -> None:
        self.url = url
        self._folder = folder
        self._paths = paths
        (folder / "catalogue.yaml").write_text(CATALOGUE, "utf-8")

    def child(self, version: Version, module: str, **own: str) -> Child:
        """Start a component of a version."""
        name = f"{module}-{version}"
        arguments = (sys.executable, "-m", module)
        child = Child(
            Command(name=name, arguments=arguments, environment=self._environment(version, **own)),
            self._folder,
        )
        child.start()
        return child

    @contextmanager
    def router(self, version: Version) -> Iterator[None]:
        """Have a router of a version, for a while."""
        child = self.child(version, "smallfirst_router")
        try:
            yield
        finally:
            assert stop_children([child]) == []

    def produce(self, version: Version, way: str, jobs: list[dict[str, Any]]) -> list[Result]:
        """Have a program of a version submit jobs, and return what it got."""
        command = [sys.executable, "-c", PRODUCER, self.url, way]
        done = subprocess.run(
            command,
            input=json.dumps(jobs),
            capture_output=True,
            env=self._environment(version),
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        place, *lines = done.stdout.splitlines()
        assert place.startswith(str(self._paths[version]))
        return [Result.model_validate_json(line) for line in lines]

    def _environment(self, version: Version, **own: str) -> dict[str, str]:
        path = path_of(self._paths[version])
        fleet = {
            "SMALLFIRST_REDIS_URL": self.url,
            "SMALLFIRST_CATALOGUE": str(self._folder / "catalogue.yaml"),
        }
        return {**os.environ, "PYTHONPATH": path, **fleet, **own}


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, paths: dict[Version, Path], wait_until: WaitUntil
) -> Iterator[Fleet]:
    """A worker of each version, and as yet no router."""
    folder = tmp_path_factory.mktemp("versions")
    with RedisServer(folder, persistent=False) as server:
        fleet = Fleet(server.url, folder, paths)
        workers = [
            fleet.child(each, "smallfirst_workers", SMALLFIRST_POOL=each) for each in VERSIONS
        ]
        with Redis.from_url(server.url) as redis:
            for version in VERSIONS:
                wait_until(
                    lambda: lives(redis, version),  # noqa: B023
                    description=f"the worker {version} lives: {[w.tail() for w in workers]}",
                    timeout=60,
                )
        yield fleet
        stop_children(workers)


def lives(redis: Redis, pool: str) -> bool:
    """Whether somebody works for a pool."""
    return Ledger(redis, KEYS, "test").lives.count(pool) > 0


def jobs_of(name: str) -> list[dict[str, Any]]:
    """A job for each way that there is through a fleet, under ids of their own."""
    shared = {"metadata": {"made": name}, "priority": "bulk"}
    return [
        {"id": f"{name}.rule", "task": "ids", "text": "my card is 4111 1111 1111 1111", **shared},
        {"id": f"{name}.up", "task": "up", "text": "thank you, lovely", **shared},
        {"id": f"{name}.down", "task": "down", "text": "this is terrible", "explain": True},
        {"id": f"{name}.tier", "task": "up", "text": "thanks", "last_tier": "rule"},
        {"id": f"{name}.nothing", "task": "nothing", "text": "hello"},
    ]


def check(results: list[Result], name: str) -> None:
    """Each job ended as it would with one version."""
    own = [result for result in results if result.id.startswith(f"{name}.")]
    ended = {result.id.removeprefix(f"{name}."): result for result in own}
    assert {way: result.status for way, result in ended.items()} == {
        "rule": Status.ANSWERED,
        "up": Status.ANSWERED,
        "down": Status.ANSWERED,
        "tier": Status.ABSTAINED,
        "nothing": Status.REFUSED,
    }
    for way, pools in {"up": ["previous", "today"], "down": ["today", "previous"]}.items():
        assert [attempt.pool for attempt in ended[way].trail] == pools
    assert ended["up"].metadata == {"made": name}


def test_two_versions_do_every_job_in_every_mix(fleet: Fleet) -> None:
    """Routers, workers and clients of either version, forth and back: all ends as with one.

    What was submitted while no router lived is answered by the next one, of another version. What
    was answered in the turn before stays, byte for byte, whoever submits it again. And an option
    that no router knows yet is refused by name, so routers are upgraded before producers.
    """
    turns: list[tuple[Version, Version]] = [
        ("previous", "today"),
        ("today", "previous"),
        ("previous", "today"),
    ]
    with Redis.from_url(fleet.url) as redis:
        earlier: list[str] = []
        for number, (routing, waiting) in enumerate(turns):
            before = answers(redis, earlier)
            names = [f"{number}-{each}" for each in ("waited", *VERSIONS)]
            fleet.produce(waiting, "submit", jobs_of(names[0]))
            newer = {**jobs_of(f"{number}-newer")[0], "zz_added": 1}
            redis.xadd(OWN.jobs, {"job": json.dumps(newer)})
            with fleet.router(routing):
                for client in VERSIONS:
                    asked = [*earlier, names[0], f"{number}-{client}"]
                    found = fleet.produce(client, "map", [j for n in asked for j in jobs_of(n)])
                    for name in asked:
                        check(found, name)
            # The name of a foreign field is hashed by now; the version before quotes it.
            assert why_refused(redis, newer["id"]).startswith(("unknown field", "unknown key"))
            assert before.items() <= answers(redis, earlier).items()
            earlier = names
        letters = [DeadLetter.model_validate_json(f[b"letter"]) for _, f in dead(redis)]
    assert {letter.reason for letter in letters} == {"unknown_task", "invalid"}


def answers(redis: Any, names: list[str]) -> dict[str, bytes]:
    """The results that stand, but for refusals, which take no id."""
    ids = [job["id"] for name in names for job in jobs_of(name) if job["task"] != "nothing"]
    found = redis.mget(map(OWN.result, ids)) if ids else []
    return {job_id: raw for job_id, raw in zip(ids, found, strict=True) if raw}


def why_refused(redis: Any, job_id: str) -> str:
    """What the producer of a refused job reads."""
    result = Result.model_validate_json(redis.get(OWN.result(job_id)))
    assert (result.status, result.problem is None) == (Status.REFUSED, False)
    return result.problem.message if result.problem else ""


def dead(redis: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Every dead letter."""
    return list(redis.xrange(KEYS.dead))
