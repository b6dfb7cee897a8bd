"""vLLM inside the worker: one engine, on an event loop in a thread of its own.

It owns the engine's life and one request's way through it. What is asked, and what an answer means,
is decided elsewhere. Importing this module is cheap; vLLM is imported when the engine starts.
"""

import asyncio
import gc
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smallfirst.catalogue import Model
from smallfirst.kinds.completions import Completion
from smallfirst.linear.probabilities import Floats
from smallfirst_workers.errors import EngineDead, ModelError
from smallfirst_workers.llm.event_loop import EventLoop
from smallfirst_workers.llm.vllm.adapters import adapter_requests
from smallfirst_workers.llm.vllm.engine_arguments import engine_arguments, has_gpu
from smallfirst_workers.llm.vllm.memory import MemoryTrimExtension, trim_memory

#: Set before vLLM is imported: no telemetry, no network.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
#: And without a GPU: no binding of threads to cores, which on a shared machine pins them all to the
#: same ones. oneDNN keeps a kernel for each size of step that it meets, 1,024 of them unless told
#: otherwise, in two caches, and grows for as long; 128 are as fast. vLLM has parts of its sampler
#: compiled, eager or not: that takes a C++ compiler and openssl, and is no faster. OpenMP's threads
#: spin between two pieces of work, and take the cores from whoever else is on the machine.
_ON_PROCESSORS = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
    "LRU_CACHE_CAPACITY": "128",
    "TORCH_COMPILE_DISABLE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}

#: How long vLLM's processes may take to end by themselves.
STOP_SECONDS = 5.0
#: Of how many candidate tokens one request may ask the probability.
#: Source: MAX_LOGPROB_TOKEN_IDS in vllm/sampling_params.py, 0.32.
_MAX_CANDIDATES = 128
#: Memory is given back each time that so many requests have come.
REQUESTS_PER_TRIM = 500
#: What the model is warmed up with: any tokens do, and every vocabulary has these.
_WARM_UP_TOKENS = tuple(range(8))
_WARM_UP_SCHEMA = {"type": "object", "properties": {"is": {"type": "boolean"}}, "required": ["is"]}


def environment(cache: Path) -> dict[str, str]:
    """What vLLM is told by variables; what it compiles it keeps below `cache`."""
    here = {} if has_gpu() else _ON_PROCESSORS
    return {**_ENVIRONMENT, **here, "VLLM_CACHE_ROOT": str(cache / "vllm")}


class AsyncEngine:
    """A running engine.

    Attributes:
        loop: Where its coroutines run.
        max_tokens: The longest context, prompt and answer together.
        precision: What it computes in: `bfloat16`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = count()
        self.loop = EventLoop("vllm")
        self._engine: Any = None
        self._adapters: dict[str, Any] = {}
        self.max_tokens = 0
        self.precision = ""

    def start(self, folder: Path, model: Model, *, cache: Path, has_metrics: bool = False) -> None:
        """Load the model and its adapters and start the engine, until it answers fast.

        What vLLM compiles it keeps below `cache`; what it measures, if somebody reads it, in the
        process's own registry of Prometheus.

        Raises:
            ModelError: When vLLM is missing, or cannot take the model or an adapter.
            EngineDead: When the engine has died while it started, or at its first requests.
        """
        for name, value in environment(cache).items():
            os.environ.setdefault(name, value)
        try:
            self.loop.call(self._open(folder, model, has_metrics=has_metrics))
            self.loop.call(self._load_adapters(model))
            self.loop.call(self.warm_up(model.runner))
        except BaseException:
            self.stop()
            raise

    async def _open(self, folder: Path, model: Model, *, has_metrics: bool) -> None:
        try:
            # vLLM takes seconds to import and is not installed where no LLM runs.
            from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415
            from vllm.usage.usage_lib import UsageContext  # noqa: PLC0415
            from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415
        except ImportError as err:
            raise ModelError(self._name, "needs vLLM, which is not installed here") from err
        try:
            told = engine_arguments(self._name, folder, model, has_metrics=has_metrics)
            arguments = AsyncEngineArgs(**told)
            # Nobody else may hold it, or it outlives `stop`.
            # Told that it works offline, vLLM makes its steps as large as the machine bears: on
            # an H100 1,024 sequences and 16,384 tokens, where it would otherwise make them of
            # 128 and 2,048. Source: EngineArgs.get_batch_defaults, 0.32.
            self._engine = AsyncLLM.from_engine_args(
                arguments, usage_context=UsageContext.LLM_CLASS
            )
        except (ValueError, OSError) as err:
            raise ModelError(self._name, f"cannot be served by vLLM: {err}") from err
        except RuntimeError as err:
            # vLLM's own process did not come up. Why is in its words above, and may pass: it was
            # killed, or the memory was another's.
            raise EngineDead(self._name, f"the engine did not start: {err}") from err
        self.max_tokens = self._engine.model_config.max_model_len
        self.precision = str(self._engine.model_config.dtype).removeprefix("torch.")

    async def _load_adapters(self, model: Model) -> None:
        """Load the adapters now rather than when they are asked for, so that a bad one is met."""
        requests = adapter_requests(model.adapters)
        for name, request in requests.items():
            try:
                await self._engine.add_lora(request)
            except Exception as err:
                # Whatever went wrong in vLLM's process comes back as a bare Exception.
                reason = f"cannot use adapters.{name}: vLLM says: {err}"
                raise ModelError(self._name, reason) from err
        self._adapters = requests

    def has_adapter(self, name: str | None) -> bool:
        """Whether a request may name this adapter; None is the model without any."""
        return name is None or name in self._adapters

    async def warm_up(self, runner: Literal["generate", "pooling"]) -> None:
        """Have done now what vLLM does at its first requests: kernels and grammars are compiled.

        Raises:
            EngineDead: When the engine has died.
        """
        if runner == "pooling":
            await self.pool(_WARM_UP_TOKENS)
            return
        await self.next_logprobs(_WARM_UP_TOKENS, _WARM_UP_TOKENS[:2])
        await self.write(_WARM_UP_TOKENS, max_tokens=4, schema=_WARM_UP_SCHEMA)

    async def next_logprobs(
        self, prompt: Sequence[int], candidates: Sequence[int], *, adapter: str | None = None
    ) -> dict[int, float]:
        """Tell how likely each candidate token is to come next; natural logarithms.

        Raises:
            EngineDead: When the engine has died.
        """
        starts = range(0, len(candidates), _MAX_CANDIDATES)
        parts = [candidates[start : start + _MAX_CANDIDATES] for start in starts]
        found = await asyncio.gather(*(self._logprobs_of(prompt, part, adapter) for part in parts))
        return {token: logprob for part in found for token, logprob in part.items()}

    async def _logprobs_of(
        self, prompt: Sequence[int], candidates: Sequence[int], adapter: str | None
    ) -> dict[int, float]:
        from vllm import SamplingParams  # noqa: PLC0415 - see `_open`

        wanted = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprob_token_ids=list(candidates),
            detokenize=False,
            # Made for one request, it need not be copied in depth for it.
            skip_clone=True,
        )
        found = (await self._run(prompt, wanted, adapter)).outputs[0].logprobs[0]
        return {token: found[token].logprob for token in candidates}

    async def write(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        schema: dict[str, Any] | None = None,
        temperature: float = 0.0,
        num: int = 1,
        stop: str | None = None,
        ends: Sequence[int] = (),
        adapter: str | None = None,
    ) -> list[Completion]:
        """Let the model write, within a JSON schema where one is given, and no further than `stop`.

        It ends at any token of `ends` too, besides those that vLLM knows of. Other special tokens
        are in what it wrote.

        Raises:
            EngineDead: When the engine has died.
        """
        from vllm import SamplingParams  # noqa: PLC0415 - see `_open`
        from vllm.sampling_params import StructuredOutputsParams  # noqa: PLC0415

        form = StructuredOutputsParams(json=schema) if schema else None
        wanted = SamplingParams(
            max_tokens=max_tokens,
            temperature=temperature,
            n=num,
            stop=stop,
            stop_token_ids=list(ends),
            logprobs=0,
            structured_outputs=form,
            skip_clone=True,
            # Marks of a thought may be special tokens, and so may what it is to stop at.
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
        )
        outputs = (await self._run(prompt, wanted, adapter)).outputs
        return [_writing_of(output) for output in outputs]

    async def pool(self, prompt: Sequence[int]) -> Floats:
        """Read a prompt and pool its states: `(hidden,)`, float32, of any length.

        Only an engine whose model's runner is `pooling` does this, and it does nothing else.

        Raises:
            EngineDead: When the engine has died.
        """
        from vllm import PoolingParams  # noqa: PLC0415 - see `_open`

        found = await self._run(prompt, PoolingParams(task="embed"), None)
        return np.asarray(found.outputs.data.float().numpy(), np.float32)

    async def _run(self, prompt: Sequence[int], wanted: Any, adapter: str | None) -> Any:
        """Run one request; cancelling it aborts it in the engine."""
        from vllm import PoolingParams  # noqa: PLC0415 - see `_open`
        from vllm.inputs import TokensPrompt  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415
        from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415

        wanted.output_kind = RequestOutputKind.FINAL_ONLY
        tokens = TokensPrompt(prompt_token_ids=list(prompt))
        number = next(self._numbers)
        request = f"{self._name}-{number}"
        lora = self._adapters[adapter] if adapter is not None else None
        run = self._engine.encode if isinstance(wanted, PoolingParams) else self._engine.generate
        found = None
        try:
            if number % REQUESTS_PER_TRIM == 0:
                await self._give_memory_back()
            async for output in run(tokens, wanted, request, lora_request=lora):
                found = output
        except EngineDeadError as err:
            raise EngineDead(self._name) from err
        return found

    async def _give_memory_back(self) -> None:
        """Have this process and vLLM's own give back what malloc keeps."""
        trim_memory()
        await self._engine.collective_rpc(MemoryTrimExtension.trim_memory.__name__)

    def stop(self) -> None:
        """End the engine, its processes and the loop."""
        if self._engine is not None:
            self._engine.shutdown(timeout=STOP_SECONDS)
            # Its finaliser needs modules that are gone when the interpreter ends.
            self._engine = None
        self.loop.stop()
        # Nor is its memory to wait for Python to look for circles.
        gc.collect()


def _writing_of(output: Any) -> Completion:
    tokens = list(output.token_ids)
    steps = [step[token] for step, token in zip(output.logprobs, tokens, strict=True)]
    return Completion(
        text=output.text,
        pieces=tuple(step.decoded_token or "" for step in steps),
        logprobs=tuple(step.logprob for step in steps),
        is_whole=output.finish_reason == "stop",
    )
