"""Jobs for the pocket LLM: unseen texts of its four tasks, and a catalogue that serves them."""

import sys
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue

POCKET = Path(__file__).parent.parent / "examples" / "pocket_llm"
TASKS = ("topic", "invoice", "tampering", "reply")


def write_catalogue(
    folder: Path,
    model: Path,
    *,
    max_concurrent_batches: int = 24,
    gpu_memory_utilization: float | None = None,
) -> Catalogue:
    """Write the pocket LLM's own catalogue for a model, every answer standing as it is given."""
    written: Any = yaml.safe_load((POCKET / "catalogue.yaml").read_text("utf-8"))
    [pool], [served] = written["pools"].values(), written["models"].values()
    pool |= {
        "batch_tokens": 16384,
        "max_concurrent_batches": max_concurrent_batches,
        "max_parameters": "100B",
    }
    served |= {"source": str(model)}
    if gpu_memory_utilization is not None:
        served |= {"gpu_memory_utilization": gpu_memory_utilization, "max_tokens": 2048}
    for step in (step for task in written["tasks"].values() for step in task["cascade"]):
        step.update({"accept": 0.0} if "accept" in step else {})
    (folder / "catalogue.yaml").write_text(yaml.safe_dump(written, sort_keys=False), "utf-8")
    return load_catalogue(folder / "catalogue.yaml")


def mixed_texts(count: int, first: int = 0) -> list[tuple[str, str]]:
    """Make texts that were never trained on, the tasks in turn; (task, text)."""
    sys.path.insert(0, str(POCKET))
    from generate_text import examples  # noqa: PLC0415 - found by the line above
    from pools import pool  # noqa: PLC0415

    each = -(-(first + count) // len(TASKS))
    words: Any = pool("heldout")
    made = {name: [one.text for one in examples(name, words, each)] for name in TASKS}
    turns = ((name, place) for place in range(each) for name in TASKS)
    return [(name, made[name][place]) for name, place in islice(turns, first, first + count)]


def endless(texts: list[tuple[str, str]]) -> Any:
    """Repeat texts for ever, each time a little different, so that no cache answers."""
    return ((task, f"{text}\n({n})") for n, (task, text) in enumerate(cycle(texts)))
