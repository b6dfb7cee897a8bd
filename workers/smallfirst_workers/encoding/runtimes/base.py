"""What a runtime is: it takes token ids and gives hidden states or logits back."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.processor import Precision

Ids = NDArray[np.int64]
States = NDArray[np.float32]

#: How many passes a process may compute side by side: one of bulk, and one of what is urgent.
PASSES_AT_ONCE = 2


class Runtime(Protocol):
    """A model that is ready to compute."""

    @property
    def name(self) -> str:
        """What executes, and at what precision: `openvino-bfloat16`."""

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Compute one forward pass on the CPU.

        Args:
            input_ids: `(batch, sequence)`, padded on the right.
            attention_mask: `(batch, sequence)`, 1 for a token and 0 for padding.

        Returns:
            float32. An encoder's last hidden states `(batch, sequence, hidden)`; for a model with
            a classifier of its own, logits: `(batch, labels)` of a text, or `(batch, sequence,
            labels)` of its tokens.
        """


class LoadRuntime(Protocol):
    """What the registry of runtimes names for each of them."""

    def __call__(
        self, folder: ModelFolder, *, precision: Precision, cache: Path, threads: int
    ) -> Runtime:
        """Load a model.

        Args:
            folder: Its files.
            precision: What it computes in.
            cache: Folder of what is made once and shared by all processes.
            threads: How many compute one pass.

        Raises:
            ConversionError: When the runtime cannot take the model; its fallback may.
            ModelError: When its files do not make a model.
        """
