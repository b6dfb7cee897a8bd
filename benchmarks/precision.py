"""What eight bits cost in answers: the same head learned and judged at each precision.

python benchmarks/precision.py --data DATA --write
"""

import argparse
import json
import os
import time
from pathlib import Path

from provenance import provenance, write_result

from smallfirst.catalogue import Kind, MeanStep, Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.evaluation.intervals import of_share
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

PRECISIONS = ("float32", "bfloat16", "int8")
#: Rows of a batch.
AT_ONCE = 256


def main() -> None:
    """Judge the test rows of each set at each precision, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder of the sets' folders.")
    parser.add_argument("--sets", nargs="*", default=["banking77", "headlines"], help="Which.")
    parser.add_argument("--rows", type=int, default=None, help="Fewer rows of each part.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    lines = ["# What a precision costs in answers", "", _ABOUT, "", *_HEADER]
    for name in options.sets:
        lines += _of_set(options.data / name, options.rows)
    text = "\n".join([*lines, "", provenance("openvino", "nncf", "scikit-learn")])
    print(text)
    if options.write:
        write_result("precision", text)


_ABOUT = """\
all-MiniLM-L6-v2 with a head of its own for each precision, learned from all training rows; the test
rows are asked one thread at a time. The graph of eight bits is made by texts that come with the
product, of neither set."""
_HEADINGS = (
    "set",
    "precision",
    "right, of the test rows",
    "95 % interval",
    "same label as float32",
    "CPU us a text",
)
_HEADER = (f"| {' | '.join(_HEADINGS)} |", "|---" * len(_HEADINGS) + "|")


def _of_set(folder: Path, num_rows: int | None) -> list[str]:
    train, test = (_rows(folder / f"{part}.jsonl")[:num_rows] for part in ("train", "test"))
    said: dict[str, list[str]] = {}
    lines = []
    for precision in PRECISIONS:
        labels, cpu_us = _answers(precision, train, [text for text, _ in test])
        said[precision] = labels
        num_right = sum(label == right for label, (_, right) in zip(labels, test, strict=True))
        interval = of_share(num_right, len(test))
        pairs = zip(labels, said["float32"], strict=True)
        cells = (
            f"{folder.name}, {len(test):,} rows",
            precision,
            f"{num_right / len(test):.2%}",
            f"{interval.low:.2%} to {interval.high:.2%}",
            f"{sum(one == other for one, other in pairs) / len(test):.2%}",
            f"{cpu_us:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def _rows(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text("utf-8").splitlines()
    return [(row["text"], row["label"]) for row in map(json.loads, lines)]


def _answers(
    precision: str, train: list[tuple[str, str]], texts: list[str]
) -> tuple[list[str], float]:
    """What the head of a precision says of texts, and what that took of the processor."""
    labels = dict.fromkeys(sorted({label for _, label in train}), "")
    examples = tuple({"text": text, "label": label} for text, label in train)
    # A list of one is the head alone.
    step = MeanStep(models=("minilm",))
    task = Task.model_validate(
        {"kind": Kind.CLASSIFY, "labels": labels, "examples": examples, "cascade": (step,)}
    )
    model = Model(source="bundled:minilm", precision=precision)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "smallfirst"
    engine = SlmEngine.load("minilm", model, model_folder(model), cache=cache, threads=1)
    engine.prepare({"task": task}, {"minilm": model})
    ordered = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    found = [""] * len(texts)
    began = time.process_time()
    for first in range(0, len(ordered), AT_ONCE):
        numbers = ordered[first : first + AT_ONCE]
        asked = [EngineRequest(texts[number], "task", step.options) for number in numbers]
        for number, answer in zip(numbers, engine.run(asked).answers, strict=True):
            found[number] = answer.label
    return found, (time.process_time() - began) / len(texts) * 1e6


if __name__ == "__main__":
    main()
