"""A small fleet whose every component has a port of metrics, and what a scrape of it finds."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.support.waiting import WaitUntil

from smallfirst.local.redis_server import RedisServer, free_port

CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  minilm: {source: "bundled:minilm"}
  minilm-fine: {source: "bundled:minilm", precision: float32}
tasks:
  topic:
    kind: classify
    labels: {parcel: a parcel is late, money: a payment or a refund}
    examples: examples.jsonl
    cascade:
      - {model: minilm, accept: 0.99}
  twice:
    kind: classify
    labels: {parcel: a parcel is late, money: a payment or a refund}
    examples: examples.jsonl
    cascade: [{model: minilm, accept: 0.999}, {model: minilm-fine, accept: 0.5}]
  ids:
    kind: tag
    labels: {card: a payment card's number}
    cascade: [{rule: {find: [card]}, accept: always}]
  similar:
    kind: embed
    cascade: [{model: minilm}]
  asked:
    kind: classify
    labels: {parcel: a parcel is late, money: a payment or a refund}
    cascade: [{person: {wait: 1h}}]
"""
EXAMPLES = """
{"text": "My parcel has not come", "label": "parcel"}
{"text": "Where is the box that I was sent?", "label": "parcel"}
{"text": "I was charged twice", "label": "money"}
{"text": "I would like my refund", "label": "money"}
"""
#: By name, the slowest to start last.
COMPONENTS = {
    "exporter": "smallfirst.exporter",
    "router": "smallfirst_router",
    "worker": "smallfirst_workers",
}


@dataclass(frozen=True)
class Observed:
    """A running fleet, and where each component is read.

    Attributes:
        redis_url: For producers.
        pages: Addresses of metrics by component.
        logs: What each component wrote.
    """

    redis_url: str
    pages: Mapping[str, str]
    logs: Mapping[str, Path]

    def read(self, component: str) -> str:
        """What Prometheus would read of a component."""
        with urllib.request.urlopen(self.pages[component], timeout=30) as page:  # noqa: S310
            return str(page.read().decode())

    def scrape(self, *components: str) -> dict[str, Metric]:
        """The families of some components, of all where none is named, by name."""
        return {
            family.name: family
            for component in components or COMPONENTS
            for family in text_string_to_metric_families(self.read(component))
        }

    def names(self) -> set[str]:
        """What a query may name, samples or none."""
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        return {
            f"{family.name}{ending}"
            for family in self.scrape().values()
            for ending in endings.get(family.type, [""])
        }

    def value(self, component: str, sample: str, **labels: str) -> float:
        """The sum of the samples of a name that have these labels."""
        return sum(
            found.value
            for family in self.scrape(component).values()
            for found in family.samples
            if found.name == sample and labels.items() <= found.labels.items()
        )

    def answers(self, component: str) -> bool:
        """Whether somebody answers there."""
        try:
            return bool(self.read(component))
        except OSError:
            return False


@contextmanager
def observed(folder: Path, wait_until: WaitUntil, **settings: str) -> Iterator[Observed]:
    """Run a Redis, a router, a worker and an exporter, with some variables more; and end them."""
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "examples.jsonl").write_text(EXAMPLES.lstrip())
    ports = {component: free_port() for component in COMPONENTS}
    with RedisServer(folder, persistent=False) as server, ExitStack() as ending:
        url = f"redis://127.0.0.1:{server.port}/0"
        found = Observed(
            url,
            {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()},
            {name: folder / f"{name}.log" for name in COMPONENTS},
        )
        for name, module in COMPONENTS.items():
            log = ending.enter_context(found.logs[name].open("wb"))
            own = {
                "SMALLFIRST_REDIS_URL": url,
                "SMALLFIRST_CATALOGUE": str(folder / "catalogue.yaml"),
                "SMALLFIRST_POOL": "cpu",
                "SMALLFIRST_METRICS_PORT": str(ports[name]),
            }
            command = [sys.executable, "-m", module]
            env = {**os.environ, **own, **settings}
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
            ending.callback(_end, process)
            is_up = partial(found.answers, name)
            _wait_for(is_up, process, found.logs[name], wait_until)
        lives = partial(found.value, "exporter", "smallfirst_workers", pool="cpu")
        _wait_for(lives, process, found.logs[name], wait_until)
        yield found


def ended(program: Sequence[str], **settings: str) -> tuple[int, str]:
    """Run a Python program that ends at its start; return its exit status and its complaint."""
    done = subprocess.run(
        [sys.executable, *program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


def _wait_for(
    is_so: Callable[[], object],
    process: "subprocess.Popen[bytes]",
    log: Path,
    wait_until: WaitUntil,
) -> None:
    """Wait until something is so; fail with what the process said where it ended instead."""
    wait_until(
        lambda: process.poll() is not None or is_so(), description=f"{log.stem} is up", timeout=120
    )
    assert process.poll() is None, log.read_text()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
