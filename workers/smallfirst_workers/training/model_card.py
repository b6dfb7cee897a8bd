"""What a trained model says of itself: from which rows, how, and how good it was on the others."""

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from smallfirst.training_plan import Method
from smallfirst_workers.training.measuring import Measured
from smallfirst_workers.training.methods import Made
from smallfirst_workers.training.workspace import Bench

#: Changes whenever a card's keys mean something else.
_FORMAT = 1
_LIBRARIES = ("smallfirst", "torch", "transformers", "accelerate", "tokenizers", "scikit-learn")
#: Settings that say where things are, not what they are.
_PLACES = {"catalogue", "data", "out", "texts", "threads"}


def make_card(bench: Bench, made: Made, measured: Measured | None) -> dict[str, Any]:
    """Say it for programs. Nothing in it depends on clock or machine: equal inputs, equal card."""
    plan, rows = bench.plan, bench.rows
    is_refitted = bool(rows.held_out) and (plan.refit or plan.method is Method.HEAD)
    scratch = plan.method is Method.SCRATCH
    return {
        "format": _FORMAT,
        "task": plan.task,
        "kind": bench.task.kind,
        "labels": list(bench.task.labels),
        "base": None if scratch else {"model": bench.base.name, "sha256": bench.base.content_hash},
        "settings": plan.model_dump(mode="json", exclude=_PLACES),
        "rows": {
            "sha256": rows.sha256,
            "fit": len(rows.fit),
            "held_out": len(rows.held_out),
            "is_refitted_on_all": is_refitted,
        },
        "metrics": _metrics(made, measured),
        "weights_sha256": None,
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def _metrics(made: Made, measured: Measured | None) -> dict[str, Any]:
    """Scores on the rows held out, by the engine; and of each epoch, while it trained."""
    metrics: dict[str, Any] = {}
    if measured is not None:
        said = {key: value for key, value in asdict(measured).items() if key != "seconds"}
        metrics["held_out"] = {**said, "score": round(measured.score, 6)}
        # The best of several epochs on these rows is better there than on rows never seen.
        metrics["held_out"]["chose_epoch"] = made.fitted is not None
    if made.fitted is not None:
        metrics["epochs"] = made.fitted.epochs
        metrics["score_by_epoch"] = list(made.fitted.scores)
    return metrics


def weights_sha256(folder: Path) -> str:
    """Hash the weights in a folder, head and encoder, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_me(card: Mapping[str, Any], lines: str, *, seconds: float, day: str) -> str:
    """Say it for people.

    Args:
        card: The one for programs.
        lines: Of the catalogue, that serve the model.
        seconds: It took to train.
        day: It was trained.
    """
    rows, metrics = card["rows"], card["metrics"]
    base = card["base"]["model"] if card["base"] else "nothing"
    held_out = metrics.get("held_out")
    score = "no rows were held out: nothing is known of how good it is"
    if held_out:
        name, share = held_out["measure"], held_out["score"]
        score = f"{name} {share:.4f} on {held_out['num_rows']:,} rows held out"
    if held_out and held_out["chose_epoch"]:
        score += ", which also chose the epoch, so it flatters a little"
    if held_out and rows["is_refitted_on_all"]:
        score += "; trained once more on all rows afterwards, these weights were not measured"
    return f"""# {card["task"]}: {card["kind"]}, {len(card["labels"])} labels

Trained by `smallfirst train` ({card["settings"]["method"]}) from {base} on {rows["fit"]:,} rows.

- score, by the engine that serves it: {score}
- rows: sha256 {rows["sha256"]}
- weights: sha256 {card["weights_sha256"]}
- seed {card["settings"]["seed"]}; trained {day} in {seconds:.0f} s on {os.cpu_count()} cores,
  {platform.machine()}
- settings, labels and versions: `card.json`; hashes of the texts it has seen: `trained_on.txt`

The encoder is a plain one of transformers. The head judges the mean of its token states, at length
1: `softmax(W v + b)` with `W` and `b` in `head.safetensors` (of each label's sigmoid where several
may hold; of each word's tokens where words are tagged, output 0 being none, and `first` and `steps`
the scores of the chain that decides about all words of a text).

```yaml
{lines}
```
"""
