"""What a process is, as metrics: of which version, on which Python, by which catalogue.

Two processes of one fleet that say different things are an upgrade under way, or one that stuck.
"""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Build(Collector):
    """Tells of one process.

    Args:
        component: exporter, router or worker.
        revision: Gives the revision of the catalogue that the process has read at last; none where
            it has not read one yet.
    """

    def __init__(self, component: str, revision: Callable[[], str | None] = lambda: None) -> None:
        self._component = component
        self.revision = revision

    def collect(self) -> Iterator[Metric]:
        """Give both metrics, as they are at this moment."""
        build = InfoMetricFamily(
            "smallfirst_build", "The version of a process, and of the Python that runs it."
        )
        told = {"version": version("smallfirst"), "python": platform.python_version()}
        build.add_metric([], {"component": self._component, **told})
        catalogue = InfoMetricFamily(
            "smallfirst_catalogue", "The catalogue that a process has read, by its revision."
        )
        revision = self.revision()
        if revision is not None:
            said = {"component": self._component, "revision": revision}
            catalogue.add_metric([], said)
        yield from (build, catalogue)
