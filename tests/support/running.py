"""What a rendering would run, run here as processes: folders stand for volumes, ports for Services.

A command, its variables and its probes are the rendered ones; only what a container's file system
and network would give (mounted paths, ports, the host of Redis) is replaced by its place here.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from tests.support.charts import NAMESPACE, RELEASE, Object, environment, named, of_kind

from smallfirst.local.redis_server import find_binary, free_port

#: The host of the chart's own Redis.
HOST = f"{RELEASE}-smallfirst-redis.{NAMESPACE}.svc:6379"
#: Where the chart mounts the certificate of who signed Redis's.
REDIS_CA = "/etc/smallfirst/redis-ca"
#: Ports that the chart renders: of Redis, the exporter, Flower and the desk.
PORTS = ("6379", "9464", "5555", "8470")
METRICS_PORT = "SMALLFIRST_METRICS_PORT"
#: Where a pod listens whose port others may reach, and where it does here.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
#: Where a pod's secrets are files, for its processes alone.
SECRETS = "/run/secrets"
#: Runs a command that finds a folder at that place: what a container's own file system would give.
WITH_SECRETS = (
    *("unshare", "--map-root-user", "--mount", "sh", "-ec"),
    f'mount -t tmpfs none /run; mkdir {SECRETS}; mount --bind "$0" {SECRETS}; exec "$@"',
)


@cache
def can_mount() -> bool:
    """Whether a process may have a file system of its own here, for its secrets."""
    command = [*WITH_SECRETS, "/tmp", "true"]
    return shutil.which("unshare") is not None and not subprocess.call(
        command, stderr=subprocess.DEVNULL
    )


@cache
def has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class Deployment:
    """A rendering and the folder in which its volumes lie."""

    def __init__(self, objects: list[Object], folder: Path) -> None:
        self.objects = objects
        self.folder = folder
        self.ports = {port: free_port() for port in PORTS}
        self._metrics_ports: dict[str, str] = {}
        self._secrets: dict[str, Mapping[str, str]] = {
            each["metadata"]["name"]: each["stringData"] for each in of_kind(objects, "Secret")
        }
        #: That of Redis: of the chart's own, or of another's addresses.
        self.secret = next(each for each in self._secrets.values() if "router-url" in each)
        self._write("users", {"users.acl": self.secret["users.acl"]})
        self._write("catalogue", named(objects, "ConfigMap", "catalogue")["data"])
        for each in self._secrets.values():
            if set(each) == {"ca.crt"}:
                self._write("redis-ca", each)
        if desk := self._secrets.get(f"{RELEASE}-smallfirst-desk"):
            self._write("desk-users", {"users.yaml": desk["users.yaml"]})

    @property
    def port(self) -> int:
        """Where Redis listens."""
        return self.ports["6379"]

    def url(self, role: str) -> str:
        """A role's address from the Secret, where the server is here."""
        told = str(self.secret[f"{role}-url"]).replace(HOST, f"127.0.0.1:{self.port}")
        return told.replace(REDIS_CA, str(self.folder / "volumes" / "redis-ca"))

    def spec(self, kind: str, component: str) -> Object:
        """Take the specification of a component's pods."""
        spec = named(self.objects, kind, component)["spec"]
        found: Object = spec.get("template", {"spec": spec})["spec"]
        return found

    def start(self, spec: Object, name: str, *, container: int = 0) -> "subprocess.Popen[bytes]":
        """Start the command of one of a pod's containers; what it says is appended to its log."""
        return self.run(spec, name, spec["containers"][container]["command"], container=container)

    def run(
        self, spec: Object, name: str, command: list[str], *, container: int = 0
    ) -> "subprocess.Popen[bytes]":
        """Run a command in one of a pod's containers, as `kubectl exec` would."""
        within = spec["containers"][container]
        mounts = self._mounts(spec, within, name)
        words = self._command(command, mounts)
        if SECRETS in mounts:
            words = [*WITH_SECRETS, mounts[SECRETS], *words]
        with self.log_of(name).open("ab") as log:
            return subprocess.Popen(
                words, env=self._environment(spec, within, name), stdout=log, stderr=log
            )

    def log_of(self, name: str) -> Path:
        """Where a pod's words are kept."""
        return self.folder / f"{name}.log"

    def _write(self, volume: str, files: Mapping[str, str]) -> None:
        folder = self.folder / "volumes" / volume
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_text(content, "utf-8")

    def _mounts(self, spec: Object, container: Object, pod: str) -> dict[str, str]:
        """Map each mounted path to a folder: empty volumes and secrets are the pod's own."""
        volumes = spec.get("volumes", ())
        own = {one["name"] for one in volumes if "emptyDir" in one or "projected" in one}
        found = {}
        for mount in container["volumeMounts"]:
            above = self.folder / (pod if mount["name"] in own else "volumes")
            (above / mount["name"]).mkdir(parents=True, exist_ok=True)
            found[mount["mountPath"]] = str(above / mount["name"])
        for volume in volumes:
            if "projected" in volume:
                self._write_secrets(volume["projected"], self.folder / pod / volume["name"])
        return found

    def _write_secrets(self, projected: Object, folder: Path) -> None:
        """Lay keys of Secrets out as files, each under the name that the volume says."""
        folder.mkdir(parents=True, exist_ok=True)
        for source in projected["sources"]:
            for item in source["secret"]["items"]:
                held = self._held(source["secret"]["name"], item["key"])
                # A process may be reading it: a probe writes nothing anew.
                if not (folder / item["path"]).exists():
                    (folder / item["path"]).write_text(held, "utf-8")

    def _held(self, secret: str, key: str) -> str:
        """What a key of a Secret holds, an address with the server that is here."""
        return (
            self.url(key.removesuffix("-url"))
            if key.endswith("-url")
            else str(self._secrets[secret][key])
        )

    def _command(self, command: list[str], mounts: Mapping[str, str]) -> list[str]:
        words = [_placed(self._ported(word), mounts) for word in command]
        words = [word.replace("redis-cli ", f"redis-cli -p {self.port} ") for word in words]
        words = ["--address=::1" if word == "--address=::" else word for word in words]
        if words[0] == "redis-server":
            # In a pod everybody's address is its own.
            return [find_binary(), *words[1:], "--bind", "127.0.0.1"]
        return words

    def _ported(self, word: str) -> str:
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: str(self.ports[found[0]]), word)

    def _environment(self, spec: Object, container: Object, pod: str) -> dict[str, str]:
        mounts = self._mounts(spec, container, pod)
        given = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for name, value in environment(container).items():
            if isinstance(value, dict):
                given[name] = self._held(
                    value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
                )
            else:
                here = _placed(self._ported(value), mounts)
                given[name] = EVERYWHERE.get(here, here)
        if METRICS_PORT in given and container["name"] != "exporter":
            # In a pod the port is its own; here many pods share one machine's.
            given[METRICS_PORT] = self._metrics_ports.setdefault(pod, str(free_port()))
        return given


def _placed(word: str, mounts: Mapping[str, str]) -> str:
    """Give a path its place here, by the longest mounted path that it is within."""
    for mount in sorted(mounts, key=len, reverse=True):
        if word == mount or word.startswith(f"{mount}/"):
            return mounts[mount] + word.removeprefix(mount)
    return word


def pings(url: str) -> bool:
    """Whether a Redis answers at an address, and lets its user in."""
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False
