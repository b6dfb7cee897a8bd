"""How good the default step of a task is beside everything simpler that its examples make.

    python benchmarks/default_step.py --data FOLDER [--task NAME ...] [--write]

The folder holds `headlines` and `banking77`, with `train.jsonl` and `test.jsonl` each. The demo's
`topic` and `urgency` learn from their own examples and are asked about its 396 mails. One core,
one thread.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from provenance import provenance, write_result

from smallfirst.catalogue import Example, Kind, MeanStep, Model, ModelStep, Step, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.evaluation.intervals import of_share
from smallfirst.linear.fitting import folder_of
from smallfirst.linear.model import LinearModel
from smallfirst.linear.skills import LinearSkill
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

MAIL = Path(__file__).parent.parent / "examples" / "support_mail"
MODELS = {
    "words": Model.model_validate({"tier": "linear", "source": "bundled:words"}),
    "minilm": Model(source="bundled:minilm"),
}
STEPS: dict[str, Step] = {
    "head": MeanStep(models=("minilm",)),
    "mean": MeanStep(models=("words", "minilm")),
    "default": ModelStep(model="minilm"),
}
HEADING = (
    "# The default step beside everything simpler",
    "",
    "What `{model: minilm}` answers by where a task has examples: a linear model over words, a",
    "head on MiniLM, or their mean, whichever is right more often on examples left out. Test rows",
    "decide nothing. Intervals of Clopper and Pearson; one core, one thread.",
    "",
    "| task | answered by | right, % | 95 % interval | training, encoding included, CPU s |",
    "|---|---|---|---|---|",
)
#: Questions of one pass.
AT_ONCE = 48


def rows_of(name: str, data: Path) -> tuple[list[Example], list[Example]]:
    """What a task learns from, and what it is asked."""
    if name in {"topic", "urgency"}:
        mails = [json.loads(line) for line in _lines(MAIL / "mails.jsonl")]
        asked = [Example(text=mail["text"], label=mail["gold"][name]) for mail in mails]
        return _examples(MAIL / "examples" / f"{name}.jsonl"), asked
    return _examples(data / name / "train.jsonl"), _examples(data / name / "test.jsonl")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _examples(path: Path) -> list[Example]:
    rows = map(json.loads, _lines(path))
    return [Example(text=row["text"], label=row["label"]) for row in rows]


def measured(name: str, data: Path, cache: Path) -> Iterator[str]:
    """Train and ask everything of a task; yield its lines of the table."""
    taught, asked = rows_of(name, data)
    labels = sorted({str(example.label) for example in taught})
    task = Task.model_validate(
        {
            "kind": Kind.CLASSIFY,
            "labels": dict.fromkeys(labels, ""),
            "examples": taught,
            "cascade": list(STEPS.values()),
        }
    )
    source = model_folder(MODELS["minilm"])
    engine = SlmEngine.load("minilm", MODELS["minilm"], source, cache=cache, threads=1)
    started = process_time()
    engine.prepare({name: task}, MODELS)
    seconds = process_time() - started
    right = {"linear": _right_of_linear(task, asked, cache), **_right_of(engine, name, asked)}
    for way, count in right.items():
        interval = of_share(count, len(asked))
        shares = [100 * share for share in (count / len(asked), interval.low, interval.high)]
        yield "| {} | {} | {:.2f} | {:.1f} to {:.1f} | {:.0f} |".format(name, way, *shares, seconds)


def _right_of_linear(task: Task, asked: list[Example], cache: Path) -> int:
    skill = LinearSkill(LinearModel.load(folder_of(task, cache)))
    said = skill.answers([row.text for row in asked])
    return sum(
        getattr(answer, "label", None) == row.label for answer, row in zip(said, asked, strict=True)
    )


def _right_of(engine: SlmEngine, name: str, asked: list[Example]) -> dict[str, int]:
    right = dict.fromkeys(STEPS, 0)
    ordered = sorted(asked, key=lambda row: len(row.text))
    for first in range(0, len(ordered), AT_ONCE):
        part = ordered[first : first + AT_ONCE]
        questions = [
            (way, row.label, EngineRequest(row.text, name, step.options))
            for way, step in STEPS.items()
            for row in part
        ]
        done = engine.run([question for _, _, question in questions])
        for (way, label, _), answer in zip(questions, done.answers, strict=True):
            right[way] += getattr(answer, "label", None) == label
    return right


def main() -> None:
    """Measure the tasks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", action="append")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = list[str]()
    with tempfile.TemporaryDirectory() as cache:
        for name in options.task or ["topic", "urgency", "headlines", "banking77"]:
            lines += measured(name, options.data, Path(cache))
            print("\n".join(lines), flush=True)
    text = "\n".join([*HEADING, *lines, "", provenance("scikit-learn", "openvino")])
    if options.write:
        write_result("default_step", f"{text}\n")


if __name__ == "__main__":
    main()
