"""The fleet of one machine as the chart's rendering would be: compose's services, systemd's units.

Each becomes a pod of one container, so that `running.Deployment` runs what stands in the files:
commands, variables, health checks. Passwords, addresses and users are those that `prepare.sh` drew.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.support.charts import RELEASE, ROOT, Object
from tests.support.running import HOST

EXAMPLE = ROOT / "examples" / "one_machine"
COMPOSE = EXAMPLE / "compose.yaml"
UNITS = sorted((EXAMPLE / "systemd").glob("*.service"))
#: The one pool of the example's catalogue.
POOL = "cpu-small"
#: Of which kind the chart renders each; all others are Deployments.
KINDS = {"redis": "StatefulSet"}


def prepared(folder: Path, host: str) -> Path:
    """Copy the example and draw its passwords, as README.md says; return its folder."""
    shutil.copytree(EXAMPLE, folder)
    draw(folder, host)
    return folder


def draw(folder: Path, host: str) -> None:
    """Run the example's script, with the command line of this environment."""
    command_line = f"{sys.executable} -m smallfirst"
    done = subprocess.run(
        ["sh", "prepare.sh", host],
        cwd=folder,
        env={**os.environ, "SMALLFIRST": command_line},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def of_compose(folder: Path) -> list[Object]:
    """Read compose.yaml and what was drawn for it."""
    read = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))
    pods = [_of_service(folder, name, one) for name, one in read["services"].items()]
    return [*pods, *_shared(folder, "redis:6379")]


def of_systemd(folder: Path) -> list[Object]:
    """Read the units and what was drawn for them."""
    pods = [_of_unit(folder, path) for path in sorted((folder / "systemd").glob("*.service"))]
    return [*pods, *_shared(folder, "127.0.0.1:6379")]


def settings_of(unit: Path) -> dict[str, list[str]]:
    """Read a unit: each key's values, in order, of all its sections; `%i` is the pool."""
    text = unit.read_text("utf-8").replace("%i", POOL)
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def _shared(folder: Path, host: str) -> list[Object]:
    """Make the objects that all pods draw from: the Secret of addresses, the catalogue."""
    urls = {
        f"{path.name}-url": path.read_text("utf-8").replace(f"@{host}/", f"@{HOST}/")
        for path in (folder / "urls").iterdir()
    }
    users = (folder / "users.acl").read_text("utf-8")
    catalogue = {
        path.name: path.read_text("utf-8") for path in (folder / "catalogue").glob("*.yaml")
    }
    return [
        {"kind": "Secret", "metadata": _named("redis"), "stringData": {"users.acl": users, **urls}},
        {"kind": "ConfigMap", "metadata": _named("catalogue"), "data": catalogue},
    ]


def _of_service(folder: Path, name: str, service: Mapping[str, Any]) -> Object:
    variables = {key: str(value) for key, value in service.get("environment", {}).items()}
    for file in service.get("env_file", ()):
        variables |= dict(_lines(folder / file))
    check = [
        word.replace("$$", "$").replace("/run/secrets/", f"{folder}/passwords/")
        for word in service["healthcheck"]["test"][1:]
    ]
    mounts = {each.split(":")[1]: each for each in service.get("volumes", ())}
    mounts |= {each.split(":")[0]: each for each in service.get("tmpfs", ())}
    user = next((each["source"] for each in service.get("secrets", ()) if "source" in each), None)
    return _pod(
        name,
        command=service["command"],
        variables=variables,
        user=user,
        check=check,
        mounts=mounts,
        grace=service["stop_grace_period"],
    )


def _of_unit(folder: Path, path: Path) -> Object:
    name = path.stem.removeprefix("smallfirst-").replace("@", f"-{POOL}")
    told = settings_of(folder / "systemd" / path.name)
    files = [Path(each).name for each in told.get("EnvironmentFile", ())]
    variables = dict(each.split("=", 1) for each in told.get("Environment", ()))
    for file in files:
        place = folder / "env" / file if (folder / "env" / file).is_file() else folder / file
        variables |= dict(_lines(place))
    has_address = variables.pop("SMALLFIRST_REDIS_URL", None) is not None
    first, *words = shlex.split(told["ExecStart"][0])
    mounts = {each: f"{each}:" for each in told.get("ReadWritePaths", ())}
    for key, above in (("Runtime", "/run"), ("Cache", "/var/cache"), ("State", "/var/lib")):
        mounts |= {f"{above}/{each}": "" for each in told.get(f"{key}Directory", ())}
    return _pod(
        name,
        command=[Path(first).name, *words],
        variables=variables,
        user=name if has_address else None,
        check=[],
        mounts=mounts | {"/etc/smallfirst": "", "/etc/smallfirst/catalogue": ""},
        grace=told["TimeoutStopSec"][0],
    )


def _pod(
    name: str,
    *,
    command: list[str],
    variables: Mapping[str, str],
    user: str | None,
    check: list[str],
    mounts: Mapping[str, str],
    grace: str,
) -> Object:
    address = {"secretKeyRef": {"name": _named("redis")["name"], "key": f"{user}-url"}}
    env: list[Object] = [{"name": key, "value": value} for key, value in variables.items()]
    if user:
        env.append({"name": "SMALLFIRST_REDIS_URL", "valueFrom": address})
    volumes = dict(_volumes(mounts))
    container = {
        "name": name.partition("-")[0],
        "command": command,
        "env": env,
        "volumeMounts": [{"name": each, "mountPath": path} for path, each in volumes.items()],
        "check": check,
    }
    shared = {"users", "catalogue"}
    spec = {
        "containers": [container],
        "volumes": [{"name": one, "emptyDir": {}} for one in volumes.values() if one not in shared],
        "terminationGracePeriodSeconds": seconds(grace),
    }
    kind = KINDS.get(name, "Deployment")
    return {"kind": kind, "metadata": _named(name), "spec": {"template": {"spec": spec}}}


def _volumes(mounts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name the volume at each path; those of the users and the catalogue all pods share."""
    for path in mounts:
        if path.endswith("users.acl") or path == "/etc/smallfirst":
            yield path.removesuffix("/users.acl"), "users"
        elif path.endswith("/catalogue"):
            yield path, "catalogue"
        else:
            yield path, path.strip("/").replace("/", "-")


def seconds(told: str) -> int:
    """Read a time as compose and systemd write it: 330s, 1m, 330."""
    number, unit = re.fullmatch(r"(\d+)([sm]?)", told).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "m" else 1)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        key, _, value = line.partition("=")
        yield key, value


def _named(name: str) -> Object:
    return {"name": f"{RELEASE}-smallfirst-{name}"}
