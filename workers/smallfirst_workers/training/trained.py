"""What a training leaves behind, whatever was trained: a folder, and the lines that serve it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallfirst.process.training_plan import TrainingPlan

#: Who may read a model's files: everybody.
_MODE = 0o644


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Attributes:
        folder: Of the model.
        card: What it says of itself; see `model_card`.
        score: How good it is, in words.
        seconds: It took, of this process.
        catalogue: The lines that serve it.
    """

    folder: Path
    card: Mapping[str, Any]
    score: str
    seconds: float
    catalogue: str


def entry_lines(plan: TrainingPlan, settings: Mapping[str, Any]) -> str:
    """Write the two lines of a catalogue that serve what was trained."""
    name, base = plan.out.name, plan.catalogue.parent
    inside = plan.out.is_relative_to(base)
    source = f"./{plan.out.relative_to(base)}" if inside else str(plan.out)
    entry = json.dumps({"source": source, **settings})
    return f"  {name}: {entry}  # under `models`\n      - model: {name}  # under `cascade`"


def make_readable(folder: Path) -> None:
    """Let everybody read: safetensors writes for its own user alone; a worker may be another."""
    for path in folder.iterdir():
        path.chmod(_MODE)
