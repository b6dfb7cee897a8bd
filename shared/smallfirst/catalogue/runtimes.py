"""Runtimes: what can execute the forward pass of a small model.

A new one is its module among the workers' and its line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from smallfirst.catalogue.implementations import Implementation

_ROOM: Final = "smallfirst_workers.encoding.runtimes"


@dataclass(frozen=True)
class RuntimeSpec:
    """What is known of a runtime without loading it.

    Attributes:
        implementation: A function or class method that the workers' `LoadRuntime` describes.
        fallback: The runtime that takes the models which this one cannot.
        has_int8: Whether it computes in eight bits.
    """

    implementation: Implementation
    fallback: str | None = None
    has_int8: bool = False


#: By the name that `runtime` gives in the catalogue; the first is the default.
RUNTIMES: Final[Mapping[str, RuntimeSpec]] = MappingProxyType(
    {
        "openvino": RuntimeSpec(
            Implementation(
                f"{_ROOM}.openvino_runtime:OpenVinoRuntime.load", ("openvino",), ("slm",)
            ),
            fallback="torch",
            has_int8=True,
        ),
        "torch": RuntimeSpec(
            Implementation(
                f"{_ROOM}.torch_runtime:TorchRuntime.load", ("torch", "transformers"), ("slm",)
            )
        ),
    }
)

# For a type checker, which cannot follow the registry, any word will do.
if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(RUNTIMES)]


def runtime_at_hand() -> str | None:
    """Name the first runtime whose packages are installed here; None where none's are."""
    return next(
        (name for name, spec in RUNTIMES.items() if not spec.implementation.missing_packages()),
        None,
    )
