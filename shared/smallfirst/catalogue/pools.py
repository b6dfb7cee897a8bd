"""Pools, the models that run in them, and which model goes where."""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from smallfirst.answers import Label
from smallfirst.catalogue.endpoint_hosts import needs_tls
from smallfirst.catalogue.engines import (
    ENGINES,
    EngineName,
    EngineSpec,
    Runner,
    default_engine,
    unheeded,
)
from smallfirst.catalogue.runtimes import RUNTIMES, RuntimeName
from smallfirst.catalogue.sizes import Count
from smallfirst.jobs import Name, Tier
from smallfirst.kinds.entries import Entry, Place, refuse

_BUNDLED = re.compile(r"bundled:[a-z0-9][a-z0-9_\-]*")
#: The source of linear models that are trained from the examples of the tasks that ask them.
WORDS = "bundled:words"
_HUB_ID = re.compile(r"(?!.*\.\.)[0-9A-Za-z][\w.\-]{0,95}(/[0-9A-Za-z][\w.\-]{0,95})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Pool(Entry):
    """Where models of one size run: one Celery queue, one kind of machine, a price per hour."""

    tier: Literal[Tier.SLM, Tier.LLM] = Field(description="The class of model that runs here.")
    remote: bool = Field(
        default=False,
        description="Whether its models run elsewhere, and are only asked from here.",
    )
    max_parameters: Count | None = Field(
        default=None,
        description="The largest model that fits, in parameters: 50M, 8B; needed unless `remote`.",
    )
    price_per_hour: float = Field(
        default=0.0, ge=0.0, description="The price of one worker, in the catalogue's currency."
    )
    batch_tokens: int = Field(
        default=2048,
        ge=16,
        le=1_048_576,
        description="The most tokens, padding included, in one batch.",
    )
    batch_jobs: int = Field(
        default=128,
        ge=1,
        le=1024,
        description="The most jobs in one batch. A small model reads equal texts once, so there a"
        " text counts once for up to four jobs.",
    )
    max_concurrent_batches: int = Field(
        default=1,
        ge=1,
        le=64,
        description=(
            "The number of batches that a worker runs side by side. One pass fills an SLM's"
            " process; vLLM interleaves the requests of several."
        ),
    )

    @property
    def capacity(self) -> int:
        """The largest model that fits, in parameters."""
        return sys.maxsize if self.max_parameters is None else self.max_parameters

    @model_validator(mode="after")
    def _says_how_large(self) -> "Pool":
        remote = {spec.tier for spec in ENGINES.values() if spec.is_remote}
        if self.remote and self.tier not in remote:
            tiers = " or ".join(sorted(remote))
            refuse([(("remote",), f"only a pool of tier {tiers} asks models that run elsewhere")])
        if not self.remote and self.max_parameters is None:
            refuse([(("max_parameters",), "a pool that runs models says how large they may be")])
        return self


class RouterCosts(Entry):
    """What routers cost, which answer by rule and by linear model themselves."""

    price_per_hour: float = Field(
        default=0.0,
        ge=0.0,
        description="The price of one processor core of a router, in the catalogue's currency.",
    )


class TokenPrices(Entry):
    """What a remote model costs, in the catalogue's currency for a million tokens."""

    input: float = Field(default=0.0, ge=0.0, description="The price of a million prompt tokens.")
    output: float = Field(default=0.0, ge=0.0, description="The price of a million answer tokens.")


Pooling = Literal["mean", "cls", "last"]


class Model(Entry):
    """A model and how to run it."""

    tier: Literal[Tier.LINEAR, Tier.SLM, Tier.LLM] = Field(
        default=Tier.SLM,
        description="The tier of the pools that may run it: small (`slm`) or large (`llm`). A model"
        " of tier `linear` runs in the router and needs no pool.",
    )
    source: str = Field(
        min_length=1,
        description=(
            "`bundled:minilm`, `bundled:words` (tier `linear`: trained from each task's examples),"
            " a local folder (./x, relative to the catalogue, or /x),"
            " or the id of a model on the hub. With `endpoint`: what the model is called there."
        ),
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$",
        description="The URL where the model is asked, in the manner of OpenAI:"
        " http://vllm:8000/v1.",
    )
    allows_plain_http: bool = Field(
        default=False,
        description="Whether texts and key may go unencrypted to an `endpoint` with http:// whose"
        " host is not private.",
    )
    ca_file: str | None = Field(
        default=None,
        min_length=1,
        description="The file (./x, /x) with the certificates of the authorities that an `endpoint`"
        " with https:// is verified by, in place of the system's.",
    )
    api_key_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The worker's environment variable that holds the endpoint's key.",
    )
    max_concurrency: int = Field(
        default=32,
        ge=1,
        le=4096,
        description="The most requests that a worker has under way at the endpoint.",
    )
    price_per_million_tokens: TokenPrices | None = Field(
        default=None,
        description="The prices that the endpoint charges; a pool's hours are counted besides.",
    )
    revision: str | None = Field(
        default=None,
        description="The commit of the hub's repository, 40 digits; required for a hub id.",
    )
    parameters: Count | None = Field(
        default=None,
        description=(
            "The number of parameters, where the router has no files of the model to read it from."
        ),
    )
    engine: EngineName | None = Field(
        default=None,
        description="The engine that serves the model; left out: by what else is said of it.",
    )
    runtime: RuntimeName = Field(
        default=next(iter(RUNTIMES)), description="What executes the forward pass."
    )
    runner: Runner = Field(
        default="generate",
        description="What a large model does: `generate` writes answers; `pooling` makes one vector"
        " of its states, for a head, in one pass.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        default="auto",
        description="`auto`: bfloat16 where the processor multiplies it in hardware, else float32;"
        " a large model: as its files say, but float32 on a processor that would emulate bfloat16."
        " `int8`: a small model's weights and activations in eight bits, some 60 % faster, and a"
        " little less right; measure it.",
    )
    quantization: Name | None = Field(
        default=None,
        description=(
            "The way in which vLLM packs a large model's weights (fp8, awq, gptq); if not given,"
            " as its files say."
        ),
    )
    tensor_parallel_size: int = Field(
        default=1, ge=1, le=64, description="The number of GPUs over which a large model is spread."
    )
    gpu_memory_utilization: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description=(
            "The share of a GPU's memory that vLLM may take for a large model; its default is 0.92."
        ),
    )
    adapters: dict[Name, str] = Field(
        default_factory=dict,
        description="The folders (./x, /x) of a large model's LoRA adapters, by name.",
    )
    pooling: Pooling | None = Field(
        default=None,
        description="The way in which token states become one vector of the text; if not given,"
        " as the model's own 1_Pooling/config.json says, else `mean`.",
    )
    outputs: dict[str, Label] = Field(
        default_factory=dict,
        description="The meaning of the outputs of a small model's own classifier, by their names"
        " in `id2label` of its config.json: `{LABEL_0: negative, LABEL_1: positive}`. Those left"
        " out keep their names. Of a classifier of words, `PER: person` is said of `B-PER` and"
        " `I-PER` alike.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=16,
        description="The longest window in tokens; if not given, the model's own limit.",
    )

    @property
    def engine_name(self) -> str:
        """What serves the model: the engine that it names, or else the first that fits it."""
        is_remote = self.endpoint is not None
        return self.engine or default_engine(self.tier, runner=self.runner, is_remote=is_remote)

    @property
    def engine_spec(self) -> EngineSpec:
        """What the engine can do."""
        return ENGINES[self.engine_name]

    @property
    def is_remote(self) -> bool:
        """Whether the model runs elsewhere, behind an endpoint."""
        return self.engine_spec.is_remote

    @property
    def is_bundled(self) -> bool:
        """Whether the weights come in an installed Python package."""
        return not self.is_remote and self.source.startswith("bundled:")

    @property
    def is_local(self) -> bool:
        """Whether the weights are a folder on this machine."""
        starts = ("./", "../", "/", "~")
        is_folder = self.source.startswith(starts) or self.source in {".", ".."}
        return is_folder and not self.is_remote

    @property
    def is_hub(self) -> bool:
        """Whether the weights are a repository of the hub."""
        return not self.is_remote and not self.is_bundled and not self.is_local

    @model_validator(mode="after")
    def _says_what_its_engine_heeds(self) -> "Model":
        refuse(_of_another_engine(self))
        refuse(_unheeded(self))
        return self

    @model_validator(mode="after")
    def _sends_nothing_in_clear(self) -> "Model":
        if self.endpoint and needs_tls(self.endpoint) and not self.allows_plain_http:
            rule = (
                "would send texts and key unencrypted to a host that is not private: name https://,"
                " or say `allows_plain_http: true` where the way there is encrypted by other means"
            )
            refuse([(("endpoint",), rule)])
        if self.ca_file and not (self.endpoint or "").startswith("https://"):
            refuse([(("ca_file",), "verifies nothing: `endpoint` is not https://")])
        return self

    @model_validator(mode="after")
    def _is_of_its_tier(self) -> "Model":
        if self.tier is Tier.LINEAR and not (self.is_local or self.source == WORDS):
            rule = (
                f"a linear model is `{WORDS}`, trained from each task's examples, or a folder"
                " (./x, /x) that `smallfirst train --method linear` wrote"
            )
            refuse([(("source",), rule)])
        if self.tier is not Tier.LINEAR and self.source == WORDS:
            refuse([(("source",), "a linear model needs `tier: linear`")])
        return self

    @model_validator(mode="after")
    def _is_found_and_pinned(self) -> "Model":
        if self.is_bundled and not _BUNDLED.fullmatch(self.source):
            refuse([(("source",), "a bundled model is named like `bundled:minilm`")])
        if not self.is_hub:
            return self
        if not _HUB_ID.fullmatch(self.source):
            rule = (
                "must be `bundled:…`, a folder (./x, /x), or the id of a hub's model (owner/name)"
            )
            refuse([(("source",), rule)])
        if not _COMMIT.fullmatch(self.revision or ""):
            # A branch or a tag can move, and with it every answer and every cached head.
            rule = (
                f"a hub id ({self.source!r}) needs the commit it is pinned to, 40 digits from 0 to"
                " f, which the hub lists under Files; what comes in a package needs none:"
                " `bundled:minilm`"
            )
            refuse([(("revision",), rule)])
        return self


def _of_another_engine(model: Model) -> Iterator[tuple[Place, str]]:
    """Where a model names an engine that does not serve such models."""
    spec = model.engine_spec
    if model.engine is None:
        return
    if spec.tier is not model.tier:
        yield ("engine",), f"serves models of tier {spec.tier}, and this one is of {model.tier}"
    elif spec.is_remote and model.endpoint is None:
        yield ("engine",), "asks a model that runs elsewhere, and no `endpoint` is named"
    elif model.endpoint is not None and not spec.is_remote:
        yield ("engine",), "runs its models here, and this one is at an `endpoint`"
    elif spec.runner not in {None, model.runner}:
        yield ("engine",), f"serves models with `runner: {spec.runner}`"


def _unheeded(model: Model) -> Iterator[tuple[Place, str]]:
    """What nobody would read of what a model says, by its engine."""
    spec = model.engine_spec
    for key in type(model).model_fields:
        is_said = key in model.model_fields_set and getattr(model, key) is not None
        if is_said and (rule := unheeded(key, spec)):
            yield (key,), rule
    for each in spec.unfit:
        if getattr(model, each.key) == each.value:
            yield (each.key,), each.rule
    if model.precision == "int8" and not RUNTIMES[model.runtime].has_int8:
        able = ", ".join(name for name, runtime in RUNTIMES.items() if runtime.has_int8)
        yield ("precision",), f"int8 is computed by `runtime: {able}`"
    for name, folder in model.adapters.items():
        if not folder.startswith(("./", "../", "/", "~")):
            yield ("adapters", name), "must be a folder (./x, /x)"
    if model.ca_file and not model.ca_file.startswith(("./", "../", "/", "~")):
        yield ("ca_file",), "must be the path of a file (./x, /x)"


def place(
    parameters: int, tier: Tier, pools: Mapping[str, Pool], *, is_remote: bool = False
) -> str | None:
    """Name the smallest pool of the tier that holds a model of this size; None where none does."""
    fitting = [
        (pool.capacity, name)
        for name, pool in pools.items()
        if pool.tier is tier and pool.remote is is_remote
    ]
    return min(((size, name) for size, name in fitting if size >= parameters), default=(0, None))[1]
