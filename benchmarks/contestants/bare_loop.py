"""The ceiling: OpenVINO in a loop, all texts sorted by tokens beforehand; no queue, no ledger.

No queue can know all texts in advance, so nothing that takes jobs as they come can be as fast.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contest import Work, asked, divide, tell
from numpy.typing import NDArray

#: Rows of a pass; 64 were as fast.
NUM_ROWS = 32
#: Rows are padded to a multiple of so many tokens, so that few shapes are compiled.
STEP = 2


class Loop:
    """The model in one process: tokenizer, graph, mean of the tokens' states."""

    def __init__(self, model: Path, cache: Path, precision: str = "auto") -> None:
        from tokenizers import Tokenizer

        from smallfirst_workers.encoding.model_folder import ModelFolder
        from smallfirst_workers.encoding.runtimes.openvino_runtime import OpenVinoRuntime
        from smallfirst_workers.processor import resolve_precision

        folder = ModelFolder.open("encoder", model)
        runtime = OpenVinoRuntime.load(
            folder, precision=resolve_precision(precision), cache=cache, threads=1
        )
        self.request = runtime.free.get()
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def vectors(self, texts: list[str]) -> NDArray[np.float32]:
        """`(texts, hidden)`, in the order of the texts."""
        encoded = [one.ids for one in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda number: len(encoded[number]))
        found: dict[int, NDArray[np.float32]] = {}
        for first in range(0, len(order), NUM_ROWS):
            rows = order[first : first + NUM_ROWS]
            found.update(zip(rows, self._pass([encoded[row] for row in rows]), strict=True))
        return np.stack([found[number] for number in range(len(texts))])

    def _pass(self, rows: list[list[int]]) -> NDArray[np.float32]:
        longest = -(-max(map(len, rows)) // STEP) * STEP
        ids = np.zeros((len(rows), longest), np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        states = self.request.infer([ids, mask])[0]  # (rows, longest, hidden)
        keep = mask.astype(np.float32)
        return np.asarray((keep[:, None, :] @ states)[:, 0] / keep.sum(1, keepdims=True))


def load(work: Work) -> Callable[[list[str]], NDArray[np.float32]]:
    """Load the model for one thread."""
    return Loop(work.model, Path(sys.argv[1]) / "cache").vectors


if __name__ == "__main__":
    tell(*divide(asked(), load))
