"""Trains the model of one public benchmark, with the settings that are published with its score.

    python examples/public_data/train.py headlines

The data are looked for at $SMALLFIRST_DATA, else at ../shared/data. The model comes to lie in
models/ beside `trained.yaml`, which serves it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rows import TRAINED_ON, write_rows

HERE = Path(__file__).parent
CATALOGUE = HERE / "trained.yaml"
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
#: Labels of real headlines are noisy, and five epochs without this learned them by heart.
_REGULARISED = ("--smoothing", "0.1", "--consistency", "2")
#: All rows of a benchmark's training part teach, and none of its test part.
OPTIONS = {
    "headlines": ("--epochs", "4", "--learning-rate", "6e-5", *_REGULARISED),
    "banking77": ("--epochs", "8", "--learning-rate", "1e-4"),
    "wnut17": ("--epochs", "8", "--learning-rate", "1e-4", "--keep-case"),
}


def main() -> int:
    """Train what was asked for; return the exit status of `smallfirst train`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("task", choices=OPTIONS)
    parser.add_argument("--method", choices=["head", "tune"], default="tune")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, help="else models/TASK, or models/TASK-head")
    options, more = parser.parse_known_args()
    name = options.task if options.method == "tune" else f"{options.task}-head"
    out = options.out or HERE / "models" / name
    with tempfile.TemporaryDirectory() as folder:
        rows = write_rows(options.data, options.task, Path(folder))
        called = command(options.task, options.method, rows, out) + more
        return subprocess.call(called)  # noqa: S603 - our own command


def command(task: str, method: str, rows: Path, out: Path) -> list[str]:
    """The command that trains a benchmark's model."""
    start = [sys.executable, "-m", "smallfirst", "train", task, "--catalogue", str(CATALOGUE)]
    given = ["--model", "minilm", "--data", str(rows), "--out", str(out), "--held-out", "0"]
    return [*start, *given, "--method", method, *(OPTIONS[task] if method == "tune" else ())]


if __name__ == "__main__":
    assert TRAINED_ON.keys() == OPTIONS.keys()
    sys.exit(main())
