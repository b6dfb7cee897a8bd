"""A kubelet and its Deployments: pods started, probed, restarted, stopped as Kubernetes does it."""

import signal
import socket
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from time import monotonic

from tests.support.charts import Object
from tests.support.running import Deployment

STATEFUL = frozenset({"redis"})


class Probe:
    """One rendered probe of one pod, tried each period; a try under way is not waited for."""

    def __init__(self, deployment: Deployment, spec: Object, pod: str, name: str) -> None:
        container = spec["containers"][0]
        self.rendered: Object = container[f"{name}Probe"]
        self.name = name
        self._deployment, self._spec, self._pod = deployment, spec, pod
        self._ports = {one["name"]: str(one["containerPort"]) for one in container.get("ports", ())}
        self._trying: subprocess.Popen[bytes] | None = None
        self._due = 0.0
        self.num_failures = 0

    def turn(self, now: float) -> bool | None:
        """Try where that is due; return how a try ended, or None."""
        if self._trying is None and now >= self._due:
            self._due = now + self.rendered["periodSeconds"]
            if "tcpSocket" in self.rendered:
                return self._note(is_content=self._connects())
            self._trying = self._deployment.run(
                self._spec, self._pod, self.rendered["exec"]["command"]
            )
            self._until = now + self.rendered["timeoutSeconds"]
        return self._ended(now)

    def close(self) -> None:
        """Give a try up that is under way."""
        if self._trying is not None:
            self._trying.kill()
            self._trying.wait()
            self._trying = None

    @property
    def is_out_of_patience(self) -> bool:
        """Whether it failed as often in a row as it may."""
        return bool(self.num_failures >= self.rendered["failureThreshold"])

    def _ended(self, now: float) -> bool | None:
        if self._trying is None:
            return None
        code = self._trying.poll()
        if code is None and now < self._until:
            return None
        self.close()
        if code is None:
            # Too late: that counts against the pod's patience, and says nothing of the process.
            self.num_failures += 1
            return None
        return self._note(is_content=code == 0)

    def _note(self, *, is_content: bool) -> bool:
        self.num_failures = 0 if is_content else self.num_failures + 1
        return is_content

    def _connects(self) -> bool:
        port = self._deployment.ports[self._ports[self.rendered["tcpSocket"]["port"]]]
        try:
            socket.create_connection(("127.0.0.1", port), self.rendered["timeoutSeconds"]).close()
        except OSError:
            return False
        return True


@dataclass
class Pod:
    """One pod's only container: its process, and what its probes say of it.

    Attributes:
        faults: Probes that said no after the start-up, by name, and why it was restarted.
        is_killed: It did not end within its grace.
        exit_code: Of its last process, once it was told to stop.
    """

    deployment: Deployment
    spec: Object
    name: str
    num_restarts: int = 0
    is_started: bool = False
    is_ready: bool = False
    is_killed: bool = False
    exit_code: int | None = None
    faults: list[str] = field(default_factory=list)
    _stops_at: float | None = None

    def __post_init__(self) -> None:
        self._begin()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether its process is no more."""
        return self._process.poll() is not None

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stops_at is not None

    def turn(self, now: float) -> None:
        """Look after the process once."""
        if self._stops_at is not None:
            self._bury(now, self._stops_at)
        elif self._process.poll() is not None:
            self._restart(f"ended with {self._process.returncode}")
        elif self.is_started:
            self._look(now)
        elif self._probes["startup"].turn(now):
            self.is_started = True
        elif self._probes["startup"].is_out_of_patience:
            self._restart("did not start")

    def stop(self, now: float) -> None:
        """Send SIGTERM; from now on it may end, within its grace."""
        self._stops_at = now + self.spec["terminationGracePeriodSeconds"]
        for probe in self._probes.values():
            probe.close()
        self._process.send_signal(signal.SIGTERM)

    def _begin(self) -> None:
        names = ("startup", "liveness", "readiness")
        self._probes = {name: Probe(self.deployment, self.spec, self.name, name) for name in names}
        self._process = self.deployment.start(self.spec, self.name)
        self.is_started = self.is_ready = False

    def _look(self, now: float) -> None:
        is_ready = self._probes["readiness"].turn(now)
        self.is_ready = self.is_ready if is_ready is None else is_ready
        is_live = self._probes["liveness"].turn(now)
        self.faults += [
            name
            for name, is_content in (("readiness", is_ready), ("liveness", is_live))
            if is_content is False
        ]
        if self._probes["liveness"].is_out_of_patience:
            self._restart("is not live")

    def _restart(self, why: str) -> None:
        self.faults.append(why)
        self.num_restarts += 1
        self._kill()
        self._begin()

    def _kill(self) -> None:
        for probe in self._probes.values():
            probe.close()
        self._process.kill()
        self._process.wait()

    def _bury(self, now: float, stops_at: float) -> None:
        self.exit_code = self._process.poll()
        if self.exit_code is None and now >= stops_at:
            self.is_killed = True
            self._kill()
            self.exit_code = self._process.returncode


class Kubelet:
    """All pods of a rendering, those that have gone among them."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._wanted: dict[str, int] = defaultdict(int)
        self.pods: dict[str, list[Pod]] = defaultdict(list)
        self.gone: list[Pod] = []

    def scale(self, component: str, replicas: int) -> None:
        """Say how many pods of a component there are to be."""
        self._wanted[component] = replicas

    def turn(self) -> None:
        """Start what is missing, stop what is too much, look after what is there."""
        now = monotonic()
        for component, wanted in self._wanted.items():
            pods = [pod for pod in self.pods[component] if not pod.is_stopping]
            for pod in pods[wanted:]:
                pod.stop(now)
            # A StatefulSet waits until its old pod has ended, a Deployment does not.
            there = self.pods[component] if component in STATEFUL else pods
            for _ in range(wanted - len(there)):
                self.pods[component].append(self._new(component))
        for pod in self.all:
            pod.turn(now)
        self._forget()

    @property
    def all(self) -> list[Pod]:
        """Every pod that has a process."""
        return [pod for pods in self.pods.values() for pod in pods]

    def ready(self, component: str) -> list[Pod]:
        """Those of a component that take work."""
        return [pod for pod in self.pods[component] if pod.is_ready and not pod.is_stopping]

    def delete(self, pod: Pod) -> None:
        """Take one pod away, as a drained node does; another takes its place."""
        pod.stop(monotonic())

    def close(self) -> None:
        """End every process that is left, at once."""
        for pod in self.all:
            pod._kill()

    def _new(self, component: str) -> Pod:
        number = len([pod for pod in (*self.all, *self.gone) if pod.name.startswith(component)])
        kind = "StatefulSet" if component in STATEFUL else "Deployment"
        spec = self._deployment.spec(kind, component)
        return Pod(self._deployment, spec, f"{component}-{number}")

    def _forget(self) -> None:
        for pods in self.pods.values():
            ended = [pod for pod in pods if pod.exit_code is not None]
            self.gone += ended
            pods[:] = [pod for pod in pods if pod not in ended]
