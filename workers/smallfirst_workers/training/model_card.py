"""What a trained model says of itself: from which rows, how, and how good it was on the others."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from smallfirst.catalogue import Task
from smallfirst.process.training_plan import Method, TrainingPlan
from smallfirst_workers.training.measuring import Measured
from smallfirst_workers.training.rows import Rows

if TYPE_CHECKING:  # torch, for who trains a linear model
    from smallfirst_workers.training.methods import Made
    from smallfirst_workers.training.workspace import Bench

#: Changes whenever a card's keys mean something else.
_FORMAT = 1
_LIBRARIES = ("smallfirst", "torch", "transformers", "accelerate", "tokenizers", "scikit-learn")
#: Digits behind a per cent from so many rows on: one row of fewer is more than that.
_ONE_DIGIT_FROM = 1000
#: Of a line for people.
_WIDTH = 100
_HEADINGS = ("label", "there", "said", "right")
_BAR = r"\|"
_COLUMNS = ("label", "num_there", "num_said", "num_right")
#: What is in the folder of an encoder with its head.
ABOUT_ENCODER = """\
The encoder is a plain one of transformers. The head judges the mean of its token states, at length
1: `softmax(W v + b)` with `W` and `b` in `head.safetensors` (of each label's sigmoid where several
may hold; of each word's tokens where words are tagged, output 0 being none, and `first` and `steps`
the scores of the chain that decides about all words of a text)."""
#: Settings that say where things are, not what they are.
_PLACES = {"catalogue", "data", "out", "texts", "threads", "time_limit"}


def make_card(bench: "Bench", made: "Made", measured: Measured | None) -> dict[str, Any]:
    """Say it for programs. Nothing in it depends on clock or machine: equal inputs, equal card."""
    plan, rows = bench.plan, bench.rows
    is_refitted = bool(rows.held_out) and (plan.refit or plan.method is Method.HEAD)
    card = card_of(plan, bench.task, rows, measured, is_refitted=is_refitted)
    card["versions"] = versions(_LIBRARIES)
    if plan.method is not Method.SCRATCH:
        card["base"] = {"model": bench.base.name, "sha256": bench.base.content_hash}
    if found := card["metrics"].get("held_out"):
        # The best of several epochs on these rows is better there than on rows never seen.
        found["chose_epoch"] = made.fitted is not None
    card["rows"]["kept_as_vectors"] = len(made.taught)
    if made.fitted is not None:
        epochs = {"epochs": made.fitted.epochs, "score_by_epoch": list(made.fitted.scores)}
        card["metrics"] |= epochs
    return card


def card_of(
    plan: TrainingPlan, task: Task, rows: Rows, measured: Measured | None, *, is_refitted: bool
) -> dict[str, Any]:
    """Say what is said of any model: of one that was made from nothing but rows."""
    return {
        "format": _FORMAT,
        "task": plan.task,
        "kind": task.kind,
        "labels": list(task.labels),
        "base": None,
        "settings": plan.model_dump(mode="json", exclude=_PLACES),
        "rows": {
            "sha256": rows.sha256,
            "fit": len(rows.fit),
            "held_out": len(rows.held_out),
            "is_refitted_on_all": is_refitted,
        },
        "metrics": _metrics(measured, rows),
        "weights_sha256": None,
        "versions": {},
    }


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Say of which version the libraries are that had a part in a training."""
    return {name: version(name) for name in libraries}


def _metrics(measured: Measured | None, rows: Rows) -> dict[str, Any]:
    """Scores by what will serve it, on the rows held out or on each fold."""
    metrics: dict[str, Any] = {}
    if measured is not None:
        interval = {
            "low": round(measured.interval.low, 6),
            "high": round(measured.interval.high, 6),
        }
        said = {**asdict(measured), "score": round(measured.score, 6), "interval": interval}
        metrics["held_out" if rows.held_out else "cross_validated"] = said
    return metrics


def weights_sha256(folder: Path) -> str:
    """Hash the weights in a folder, head and encoder, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def score_in_words(card: Mapping[str, Any]) -> str:
    """Say how good a model is, with its interval and on how many rows."""
    metrics = card["metrics"]
    found = metrics.get("held_out") or metrics.get("cross_validated")
    if not found:
        return "nothing is known, since no row judged it"
    low, high = found["interval"]["low"], found["interval"]["high"]
    digits = 0 if found["num_rows"] < _ONE_DIGIT_FROM else 1
    said = (
        f"{found['measure']} {found['score'] * 100:.{digits}f} % (95 % interval"
        f" {low * 100:.{digits}f} to {high * 100:.{digits}f} %)"
    )
    if "held_out" not in metrics:
        return (
            f"{said} on {found['num_rows']:,} rows, each judged by a model that has not seen it"
            " (cross-validation)"
        )
    said = f"{said} on {found['num_rows']:,} rows held out"
    if metrics["held_out"].get("chose_epoch"):
        said += ", which also chose the epoch, so it flatters a little"
    if card["rows"]["is_refitted_on_all"]:
        said += "; trained once more on all rows afterwards, these weights were not measured"
    return said


def _bullet(fact: str) -> str:
    return fill(
        fact,
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _label_table(card: Mapping[str, Any]) -> str:
    metrics = card["metrics"]
    found = metrics.get("held_out") or metrics.get("cross_validated")
    if not found:
        return ""
    lines = [_line(*_HEADINGS), _line(*("---" for _ in _HEADINGS))]
    lines += [_line(*(each[key] for key in _COLUMNS)) for each in found["labels"]]
    return "\n" + "\n".join(lines) + "\n"


def _line(*cells: object) -> str:
    """One line of a table; a bar in a label would part its cell."""
    return f"| {' | '.join(str(cell).replace('|', _BAR) for cell in cells)} |"


def read_me(
    card: Mapping[str, Any], lines: str, *, seconds: float, day: str, about: str = ABOUT_ENCODER
) -> str:
    """Say it for people.

    Args:
        card: The one for programs.
        lines: Of the catalogue, that serve the model.
        seconds: It took to train.
        day: It was trained.
        about: What is in the folder.
    """
    rows = card["rows"]
    base = card["base"]["model"] if card["base"] else "nothing"
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    facts = (
        f"score, by what serves it: {score_in_words(card)}",
        f"rows: sha256 {rows['sha256']}",
        f"weights: sha256 {card['weights_sha256']}",
        f"seed {card['settings']['seed']}; trained {day} in {seconds:.0f} s on {machine}",
        "settings, labels, versions: `card.json`; hashes of the texts it saw: `trained_on.txt`",
    )
    bullets = "\n".join(map(_bullet, facts))
    return f"""# {card["task"]}: {card["kind"]}, {len(card["labels"])} labels

Trained by `smallfirst train` ({card["settings"]["method"]}) from {base} on {rows["fit"]:,} rows.

{bullets}
{_label_table(card)}
{about}

```yaml
{lines}
```
"""
