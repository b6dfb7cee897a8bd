"""What every contestant shares: the texts, the head, the clock, and how it tells what it found.

A contestant runs in an environment of its own, so this needs the standard library and numpy alone.
It is started as `python NAME.py WORK`, where WORK holds what `speed.py` prepared, and prints one
line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Texts that go first and are not counted: processes, shapes and caches are warm after them.
NUM_WARM = 256
#: Processes of every contestant that computes by itself, with one thread each.
NUM_PROCESSES = os.cpu_count() or 1


@dataclass(frozen=True)
class Work:
    """What a contestant is asked.

    Attributes:
        model: Folder of the encoder.
        texts: What is asked about.
        labels: Of the head, in its order.
        weights: `(labels, hidden)`, of the head, for vectors of length 1.
        bias: `(labels,)`.
    """

    model: Path
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def judged(self, vectors: NDArray[np.float32]) -> list[str]:
        """The likeliest label of each vector `(texts, hidden)` of any length."""
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        logits = vectors / np.maximum(lengths, 1e-12) @ self.weights.T + self.bias
        return [self.labels[number] for number in logits.argmax(axis=1)]


def asked() -> Work:
    """Read what the command line names."""
    folder = Path(sys.argv[1])
    told = json.loads((folder / "work.json").read_text("utf-8"))
    with np.load(folder / "head.npz") as head:
        weights, bias = head["weights"], head["bias"]
    return Work(Path(told["model"]), tuple(told["texts"]), tuple(told["labels"]), weights, bias)


@dataclass
class Timing:
    """Seconds of the clock, and of the processors by who used them."""

    seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)


@contextmanager
def timed(processes: Mapping[str, Sequence[int]] | None = None) -> Iterator[Timing]:
    """Time a block. Processes are named by their part; this one and its children if none are."""
    parts = processes or {"all": [os.getpid()]}
    before = {part: sum(map(_busy_seconds, pids)) for part, pids in parts.items()}
    timing, began = Timing(), time.perf_counter()
    yield timing
    timing.seconds = time.perf_counter() - began
    timing.cpu_seconds = {
        part: sum(map(_busy_seconds, pids)) - before[part] for part, pids in parts.items()
    }


def _busy_seconds(pid: int) -> float:
    """What a process and its children, those that ended among them, had of the processors."""
    return sum(map(_own_seconds, [pid, *_descendants(pid)]))


def _own_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system, of_ended, system_of_ended = (int(field) for field in fields[11:15])
    return (user + system + of_ended + system_of_ended) / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> Iterable[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        for child in (task / "children").read_text("ascii").split():
            yield int(child)
            yield from _descendants(int(child))


#: Loads a model in a process of its own; what it returns makes vectors `(texts, hidden)` of texts.
Load = Callable[[Work], Callable[[list[str]], NDArray[np.float32]]]


def divide(work: Work, load: Load) -> tuple[Timing, list[str]]:
    """Divide the texts among processes; time them from the start signal to the last answer."""
    context = get_context("spawn")
    ready, start, answers = context.Semaphore(0), context.Event(), context.Queue()
    shares = [list(range(n, len(work.texts), NUM_PROCESSES)) for n in range(NUM_PROCESSES)]
    started = [
        context.Process(target=_answer, args=(work, load, share, ready, start, answers))
        for share in shares
    ]
    for process in started:
        process.start()
    for _ in started:
        ready.acquire()
    labels = [""] * len(work.texts)
    with timed() as timing:
        start.set()
        for _ in started:
            for number, label in zip(*answers.get(), strict=True):
                labels[number] = label
    for process in started:
        process.join()
    return timing, labels


def _answer(
    work: Work, load: Load, numbers: list[int], ready: Any, start: Any, answers: Any
) -> None:
    vectors = load(work)
    vectors(list(work.texts[:NUM_WARM]))
    ready.release()
    start.wait()
    answers.put((numbers, work.judged(vectors([work.texts[number] for number in numbers]))))


def tell(timing: Timing, labels: Sequence[str], **more: float) -> None:
    """Write what was found down, for `speed.py`; libraries print what they like, to the end."""
    told = {
        "seconds": timing.seconds,
        "cpu_seconds": timing.cpu_seconds,
        "labels": list(labels),
        **more,
    }
    (Path(sys.argv[1]) / "told.json").write_text(json.dumps(told), "utf-8")
