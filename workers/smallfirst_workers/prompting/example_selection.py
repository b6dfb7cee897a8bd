"""Few-shot examples by nearness: those of a task's examples that are most like a text.

Where a task has more examples than fit into a prompt, those near the text teach most. Source: Liu
et al., What Makes Good In-Context Examples for GPT-3?, 2022. Nearness is the cosine of vectors of
the bundled sentence encoder, which reads on the processor while the large model is busy elsewhere.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Model
from smallfirst.catalogue.model_files import model_folder
from smallfirst.catalogue.runtimes import runtime_at_hand
from smallfirst.errors import ModelFilesError
from smallfirst.linear.probabilities import normalise
from smallfirst_workers.encoding.isolation import isolate

if TYPE_CHECKING:
    from smallfirst_workers.encoding.encoder import Encoder

log = structlog.get_logger()

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
    runtime = runtime_at_hand()
    if runtime is None:
        return None
    model = Model(source="bundled:minilm", runtime=runtime)
    try:
        # Only tasks with many examples need it, and it takes seconds to import.
        from smallfirst_workers.encoding.loading import load_encoder  # noqa: PLC0415
        from smallfirst_workers.encoding.model_folder import ModelFolder  # noqa: PLC0415

        folder = ModelFolder.open("minilm", model_folder(model))
    except (ImportError, ModelFilesError):
        return None
    encoder = load_encoder(folder, model, cache=cache, threads=1)
    busy = threading.Lock()

    def embed(texts: Sequence[str]) -> Vectors:
        with busy:  # one pass at a time; batches come from several threads
            return _vectors(texts, encoder)

    return embed


def _unread(text: str, error: Exception) -> list[Vectors | None]:
    log.warning(
        "example_selection.text_failed",
        num_chars=len(text),
        error=type(error).__name__,
        consequence="its prompt shows whichever examples come first",
    )
    return [None]


def _vectors(texts: Sequence[str], encoder: "Encoder") -> Vectors:
    """Read texts; one in which the encoder can read nothing, or fails, is near to nothing."""

    def read(some: Sequence[str]) -> list[Vectors | None]:
        states, _ = encoder.read(some, wants_words=[False] * len(some))
        return [None if each.is_empty else normalise(each.vector) for each in states]

    found = isolate(texts, read, instead=_unread)
    width = next((vector.size for vector in found if vector is not None), 1)
    nothing = np.zeros(width, np.float32)
    return np.array([nothing if vector is None else vector for vector in found], np.float32)
