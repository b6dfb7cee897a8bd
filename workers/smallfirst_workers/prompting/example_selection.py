"""Few-shot examples by nearness: those of a task's examples that are most like a text.

Where a task has more examples than fit into a prompt, those near the text teach most. Source: Liu
et al., What Makes Good In-Context Examples for GPT-3?, 2022. Nearness is the cosine of vectors of
the bundled sentence encoder, which reads on the processor while the large model is busy elsewhere.
"""

import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Kind, Model, ModelStep, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.errors import ModelFilesError
from smallfirst.jobs import VectorAnswer
from smallfirst_workers.engines import EngineRequest

#: Vectors of length 1, `(texts, hidden)`, float32.
Vectors = NDArray[np.float32]
#: Turns texts into vectors.
Embed = Callable[[Sequence[str]], Vectors]
#: Of each text only the beginning is compared, in characters: it tells what the text is about.
_MAX_CHARS = 1000


class ExampleSelector:
    """A task's examples, ready to be compared with texts."""

    def __init__(self, examples: Sequence[Example], embed: Embed) -> None:
        self._examples = tuple(examples)
        self._embed = embed
        self._vectors = embed([example.text[:_MAX_CHARS] for example in examples])

    def to(self, texts: Sequence[str], count: int) -> list[tuple[Example, ...]]:
        """Choose `count` examples for each text, the nearest last, where a model heeds it most.

        A text that is itself an example is not shown its own answer.
        """
        found = self._embed([text[:_MAX_CHARS] for text in texts])
        order = np.argsort(-(found @ self._vectors.T), axis=1, kind="stable")  # (texts, examples)
        return [
            tuple(self._others(text, ranked, count))[::-1]
            for text, ranked in zip(texts, order, strict=True)
        ]

    def _others(self, text: str, ranked: NDArray[Any], count: int) -> list[Example]:
        near = (self._examples[place] for place in ranked[: count + 1])
        return [example for example in near if example.text != text][:count]


def bundled_encoder(cache: Path) -> Embed | None:
    """Load the bundled sentence encoder; None where what it needs is not installed.

    Args:
        cache: Folder of what is converted once and shared by all processes.
    """
    try:
        # Only tasks with many examples need it, and it takes seconds to import.
        from smallfirst_workers.slm.engine import SlmEngine  # noqa: PLC0415
    except ImportError:
        return None
    runtime: Literal["openvino", "torch"] = "openvino" if find_spec("openvino") else "torch"
    model = Model(source="bundled:minilm", runtime=runtime)
    try:
        folder = model_folder(model)
    except ModelFilesError:
        return None
    engine = SlmEngine.load("minilm", model, folder, cache=cache, threads=1)
    engine.prepare({"near": Task(kind=Kind.EMBED, cascade=(ModelStep(model="minilm"),))})
    busy = threading.Lock()

    def embed(texts: Sequence[str]) -> Vectors:
        with busy:  # one pass at a time; batches come from several threads
            answers = engine.run([EngineRequest(text, "near") for text in texts]).answers
        width = next((len(a.vector) for a in answers if isinstance(a, VectorAnswer)), 1)
        # A text that the encoder can read nothing in is near to nothing.
        rows = [a.vector if isinstance(a, VectorAnswer) else [0.0] * width for a in answers]
        return np.array(rows, np.float32)

    return embed
