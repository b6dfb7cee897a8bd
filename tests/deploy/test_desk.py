"""The desk of the chart: no way to it but over HTTPS and by signing in; and it runs as rendered."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import environment, named, of_kind, refusal, rendered
from tests.support.desks import PASSWORD, Browser
from tests.support.running import Deployment, can_mount, has_ipv6, pings
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst_desk.proxy import networks_of
from smallfirst_desk.users import Role, Users, added

CATALOGUE = """
version: 1
pools:
  cpu-small: {tier: slm, max_parameters: 50M, price_per_hour: 0.05}
models:
  minilm: {source: "bundled:minilm", parameters: 22.7M}
tasks:
  similar: {kind: embed, cascade: [{model: minilm}]}
  topic:
    kind: classify
    labels: {a: One., b: Two.}
    cascade: [{person: {wait: 1h}}]
"""
USERS = yaml.safe_dump(
    added(Users(), "ann", PASSWORD, role=Role.LEAD, tasks=["topic"]).model_dump(mode="json")
)
#: Where the desk listens in its pod, and where it is found here.
LISTEN, HERE = ("::", "[::1]") if has_ipv6() else ("0.0.0.0", "127.0.0.1")  # noqa: S104
ON: dict[str, Any] = {"enabled": True, "auth": {"users": USERS}}
#: Ways that would show texts, or take passwords, in the clear; and what makes each of them fit.
OPEN_WAYS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"ingress": {"enabled": True, "host": "desk.example.com"}},
        {"ingress": {"tlsSecret": "desk-tls"}},
        "desk.ingress would show texts without HTTPS",
    ),
    (
        {"ingress": {"enabled": True, "tlsSecret": "desk-tls"}},
        {"ingress": {"host": "desk.example.com"}},
        "set desk.ingress.host",
    ),
    (
        {"httpRoute": {"enabled": True, "hostnames": ["d.example.com"]}},
        {"httpRoute": {"parentRefs": [{"name": "gateway", "sectionName": "https"}]}},
        "desk.httpRoute.parentRefs and desk.httpRoute.hostnames are needed",
    ),
    (
        {
            "httpRoute": {
                "enabled": True,
                "hostnames": ["d.example.com"],
                "parentRefs": [{"name": "gateway"}],
            }
        },
        {"httpRoute": {"parentRefs": [{"name": "gateway", "sectionName": "https"}]}},
        "desk.httpRoute would show texts without HTTPS: set sectionName of the parentRef gateway",
    ),
]


def with_desk(desk: dict[str, Any]) -> dict[str, Any]:
    """Values with a catalogue that asks people, and this desk."""
    return {"catalogue": {"content": CATALOGUE}, "desk": desk}


@pytest.mark.parametrize(("way", "mend", "told"), OPEN_WAYS, ids=[told for *_, told in OPEN_WAYS])
def test_no_way_leads_to_it_in_the_clear(
    way: dict[str, Any], mend: dict[str, Any], told: str
) -> None:
    """A host and its certificate are needed, or a listener that is named; then it is rendered."""
    assert told in refusal(with_desk(ON | way))
    merged = {name: each | mend.get(name, {}) for name, each in way.items()}
    container = _container(rendered(values=with_desk(ON | merged)))
    assert environment(container)["SMALLFIRST_DESK_HTTPS"] == "true"


def test_nobody_is_let_in_whom_no_file_names() -> None:
    """A desk without users is refused."""
    assert "set desk.auth.users" in refusal(with_desk({"enabled": True}))


IN = {"ingress": {"enabled": True, "host": "desk.example.com", "tlsSecret": "desk-tls"}}
OIDC = {"issuer": "https://id.example.com:8443/realm", "clientId": "desk"}


@pytest.mark.parametrize(
    ("auth", "more", "told"),
    [
        ({"proxy": {"header": "X-User"}}, {}, "desk.auth.proxy.from is needed"),
        ({"proxy": {"from": ["10.0.0.0/8"]}}, {}, "desk.auth.proxy.header is needed"),
        ({"oidc": {"issuer": "https://id.example.com"}}, IN, "desk.auth.oidc.clientId is needed"),
        ({"oidc": OIDC}, {}, "set desk.ingress or desk.httpRoute"),
        ({"oidc": OIDC}, IN, "desk.auth.oidc.peers is needed where networkPolicy.enabled"),
        ({"oidc": {"clientId": "desk"}}, IN, "desk.auth.oidc.issuer is needed"),
        ({"oidc": OIDC | {"issuer": "http://id.example.com"}}, IN, "schema"),
        ({"proxy": {"header": "X-User", "from": ["everybody"]}}, {}, "schema"),
    ],
)
def test_half_a_way_to_sign_in_is_refused(
    auth: dict[str, Any], more: dict[str, Any], told: str
) -> None:
    """A header of anybody's, a provider that cannot send people back, or one in the clear."""
    assert told in refusal(with_desk(ON | {"auth": ON["auth"] | auth} | more))


def test_a_provider_is_reached_on_its_port_alone() -> None:
    """The desk knows both names, the client's secret is a file, and the way out is one."""
    peers = [{"ipBlock": {"cidr": "10.9.0.0/16"}}]
    oidc = OIDC | {"existingSecret": "desk-client", "peers": peers}
    auth = {"users": USERS, "oidc": oidc}
    objects = rendered(values=with_desk(ON | {"auth": auth} | IN))
    given = environment(_container(objects))
    assert given["SMALLFIRST_DESK_OIDC_ISSUER"] == OIDC["issuer"]
    assert given["SMALLFIRST_DESK_URL"] == "https://desk.example.com"
    mounts = {one["name"]: one["mountPath"] for one in _container(objects)["volumeMounts"]}
    assert given["SMALLFIRST_DESK_OIDC_SECRET_FILE"] == f"{mounts['desk-oidc']}/client-secret"
    rules = named(objects, "NetworkPolicy", "desk")["spec"]["egress"]
    assert {"to": peers, "ports": [{"port": 8443, "protocol": "TCP"}]} in rules


def test_a_proxy_is_believed_from_its_own_networks() -> None:
    """The chart tells the desk both, and the desk reads them."""
    proxy = {"header": "X-User", "from": ["10.0.0.0/8", "fd00::/8"]}
    objects = rendered(values=with_desk(ON | {"auth": {"users": USERS, "proxy": proxy}}))
    given = environment(_container(objects))
    assert given["SMALLFIRST_DESK_PROXY_HEADER"] == "X-User"
    assert [str(each) for each in networks_of(given["SMALLFIRST_DESK_PROXY_FROM"])] == proxy["from"]


def test_a_way_to_no_desk_is_refused() -> None:
    """An Ingress without a desk would lead nowhere."""
    way = {"elsewhere": True, "ingress": {"enabled": True, "host": "d", "tlsSecret": "s"}}
    assert "lead to a desk" in refusal(with_desk(way))


def test_a_task_that_asks_people_needs_a_desk() -> None:
    """In the release, or elsewhere; else all its jobs would wait in vain."""
    told = refusal(with_desk({}))
    assert "the catalogue has topic ask a person, and no desk runs" in told
    objects = rendered(values=with_desk({"elsewhere": True}))
    assert not [each for each in objects if each["metadata"]["name"].endswith("-desk")]


def test_the_test_of_the_release_waits_for_nobody() -> None:
    """A job that may wait for a person for days is not what `helm test` submits, unless named."""
    tested = named(rendered(values=with_desk(ON)), "Pod", "test")["spec"]["containers"]
    assert [each["name"] for each in tested] == ["similar"]
    told = with_desk(ON) | {"test": {"jobs": {"topic": "hello"}}}
    tested = named(rendered(values=told), "Pod", "test")["spec"]["containers"]
    assert {each["name"] for each in tested} == {"similar", "topic"}


@pytest.mark.parametrize("name", ["DESK_HTTPS", "DESK_SECRET", "DESK_USERS", "DESK_HOST"])
def test_no_setting_undoes_it(name: str) -> None:
    """What the chart decides cannot be told otherwise."""
    values = with_desk(ON | {"settings": {name: "x"}})
    assert f"desk: settings.{name} comes from another value" in refusal(values)


def test_it_keeps_answers_only_where_told() -> None:
    """Texts are written to a claim that somebody named, and to no other place."""
    assert "SMALLFIRST_DESK_ANSWERS" not in environment(_container(rendered(values=with_desk(ON))))
    objects = rendered(values=with_desk(ON | {"keep": {"existingClaim": "answers"}}))
    assert environment(_container(objects))["SMALLFIRST_DESK_ANSWERS"].startswith("/var/lib/")
    volumes = named(objects, "Deployment", "desk")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "kept", "persistentVolumeClaim": {"claimName": "answers"}} in volumes


def test_beside_a_cluster_it_reaches_no_broker() -> None:
    """It is no client of Celery's, and has neither a password nor a way there."""
    objects = rendered("redis-cluster", values={"desk": ON})
    assert "@" not in environment(_container(objects))["SMALLFIRST_BROKER_URL"]
    rules = named(objects, "NetworkPolicy", "desk")["spec"]["egress"]
    assert 6380 not in [port["port"] for rule in rules for port in rule["ports"]]


@pytest.fixture
def deployment(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Deployment]:
    """The chart's Redis, a router and a desk, each as its pod would run."""
    values = with_desk(ON) | {"secretsAsFiles": can_mount(), "listenAddress": LISTEN}
    deployment = Deployment(rendered(values=values), tmp_path)
    with ExitStack() as running:

        def start(kind: str, name: str) -> None:
            process = deployment.start(deployment.spec(kind, name), name)
            running.callback(process.wait, 20)
            running.callback(process.terminate)

        start("StatefulSet", "redis")
        wait_until(lambda: pings(deployment.url("desk")), description="Redis answers")
        start("Deployment", "router")
        start("Deployment", "desk")
        yield deployment


@pytest.mark.timeout(120)
@pytest.mark.skipif(version_of(find_binary()) < (7, 0), reason="access rules need Redis 7 on PATH")
def test_a_person_answers_at_what_was_rendered(
    deployment: Deployment, wait_until: WaitUntil
) -> None:
    """Its probes pass; a job comes, under its own user of Redis, and has its answer."""
    spec = deployment.spec("Deployment", "desk")
    probe = spec["containers"][0]["readinessProbe"]["exec"]["command"]

    def is_ready() -> bool:
        return deployment.run(spec, "desk", probe).wait(20) == 0

    wait_until(is_ready, description="the desk is ready", timeout=60)
    with Client(deployment.url("producer")) as client:
        job_id = client.submit(Job(task="topic", text="hello"))
        browser = Browser(f"http://{HERE}:{deployment.ports['8470']}")
        browser.sign_in("ann")

        def begun() -> bool:
            browser.begin()
            return "/jobs/" in browser.path

        wait_until(begun, description="the job waits for a person", timeout=60)
        browser.answer(label="b")
        assert client.result(job_id, timeout=30).answer.label == "b"  # type: ignore[union-attr]
        browser.close()


def _container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = named(objects, "Deployment", "desk")["spec"]["template"]["spec"]["containers"]
    assert of_kind(objects, "Service")
    return found
