"""The reference runtime: the model as transformers wrote it, executed by torch.

Importing this module takes seconds and some 300 MB, so whoever can do without imports it late.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers

from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.base import Ids, States
from smallfirst_workers.errors import ModelError
from smallfirst_workers.processor import Precision

#: What torch's allocator writes into the RuntimeError that stands for a MemoryError.
_OUT_OF_MEMORY = "not enough memory"
#: Weights that no answer depends on; many encoders come without them.
_UNUSED = ("pooler.",)


class OneOutput(torch.nn.Module):
    """A model as a function of ids and mask with one tensor as its value: states, or logits."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Compute `(batch, sequence, hidden)`, or the shape of the model's logits."""
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)
        first: torch.Tensor = outputs[0]
        return first


@dataclass(frozen=True)
class TorchRuntime:
    """A model in torch; see `Runtime`."""

    name: str
    module: OneOutput

    @classmethod
    def load(
        cls,
        folder: ModelFolder,
        *,
        precision: Precision,
        threads: int,
        cache: Path | None = None,  # noqa: ARG003 - keeps nothing
    ) -> "TorchRuntime":
        """Load a model; see `LoadRuntime`. Sets the number of threads of the whole process.

        Raises:
            ModelError: When its files do not make a model.
        """
        torch.set_num_threads(threads)
        # Weights in bfloat16 were a third faster than autocast over weights in float32, at equal
        # answers.
        module = load_module(folder).to(getattr(torch, precision))
        return cls(f"torch-{precision}", module)

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Compute one forward pass; see `Runtime.forward`."""
        try:
            with torch.inference_mode():
                output = self.module(torch.from_numpy(input_ids), torch.from_numpy(attention_mask))
        except RuntimeError as err:
            if _OUT_OF_MEMORY in str(err):
                raise MemoryError(str(err)) from err
            raise
        return np.asarray(output.float().numpy(), np.float32)


def _switches(folder: ModelFolder) -> dict[str, str]:
    """Settings that a model is loaded with whatever its files say.

    BigBird's sparse attention is switched off for good by the first short text, so that a long
    text's answer would depend on what came before it. Source: transformers, BigBirdModel.forward.
    """
    is_sparse = folder.config.get("attention_type") == "block_sparse"
    return {"attention_type": "original_full"} if is_sparse else {}


def load_module(folder: ModelFolder) -> OneOutput:
    """Load a model in float32 for inference.

    Raises:
        ModelError: When its files do not make a model.
    """
    # Its remarks and progress bars are for people at a terminal; what matters here is raised.
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    architectures = {
        None: transformers.AutoModel,
        "sequence": transformers.AutoModelForSequenceClassification,
        "token": transformers.AutoModelForTokenClassification,
    }
    try:
        model, loaded = architectures[folder.classifier].from_pretrained(
            folder.path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **_switches(folder),
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as err:
        raise ModelError(folder.name, f"cannot be loaded: {err}") from err
    missing = sorted(key for key in loaded["missing_keys"] if not key.startswith(_UNUSED))
    if missing:
        # Transformers would make them up, and the model would answer at random.
        raise ModelError(folder.name, f"lacks {len(missing)} of its weights, {missing[0]} first")
    return OneOutput(model).eval()
