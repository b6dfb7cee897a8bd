"""Pools, the models that run in them, and which model goes where."""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from smallfirst.catalogue.sizes import Count
from smallfirst.entries import Entry, Place, refuse
from smallfirst.jobs import Name, Tier

_BUNDLED = re.compile(r"bundled:[a-z0-9][a-z0-9_\-]*")
_HUB_ID = re.compile(r"(?!.*\.\.)[0-9A-Za-z][\w.\-]{0,95}(/[0-9A-Za-z][\w.\-]{0,95})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: Keys of a model that vLLM in the worker heeds, and of one that is asked at an endpoint.
_OF_VLLM = ("runner", "quantization", "tensor_parallel_size", "gpu_memory_utilization", "adapters")
_OF_ENDPOINTS = ("endpoint", "api_key_variable", "max_concurrency", "price_per_million_tokens")


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
    batch_jobs: int = Field(default=64, ge=1, le=1024, description="The most jobs in one batch.")
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
        if self.remote and self.tier is not Tier.LLM:
            refuse([(("remote",), "only a pool of tier llm asks models that run elsewhere")])
        if not self.remote and self.max_parameters is None:
            refuse([(("max_parameters",), "a pool that runs models says how large they may be")])
        return self


class TokenPrices(Entry):
    """What a remote model costs, in the catalogue's currency for a million tokens."""

    input: float = Field(default=0.0, ge=0.0, description="The price of a million prompt tokens.")
    output: float = Field(default=0.0, ge=0.0, description="The price of a million answer tokens.")


class Model(Entry):
    """A model and how to run it."""

    tier: Literal[Tier.SLM, Tier.LLM] = Field(
        default=Tier.SLM,
        description="The tier of the pools that may run it: small (`slm`) or large (`llm`).",
    )
    source: str = Field(
        min_length=1,
        description=(
            "`bundled:minilm`, a local folder (./x, relative to the catalogue, or /x),"
            " or the id of a model on the hub. With `endpoint`: what the model is called there."
        ),
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$",
        description="The URL where the model is asked, in the manner of OpenAI:"
        " http://vllm:8000/v1.",
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
    runtime: Literal["openvino", "torch"] = Field(
        default="openvino", description="The library that executes the forward pass."
    )
    runner: Literal["generate", "pooling"] = Field(
        default="generate",
        description="What a large model does: `generate` writes answers; `pooling` makes one vector"
        " of its states, for a head, in one pass.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="`auto`: bfloat16 where the processor multiplies it in hardware, else float32;"
        " a large model: as its files say, but float32 on a processor that would emulate bfloat16.",
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
    pooling: Literal["mean", "cls", "last"] = Field(
        default="mean", description="The way in which token states become one vector of the text."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=16,
        description="The longest window in tokens; if not given, the model's own limit.",
    )

    @property
    def is_remote(self) -> bool:
        """Whether the model runs elsewhere, behind an endpoint."""
        return self.endpoint is not None

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
    def _says_what_its_tier_has(self) -> "Model":
        refuse((*_beyond_tier(self), *_beyond_endpoint(self)))
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
            rule = "a hub id needs the commit it is pinned to, 40 digits from 0 to f"
            refuse([(("revision",), rule)])
        return self


def _beyond_tier(model: Model) -> Iterator[tuple[Place, str]]:
    """What only large models have, said of a small one."""
    if model.tier is Tier.LLM:
        return
    for name in (*_OF_VLLM, *_OF_ENDPOINTS):
        if name in model.model_fields_set:
            yield (name,), "only a model of tier llm has this"
    if model.precision == "float16":
        yield ("precision",), "a small model runs in float32 or bfloat16"
    if model.pooling == "last":
        yield ("pooling",), "the last token's state sums up a text only in a model of tier llm"


def _beyond_endpoint(model: Model) -> Iterator[tuple[Place, str]]:
    """What is settled where the model runs, said of one that is only asked; and the reverse."""
    if model.tier is not Tier.LLM:
        return
    for name, folder in model.adapters.items():
        if not folder.startswith(("./", "../", "/", "~")):
            yield ("adapters", name), "must be a folder (./x, /x)"
    names = (*_OF_VLLM, "precision", "revision") if model.is_remote else _OF_ENDPOINTS
    for name in names:
        if name in model.model_fields_set and name != "endpoint":
            where = "where it runs, not here" if model.is_remote else "with an `endpoint`"
            yield (name,), f"is said {where}"


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
