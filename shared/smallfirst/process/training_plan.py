"""What `smallfirst train` is told, as the process that trains gets it. Paths are absolute."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from smallfirst.jobs import Name

#: The exit status of a training that would take longer than its `time_limit`.
TOO_LONG: Final = 3


class Method(StrEnum):
    """How much of a model is trained."""

    LINEAR = "linear"
    HEAD = "head"
    TUNE = "tune"
    SCRATCH = "scratch"


class TrainingPlan(BaseModel):
    """Everything that decides what comes of a training, beside the rows and the base model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    catalogue: Path = Field(description="The catalogue that has the task and the models.")
    task: Name = Field(description="The name of a task in the catalogue.")
    data: Path = Field(description="The file of labelled rows, JSON Lines.")
    out: Path = Field(description="The model's folder; must not be there yet.")
    method: Method = Field(
        default=Method.TUNE, description="The part of the model that is trained."
    )
    model: Name | None = Field(
        default=None,
        description="The model to begin with; if not given, the task's first small one.",
    )
    texts: Path | None = Field(
        default=None, description="The file of more texts without labels for `scratch`, JSON Lines."
    )
    held_out: float = Field(
        default=0.1,
        ge=0.0,
        le=0.5,
        description="The share of the rows that judge and do not teach.",
    )
    refit: bool = Field(
        default=False,
        description="Whether to train once more on all rows, for as many epochs as were best.",
    )
    keep_case: bool = Field(
        default=False, description="Whether to teach a lower-casing model what capital letters say."
    )
    epochs: int = Field(default=6, ge=1, le=1000, description="The most passes over the rows.")
    patience: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="The number of epochs without a better score after which it stops.",
    )
    batch_rows: int = Field(
        default=32, ge=1, le=4096, description="The number of rows in one step."
    )
    learning_rate: float = Field(
        default=8e-5,
        gt=0,
        le=1,
        description="The learning rate of the encoder's last layer, at its highest.",
    )
    layer_decay: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="The factor from each layer's learning rate to that of the layer below.",
    )
    head_rate: float = Field(default=1e-2, gt=0, le=1, description="The learning rate of the head.")
    smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="The probability that is shared among all labels."
    )
    consistency: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="The weight of the agreement of two dropouts of a row (R-Drop).",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="The seed of everything that is random."
    )
    time_limit: float | None = Field(
        default=None,
        gt=0,
        description="The seconds that the steps of a fit may take; one that would take more is"
        " given up as soon as its speed is known. If not given, any number.",
    )
    threads: int = Field(default=1, ge=1, le=256, description="The number of processor threads.")
    #: A model from scratch: its size, and how long it reads before it is told the task.
    hidden: int = Field(
        default=192, ge=16, le=4096, multiple_of=16, description="The width of the model."
    )
    layers: int = Field(default=4, ge=1, le=48, description="The number of layers.")
    vocabulary: int = Field(
        default=8000, ge=200, le=200_000, description="The number of word pieces."
    )
    reading_epochs: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="The number of passes over the texts, guessing hidden words.",
    )


#: What else than the defaults of `TrainingPlan` suits a method: what nobody has taught yet learns
#: longer and faster, in all its layers.
METHOD_DEFAULTS: Final[Mapping[Method, Mapping[str, float]]] = MappingProxyType(
    {
        Method.LINEAR: {},
        Method.HEAD: {},
        Method.TUNE: {},
        Method.SCRATCH: {"epochs": 15, "patience": 4, "learning_rate": 3e-4, "layer_decay": 1.0},
    }
)
