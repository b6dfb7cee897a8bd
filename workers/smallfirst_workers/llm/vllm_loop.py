"""vLLM inside the worker: one engine, on an event loop in a thread of its own.

It owns the engine's life and one request's way through it. What is asked, and what an answer means,
is decided elsewhere. Importing this module is cheap; vLLM is imported when the engine starts.
"""

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from smallfirst.catalogue import Model
from smallfirst_workers.errors import EngineDead, ModelError
from smallfirst_workers.llm.event_loop import EventLoop
from smallfirst_workers.llm.writings import Writing

#: Set before vLLM is imported: no telemetry, no network, and no binding of threads to cores, which
#: on a shared machine pins them all to the same ones.
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}


#: How long vLLM's processes may take to end by themselves.
STOP_SECONDS = 5.0


class VllmLoop:
    """A running engine.

    Attributes:
        loop: Where its coroutines run.
        max_tokens: The longest context, prompt and answer together.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = count()
        self.loop = EventLoop("vllm")
        self._engine: Any = None
        self.max_tokens = 0

    def start(self, folder: Path, model: Model, *, cache: Path) -> None:
        """Load the model and start the engine; what vLLM compiles it keeps below `cache`.

        Raises:
            ModelError: When vLLM is missing, or cannot take the model.
        """
        for name, value in {**ENVIRONMENT, "VLLM_CACHE_ROOT": str(cache / "vllm")}.items():
            os.environ.setdefault(name, value)
        self._engine = self.loop.call(self._open(folder, model))

    async def _open(self, folder: Path, model: Model) -> Any:
        try:
            # vLLM takes seconds to import and is not installed where no LLM runs.
            from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415
            from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415
        except ImportError as err:
            raise ModelError(self._name, "needs vLLM, which is not installed here") from err
        try:
            engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_arguments(folder, model)))
        except (ValueError, RuntimeError, OSError) as err:
            raise ModelError(self._name, f"cannot be served by vLLM: {err}") from err
        self.max_tokens = engine.model_config.max_model_len
        return engine

    async def next_logprobs(
        self, prompt: Sequence[int], candidates: Sequence[int]
    ) -> dict[int, float]:
        """Tell how likely each candidate token is to come next; natural logarithms.

        Raises:
            EngineDead: When the engine has died.
        """
        from vllm import SamplingParams  # noqa: PLC0415 - see `_open`

        wanted = SamplingParams(
            max_tokens=1, temperature=0.0, logprob_token_ids=list(candidates), detokenize=False
        )
        found = (await self._run(prompt, wanted)).outputs[0].logprobs[0]
        return {token: found[token].logprob for token in candidates}

    async def write(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        schema: dict[str, Any] | None = None,
        temperature: float = 0.0,
        num: int = 1,
    ) -> list[Writing]:
        """Let the model write, within a JSON schema where one is given.

        Raises:
            EngineDead: When the engine has died.
        """
        from vllm import SamplingParams  # noqa: PLC0415 - see `_open`
        from vllm.sampling_params import StructuredOutputsParams  # noqa: PLC0415

        # Without free white space a model that has lost its way cannot fill its bound with blanks.
        form = StructuredOutputsParams(json=schema, disable_any_whitespace=True) if schema else None
        wanted = SamplingParams(
            max_tokens=max_tokens,
            temperature=temperature,
            n=num,
            logprobs=0,
            structured_outputs=form,
        )
        return [_writing_of(output) for output in (await self._run(prompt, wanted)).outputs]

    async def _run(self, prompt: Sequence[int], wanted: Any) -> Any:
        """Run one request; cancelling it aborts it in the engine."""
        from vllm.inputs import TokensPrompt  # noqa: PLC0415 - see `_open`
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415
        from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415

        wanted.output_kind = RequestOutputKind.FINAL_ONLY
        tokens = TokensPrompt(prompt_token_ids=list(prompt))
        request = f"{self._name}-{next(self._numbers)}"
        found = None
        try:
            async for output in self._engine.generate(tokens, wanted, request):
                found = output
        except EngineDeadError as err:
            raise EngineDead(self._name) from err
        return found

    def stop(self) -> None:
        """End the engine, its processes and the loop."""
        if self._engine is not None:
            self._engine.shutdown(timeout=STOP_SECONDS)
            # Its finaliser needs modules that are gone when the interpreter ends.
            self._engine = None
        self.loop.stop()


def engine_arguments(folder: Path, model: Model) -> dict[str, Any]:
    """What vLLM is told of a model. No code of the model's own is ever run."""
    arguments: dict[str, Any] = {
        "model": str(folder),
        "trust_remote_code": False,
        "load_format": "safetensors",
        "enable_prefix_caching": True,
        # Compilation takes minutes at each start and pays on GPUs, where it is switched on.
        "enforce_eager": not _has_gpu(),
        "disable_log_stats": True,
        "dtype": "auto" if model.precision == "auto" else model.precision,
    }
    if model.max_tokens is not None:
        arguments["max_model_len"] = model.max_tokens
    return arguments


def _has_gpu() -> bool:
    import torch  # noqa: PLC0415 - heavy, and only here where vLLM brings it anyway

    return bool(torch.cuda.is_available())


def _writing_of(output: Any) -> Writing:
    tokens = list(output.token_ids)
    steps = [step[token] for step, token in zip(output.logprobs, tokens, strict=True)]
    return Writing(
        text=output.text,
        pieces=tuple(step.decoded_token or "" for step in steps),
        logprobs=tuple(step.logprob for step in steps),
        is_whole=output.finish_reason == "stop",
    )
