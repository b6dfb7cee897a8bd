"""What `smallfirst train` is told, as the process that trains gets it. Paths are absolute."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from smallfirst.jobs import Name


class Method(StrEnum):
    """How much of a model is trained."""

    HEAD = "head"
    TUNE = "tune"
    SCRATCH = "scratch"


class TrainingPlan(BaseModel):
    """Everything that decides what comes of a training, beside the rows and the base model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    catalogue: Path = Field(description="Which has the task and the models.")
    task: Name = Field(description="Of the catalogue.")
    data: Path = Field(description="Labelled rows, JSON Lines.")
    out: Path = Field(description="The model's folder; must not be there yet.")
    method: Method = Field(default=Method.TUNE, description="How much is trained.")
    model: Name | None = Field(
        default=None, description="To begin with; the task's first small one if not said."
    )
    texts: Path | None = Field(
        default=None, description="More texts without labels for `scratch`, JSON Lines."
    )
    held_out: float = Field(
        default=0.1, ge=0.0, le=0.5, description="Share of the rows that only judge."
    )
    refit: bool = Field(
        default=False, description="Train once more on all rows, for as long as was best."
    )
    keep_case: bool = Field(
        default=False, description="Teach a lower-casing model what capital letters say."
    )
    epochs: int = Field(default=6, ge=1, le=1000, description="The most passes over the rows.")
    patience: int = Field(
        default=2, ge=1, le=1000, description="Epochs without a better score before it stops."
    )
    batch_rows: int = Field(default=32, ge=1, le=4096, description="Rows of one step.")
    learning_rate: float = Field(
        default=8e-5, gt=0, le=1, description="Of the encoder's last layer, at its highest."
    )
    layer_decay: float = Field(
        default=0.9, gt=0, le=1, description="Each layer below learns so much slower."
    )
    head_rate: float = Field(default=1e-2, gt=0, le=1, description="Learning rate of the head.")
    smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Probability that is shared among all labels."
    )
    consistency: float = Field(
        default=0.0, ge=0, le=100, description="How much two dropouts of a row must agree (R-Drop)."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Of everything that is random.")
    threads: int = Field(default=1, ge=1, le=256, description="Processor threads.")
    #: A model from scratch: its size, and how long it reads before it is told the task.
    hidden: int = Field(default=192, ge=16, le=4096, multiple_of=16, description="Width.")
    layers: int = Field(default=4, ge=1, le=48, description="Layers.")
    vocabulary: int = Field(default=8000, ge=200, le=200_000, description="Word pieces.")
    reading_epochs: int = Field(
        default=10, ge=0, le=1000, description="Passes over the texts, guessing hidden words."
    )


#: What else than the defaults of `TrainingPlan` suits a method: what nobody has taught yet learns
#: longer and faster, in all its layers.
METHOD_DEFAULTS: Final[Mapping[Method, Mapping[str, float]]] = MappingProxyType(
    {
        Method.HEAD: {},
        Method.TUNE: {},
        Method.SCRATCH: {"epochs": 15, "patience": 4, "learning_rate": 3e-4, "layer_decay": 1.0},
    }
)
