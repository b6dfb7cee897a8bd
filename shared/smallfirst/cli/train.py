"""`smallfirst train`: a small model of the task's own, out of labelled rows.

The training itself is a process of the worker's packages; this one says what is wanted and shows
what came of it.
"""

import json
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from smallfirst.cli.options import CatalogueOption, TaskArgument
from smallfirst.cli.output import (
    INTERRUPTED,
    OK,
    USAGE,
    JsonOption,
    console,
    duration,
    fail,
    print_json,
    say,
    share,
    table,
)
from smallfirst.local.cores import usable_cores
from smallfirst.local.training_process import training_command
from smallfirst.process.training_plan import METHOD_DEFAULTS, Method, TrainingPlan
from smallfirst.settings import Settings, load_settings
from smallfirst.wording import faults_of

#: The package of what trains.
_PACKAGE = "smallfirst_workers"
#: The most labels that a terminal is shown.
_MAX_LABELS = 30


TrainingDataOption = Annotated[
    Path, typer.Option("--data", help="The file of labelled rows, JSON Lines.")
]
MethodOption = Annotated[
    Method,
    typer.Option(
        help="What is trained: a linear model of words, a head on a frozen encoder, the whole"
        " encoder, or an encoder from nothing."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="The folder for the model; if not given, models/TASK-N beside the catalogue.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(help="The model to begin with; if not given, the task's first small one."),
]
TextsOption = Annotated[
    Path | None,
    typer.Option(help="A file of more texts, without labels, for a model from scratch."),
]
HeldOutOption = Annotated[
    float | None, typer.Option(help="The share of rows that judge and do not teach.")
]
RefitOption = Annotated[
    bool,
    typer.Option("--refit", help="Train once more on all rows, for as many epochs as were best."),
]
KeepCaseOption = Annotated[
    bool, typer.Option("--keep-case", help="Teach a lower-casing model capital letters.")
]
EpochsOption = Annotated[int | None, typer.Option(help="The most passes over the rows.")]
PatienceOption = Annotated[
    int | None,
    typer.Option(help="The number of epochs without a better score after which it stops."),
]
BatchRowsOption = Annotated[int | None, typer.Option(help="The number of rows in one step.")]
LearningRateOption = Annotated[
    float | None, typer.Option(help="The learning rate of the encoder's last layer.")
]
LayerDecayOption = Annotated[
    float | None,
    typer.Option(help="The factor from each layer's learning rate to that of the layer below."),
]
SmoothingOption = Annotated[
    float | None, typer.Option(help="The probability that is shared among all labels.")
]
ConsistencyOption = Annotated[
    float | None,
    typer.Option(help="The weight of two dropouts' agreement (R-Drop); training takes longer."),
]
HiddenOption = Annotated[int | None, typer.Option(help="The width of a model from scratch.")]
LayersOption = Annotated[
    int | None, typer.Option(help="The number of layers of a model from scratch.")
]
VocabularyOption = Annotated[
    int | None, typer.Option(help="The number of word pieces of a model from scratch.")
]
ReadingEpochsOption = Annotated[
    int | None,
    typer.Option(
        help="The number of passes over the texts before a model from scratch is told the task."
    ),
]
SeedOption = Annotated[int, typer.Option(help="The seed of everything that is random.")]
ThreadsOption = Annotated[
    int | None, typer.Option(help="The number of processor threads; if not given, all.")
]


def train(  # noqa: PLR0913 - a command's signature is its options
    task: TaskArgument,
    *,
    data: TrainingDataOption,
    method: MethodOption = Method.TUNE,
    out: OutOption = None,
    catalogue: CatalogueOption = None,
    model: ModelOption = None,
    texts: TextsOption = None,
    held_out: HeldOutOption = None,
    refit: RefitOption = False,
    keep_case: KeepCaseOption = False,
    epochs: EpochsOption = None,
    patience: PatienceOption = None,
    batch_rows: BatchRowsOption = None,
    learning_rate: LearningRateOption = None,
    layer_decay: LayerDecayOption = None,
    smoothing: SmoothingOption = None,
    consistency: ConsistencyOption = None,
    hidden: HiddenOption = None,
    layers: LayersOption = None,
    vocabulary: VocabularyOption = None,
    reading_epochs: ReadingEpochsOption = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small model of a task's own on labelled rows.

    A row is {"text", and the right answer as "label", "labels" or "spans"}. A training that was
    interrupted goes on where it was when the same command is given again.
    """
    trained = _run(_plan(_placed(locals())))
    if as_json:
        print_json(trained)
    else:
        _show(trained)


def _placed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Choose what a plan has of the options, its paths absolute, the model's folder a new one."""
    asked = {name: value for name, value in options.items() if name in TrainingPlan.model_fields}
    path = load_settings(Settings, catalogue=asked["catalogue"]).catalogue.absolute()
    out, texts = asked["out"], asked["texts"]
    return asked | {
        "catalogue": path,
        "out": (out or _next_out(path.parent / "models", asked["task"])).absolute(),
        "data": asked["data"].absolute(),
        "texts": texts.absolute() if texts else None,
        "threads": asked["threads"] or usable_cores(),
    }


def _next_out(models: Path, task: str) -> Path:
    """The next version of the task's model: TASK-1, TASK-2 and on."""
    taken = (path.name.removeprefix(f"{task}-") for path in models.glob(f"{task}-*"))
    return models / f"{task}-{1 + max((int(n) for n in taken if n.isdecimal()), default=0)}"


def _plan(asked: Mapping[str, Any]) -> TrainingPlan:
    given = {name: value for name, value in asked.items() if value is not None}
    for name in ("catalogue", "data", "texts"):
        if name in given and not given[name].is_file():
            fail(f"{given[name]}: no such file; see --{name}", exit_code=USAGE)
    try:
        return TrainingPlan.model_validate({**METHOD_DEFAULTS[given["method"]], **given})
    except ValidationError as error:
        fail(faults_of(error, TrainingPlan.model_fields), exit_code=USAGE)


def _run(plan: TrainingPlan) -> dict[str, Any]:
    """Train in a process that does not outlive this one; its progress is on stderr."""
    if find_spec(_PACKAGE) is None:
        fail("training is not installed here: pip install 'smallfirst[train]'")
    pipe = subprocess.PIPE
    with subprocess.Popen(training_command(), stdin=pipe, stdout=pipe) as child:  # noqa: S603
        try:
            said, _ = child.communicate(plan.model_dump_json().encode())
        except KeyboardInterrupt:
            child.wait()  # The terminal has told it too.
            raise typer.Exit(INTERRUPTED) from None
    if child.returncode != OK:
        if child.returncode < 0:
            fail(f"ended by signal {-child.returncode}; the same command goes on with it")
        raise typer.Exit(child.returncode)
    trained: dict[str, Any] = json.loads(said.splitlines()[-1])
    return trained


def _show(trained: Mapping[str, Any]) -> None:
    metrics = trained["card"]["metrics"]
    labels = (metrics.get("held_out") or metrics.get("cross_validated") or {}).get("labels", ())
    say(f"model      {trained['folder']}")
    say(f"score      {trained['score']}")
    say(f"trained in {duration(trained['seconds'])}")
    if labels:
        columns = ("label", "there", "said", "right", "precision", "recall")
        rows = [_label_cells(**each) for each in labels[:_MAX_LABELS]]
        out = console()
        out.print()
        out.print(table(columns, rows))
    if len(labels) > _MAX_LABELS:
        say(f"{len(labels) - _MAX_LABELS:,} more labels are in {trained['folder']}/README.md")
    say("\nTo serve it, put into the catalogue:")
    say(trained["catalogue"])


def _label_cells(label: str, num_there: int, num_said: int, num_right: int) -> tuple[str, ...]:
    counts = (f"{number:,}" for number in (num_there, num_said, num_right))
    parts = (num_right / of if of else None for of in (num_said, num_there))
    return (label, *counts, *map(share, parts))
