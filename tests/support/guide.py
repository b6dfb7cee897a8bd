"""Someone who follows the production guide: real helm and kubectl, a Redis of their own, TLS.

The page's commands are run as they stand, in one folder and one shell. Only names that lead
elsewhere are put right: the host of Redis, the chart's place, and the folders of its configuration.
"""

import base64
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from redis import Redis
from tests.support.authorities import make_authority
from tests.support.charts import CHART, ROOT, Object, script
from tests.support.kube_api import Cluster
from tests.support.pages import readers_path, redis_cli_in, texts_of

from smallfirst.local.redis_server import find_binary, free_port

PAGE = ROOT / "docs" / "how-to" / "production.md"
HOST, PORT, CHART_PLACE = "redis.example.com", "6380", "oci://ghcr.io/smallfirst/charts/smallfirst"
#: How long a block may take, in seconds.
PATIENCE = 240.0


class Guided:
    """A folder in which the page is followed, and the Redis that it asks for."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._environment = _environment(folder, kubeconfig)
        (folder / "exports").write_text("")
        make_authority(folder, "redis").rename(folder / "ca.crt")
        self._server: subprocess.Popen[bytes] | None = None

    def placed(self, text: str) -> str:
        """The page's text with the names of this machine."""
        names = {
            HOST: "127.0.0.1",
            PORT: str(self.port),
            CHART_PLACE: str(CHART),
            "/etc/redis/": f"{self.folder}/",
            "/var/lib/redis": str(self.folder / "data"),
        }
        for name, here in names.items():
            text = text.replace(name, here)
        return text

    def follow(self, block: str) -> str:
        """Run a block in the shell of those before it; return what it printed."""
        lines = f". ./exports\n{self.placed(block)}\nexport -p > exports\n"
        done = subprocess.run(
            ["bash", "-ec", lines],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start_redis(self) -> None:
        """Start the Redis of the page's configuration."""
        (configuration,) = texts_of(PAGE, "ini")
        (self.folder / "redis.conf").write_text(self.placed(configuration))
        (self.folder / "data").mkdir()
        command = [find_binary(), "redis.conf", "--logfile", str(self.folder / "redis.log")]
        self._server = subprocess.Popen(command, cwd=self.folder)

    def kill_redis(self) -> None:
        """End Redis by force, and move its folder away."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        (self.folder / "data").rename(self.folder / "lost")

    def connect(self, user: str = "admin") -> Redis:
        """Open a connection as a user whose password the page has made."""
        file = "admin.password" if user == "admin" else f"users/{user}"
        password = (self.folder / file).read_text("utf-8").strip()
        url = f"rediss://{user}:{password}@127.0.0.1:{self.port}/0"
        return Redis.from_url(url, ssl_ca_certs=str(self.folder / "ca.crt"))

    def close(self) -> None:
        """End the Redis that was started, and the one that the page has started."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        pid = self.folder / "data" / "redis.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)


def _environment(folder: Path, kubeconfig: Path) -> dict[str, str]:
    tools = folder / "tools"
    tools.mkdir()
    redis_cli_in(tools)
    (tools / "redis-server").symlink_to(find_binary())
    binaries = script("get_helm")
    (tools / "helm").symlink_to(binaries.binary_of(binaries.RELEASES[0]))
    (tools / "kubectl").symlink_to(binaries.binary_of(binaries.KUBECTL))
    bare = {name: told for name, told in os.environ.items() if not name.startswith("SMALLFIRST")}
    own = {"HOME": str(folder), "KUBECONFIG": str(kubeconfig), "PATH": readers_path(tools)}
    return {**bare, **own, "XDG_STATE_HOME": str(folder / "state")}


@contextmanager
def guided(folder: Path, port: int) -> Iterator[Guided]:
    """Give somebody an empty folder and the address of a cluster's API server."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(port)))
    place = folder / "fleet"
    place.mkdir()
    someone = Guided(place, kubeconfig)
    try:
        yield someone
    finally:
        someone.close()
        shutil.rmtree(place / "tools")


def kubeconfig_of(port: int) -> dict[str, object]:
    """Tell helm and kubectl of the server on a port of this machine."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
        "users": [{"name": "me", "user": {}}],
    }


def as_rendered(cluster: Cluster) -> list[Object]:
    """All that the cluster holds, as helm would have rendered it: Secrets in clear."""
    return [
        _in_clear(one) for one in cluster.objects.values() if "type" not in one or _is_ours(one)
    ]


def _is_ours(one: Object) -> bool:
    return str(one["type"]) != "helm.sh/release.v1"


def _in_clear(one: Object) -> Object:
    if one["kind"] != "Secret":
        return one
    data: dict[str, Any] = one["data"]
    return one | {
        "stringData": {key: base64.b64decode(code).decode() for key, code in data.items()}
    }
