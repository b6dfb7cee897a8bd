"""Implementations: code that a worker loads by its path, and what has to be installed for it."""

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Implementation:
    """Code that is loaded only where it is used.

    Attributes:
        path: `module:name` of what loads it.
        packages: The modules that have to be installed, beside what every worker has.
        extras: The extras of this distribution that bring them, any one of which will do.
    """

    path: str
    packages: tuple[str, ...]
    extras: tuple[str, ...]

    def missing_packages(self) -> tuple[str, ...]:
        """Name the packages that are not installed here; none of them is imported."""
        return tuple(name for name in self.packages if importlib.util.find_spec(name) is None)

    @property
    def install_hint(self) -> str:
        """Say how to install it: `pip install 'smallfirst[llm]', or llm-cpu`."""
        first, *others = self.extras
        return ", or ".join([f"pip install 'smallfirst[{first}]'", *others])
