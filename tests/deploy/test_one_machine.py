"""One machine's fleet, by compose and by systemd: its files are sound, and what they say runs."""

import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import one_machine
from tests.support.charts import CHART, ROOT, Object, environment, named, rendered
from tests.support.one_machine import COMPOSE, EXAMPLE, POOL, UNITS, seconds, settings_of
from tests.support.running import Deployment, pings
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.jobs import Status
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.settings import known_variables

SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
OURS = [name for name in SERVICES if name != "redis"]
WORKER = f"worker-{POOL}"
WAYS: dict[str, tuple[str, Callable[[Path], list[Object]]]] = {
    "compose": ("redis", one_machine.of_compose),
    "systemd": ("127.0.0.1", one_machine.of_systemd),
}
#: Of the target: what is started without being named.
STARTED = ("redis", "router", WORKER, "exporter", "flower")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there"
)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_than_it_needs(name: str) -> None:
    """None runs as root, writes beside its volumes, gains rights or shows itself to the network."""
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(each.startswith("127.0.0.1:") for each in service.get("ports", ()))
    assert ("machine" in service["networks"]) is ("ports" in service)


def test_nobody_else_has_a_way_out() -> None:
    """The network that all share leads nowhere."""
    networks = yaml.safe_load(COMPOSE.read_text("utf-8"))["networks"]
    assert networks["fleet"] == {"internal": True}


def test_images_and_commands_are_the_charts() -> None:
    """What runs is what the chart runs, in the same images, under the same users of Redis."""
    objects = rendered()
    for component, name in (
        ("router", "router"),
        (f"pool-{POOL}", WORKER),
        ("exporter", "exporter"),
        ("flower", "flower"),
    ):
        if name == "exporter":
            objects = rendered(values={"metrics": {"enabled": True}})
        spec = named(objects, "Deployment", component)["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        service = SERVICES[name]
        image = service["image"].replace("${SMALLFIRST_REGISTRY:-}", "")
        assert re.sub(r"\$\{SMALLFIRST_VERSION:-([\d.]+)\}", r"\1", image) == container["image"]
        assert [one for one in service["command"] if "--address" not in one] == [
            one for one in container["command"] if "--address" not in one
        ]
        (source,) = (each["source"] for each in service["secrets"])
        key = environment(container)["SMALLFIRST_REDIS_URL"]["secretKeyRef"]["key"]
        assert key == f"{source}-url"


def test_redis_is_the_charts() -> None:
    """The same version, set up in the same way."""
    (container,) = named(rendered(), "StatefulSet", "redis")["spec"]["template"]["spec"][
        "containers"
    ]
    assert SERVICES["redis"]["image"] == container["image"]
    assert SERVICES["redis"]["command"] == container["command"]
    (exec_start,) = settings_of(EXAMPLE / "systemd" / "smallfirst-redis.service")["ExecStart"]
    of_chart = " ".join(word or '""' for word in container["command"][5:-2])
    assert of_chart in exec_start


def test_the_catalogue_is_valid() -> None:
    """Each pool of it has a worker in compose and an instance of the unit's to enable."""
    catalogue = load_catalogue(EXAMPLE / "catalogue" / "catalogue.yaml")
    assert list(catalogue.pools) == [POOL]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_gives_settings_that_there_are(path: Path) -> None:
    """No variable with our prefix that nobody reads, and a time to end in."""
    told = settings_of(path)
    names = {each.split("=")[0] for each in told.get("Environment", ())}
    assert {one for one in names if one.startswith("SMALLFIRST_")} <= known_variables()
    assert told["User"] == ["smallfirst"]


@pytest.mark.parametrize("way", ["compose", "systemd"])
def test_a_worker_may_finish_its_pass(way: str) -> None:
    """The grace is longer than the longest pass and the lease after it."""
    lease = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["leaseSeconds"]
    if way == "compose":
        longest = SERVICES[WORKER]["environment"]["SMALLFIRST_PASS_SECONDS"]
        grace = SERVICES[WORKER]["stop_grace_period"]
    else:
        told = settings_of(EXAMPLE / "systemd" / "smallfirst-worker@.service")
        given = dict(each.split("=", 1) for each in told["Environment"])
        longest, (grace,) = given["SMALLFIRST_PASS_SECONDS"], told["TimeoutStopSec"]
    assert seconds(grace) >= int(longest) + lease + 5


def test_the_page_names_what_there_is() -> None:
    """Each unit that is to be enabled and each service that is to be scaled."""
    page = (ROOT / "docs" / "how-to" / "one-machine.md").read_text("utf-8")
    started = page.partition("enable --now")[2]
    enabled = re.findall(r"\bsmallfirst-(\w+(?:@[\w-]+)?)(?= |\n)", started)
    assert enabled
    for name in enabled:
        unit = re.sub("@.*", "@", name)
        assert (EXAMPLE / "systemd" / f"smallfirst-{unit}.service").is_file(), name
    scaled = re.findall(r"--scale ([\w-]+)=|--detach\s+(worker-[\w-]+)", page)
    assert scaled
    assert {name for pair in scaled for name in pair if name} <= SERVICES.keys()


@needs_systemd
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """It knows each key and finds each unit; there is little that could be attacked."""
    for path in (EXAMPLE / "systemd").iterdir():
        text = path.read_text("utf-8").replace(
            "/opt/smallfirst/bin", str(Path(sys.executable).parent)
        )
        text = text.replace("/usr/bin/redis-server", find_binary())
        (tmp_path / path.name).write_text(text, "utf-8")
    files = sorted(map(str, tmp_path.iterdir()))
    done = analyzed("verify", *files)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for path in UNITS:
        done = analyzed("security", "--offline=yes", "--threshold=20", str(tmp_path / path.name))
        assert done.returncode == 0, done.stdout


def analyzed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the real systemd-analyze."""
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_what_is_drawn_is_kept_and_is_for_its_owner(tmp_path: Path) -> None:
    """A second run changes no password, a changed one keeps the old, and no folder is open."""
    folder = one_machine.prepared(tmp_path / "fleet", "redis")
    before = {path: path.read_bytes() for path in drawn(folder)}
    assert len({path.read_bytes() for path in (folder / "passwords").iterdir()}) == 7
    one_machine.draw(folder, "redis")
    assert {path: path.read_bytes() for path in drawn(folder)} == before
    for path in (folder, *(folder / name for name in ("passwords", "urls", "env"))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (*(folder / "env").iterdir(), folder / "flower.env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    old = (folder / "passwords" / "producer").read_text("utf-8")
    (folder / "passwords" / "producer").write_text(f"{old}\nnewer\n", "utf-8")
    one_machine.draw(folder, "redis")
    assert (folder / "urls" / "producer").read_text(
        "utf-8"
    ) == "redis://producer:newer@redis:6379/0"
    (line,) = re.findall(
        r"^user producer .*", (folder / "users.acl").read_text("utf-8"), re.MULTILINE
    )
    assert line.count(" #") == 2


def test_git_does_not_see_what_is_drawn(tmp_path: Path) -> None:
    """No password can be committed by mistake."""
    folder = one_machine.prepared(tmp_path / "fleet", "redis")
    own = {path.relative_to(EXAMPLE) for path in EXAMPLE.rglob("*")}
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    for path in drawn(folder):
        relative = path.relative_to(folder)
        top = EXAMPLE.relative_to(ROOT) / relative.parts[0]
        assert relative in own or {f"/{top}", f"/{top}/"} & set(ignored), relative


def drawn(folder: Path) -> list[Path]:
    """List the files of a prepared example."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(params=WAYS)
def fleet(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Deployment, dict[str, Any]]]:
    """Start all that starts by itself, Redis first."""
    host, read = WAYS[request.param]
    objects = read(one_machine.prepared(tmp_path / "example", host))
    deployment = Deployment(objects, tmp_path / "machine")
    running: dict[str, Any] = {}
    with ExitStack() as ending:
        for name in STARTED:
            spec = deployment.spec(one_machine.KINDS.get(name, "Deployment"), name)
            running[name] = deployment.start(spec, name)
            ending.callback(running[name].wait)
            ending.callback(running[name].kill)
        yield deployment, running


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
)
def test_the_fleet_answers_and_ends(
    fleet: tuple[Deployment, dict[str, Any]], wait_until: WaitUntil
) -> None:
    """What the files start becomes healthy, answers a job of each task, and ends when told to."""
    deployment, running = fleet
    wait_until(lambda: pings(deployment.url("scaler")), description="Redis answers", timeout=30)
    for name in STARTED:
        wait_until(
            lambda name=name: is_healthy(deployment, name),  # type: ignore[misc]
            description=f"{name} is healthy",
            timeout=120,
        )
    with Client(deployment.url("producer")) as client:
        jobs = [Job(task=task, text="IBAN DE89370400440532013000") for task in ("ids", "similar")]
        ids = client.submit_many(jobs)
        answered = {each: client.result(each, timeout=120) for each in ids}
    assert {result.status for result in answered.values()} == {Status.ANSWERED}
    for name in reversed(STARTED):
        running[name].terminate()
        assert running[name].wait(60) == 0, deployment.log_of(name).read_text("utf-8")


def is_healthy(deployment: Deployment, name: str) -> bool:
    """Run a service's own check; where systemd has none, its process is alive."""
    spec = deployment.spec(one_machine.KINDS.get(name, "Deployment"), name)
    check = spec["containers"][0]["check"]
    return not check or deployment.run(spec, name, check).wait(30) == 0
