"""`smallfirst train`: a small model of the task's own, out of labelled rows.

The training itself is a process of the worker's packages; this one says what is wanted and shows
what came of it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from smallfirst.cli.output import (
    INTERRUPTED,
    OK,
    USAGE,
    JsonOption,
    duration,
    fail,
    print_json,
    say,
)
from smallfirst.cli.up import CatalogueOption
from smallfirst.local import die_with_parent
from smallfirst.local.cores import usable_cores
from smallfirst.settings import Settings, load_settings
from smallfirst.training_plan import METHOD_DEFAULTS, Method, TrainingPlan
from smallfirst.wording import faults_of

#: What trains, and the package that it is in.
_MODULE, _PACKAGE = "smallfirst_workers.training", "smallfirst_workers"


def train(  # noqa: PLR0913 - a command's signature is its options
    task: Annotated[str, typer.Argument(help="Of the catalogue; says kind and labels.")],
    *,
    data: Annotated[Path, typer.Option("--data", help="Labelled rows, JSON Lines.")],
    method: Annotated[
        Method,
        typer.Option(help="A head on a frozen encoder; the whole encoder; or one from nothing."),
    ] = Method.TUNE,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Gets the model; models/TASK-N by the catalogue if not."),
    ] = None,
    catalogue: CatalogueOption = None,
    model: Annotated[
        str | None, typer.Option(help="To begin with; else the task's first small one.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="More texts, without labels, for scratch.")
    ] = None,
    held_out: Annotated[float | None, typer.Option(help="Share of rows that only judge.")] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Then train on all rows, as long as was best.")
    ] = False,
    keep_case: Annotated[
        bool, typer.Option("--keep-case", help="Teach a lower-casing model capital letters.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="The most passes over the rows.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better score before it stops.")
    ] = None,
    batch_rows: Annotated[int | None, typer.Option(help="Rows of one step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the last layer.")] = None,
    layer_decay: Annotated[
        float | None, typer.Option(help="Each layer below learns so much slower.")
    ] = None,
    smoothing: Annotated[
        float | None, typer.Option(help="Probability shared among all labels.")
    ] = None,
    consistency: Annotated[
        float | None, typer.Option(help="How much two dropouts must agree (R-Drop); slower.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Width, from scratch.")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers, from scratch.")] = None,
    vocabulary: Annotated[int | None, typer.Option(help="Word pieces, from scratch.")] = None,
    reading_epochs: Annotated[
        int | None, typer.Option(help="Passes over the texts before the task, from scratch.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is random.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Processor threads; else all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small model of a task's own on labelled rows.

    A row is {"text", and the right answer as "label", "labels" or "spans"}. A training that was
    interrupted goes on where it was when the same command is given again.
    """
    asked = {name: value for name, value in locals().items() if name in TrainingPlan.model_fields}
    path = load_settings(Settings, catalogue=catalogue).catalogue.absolute()
    asked |= {
        "catalogue": path,
        "out": (out or _next_out(path.parent / "models", task)).absolute(),
        "data": data.absolute(),
        "texts": texts.absolute() if texts else None,
        "threads": threads or usable_cores(),
    }
    trained = _run(_plan(asked))
    if as_json:
        print_json(trained)
        return
    _show(trained)


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
    tied = [
        sys.executable,
        "-I",
        "-S",
        die_with_parent.__file__,
        str(os.getpid()),
        str(int(signal.SIGKILL)),
    ]
    command = [*tied, sys.executable, "-m", _MODULE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # noqa: S603
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
    metrics = trained["card"]["metrics"].get("held_out")
    say(f"model      {trained['folder']}")
    if metrics:
        rows = f"{metrics['num_rows']:,} rows held out"
        say(f"score      {metrics['measure']} {metrics['score']:.4f} on {rows}")
    say(f"trained in {duration(trained['seconds'])}")
    say("\nTo serve it, put into the catalogue:")
    say(trained["catalogue"])
