"""The arguments and options that several commands share, with their help."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.jobs import Priority


def share_between(low: float, high: float) -> Callable[[str], float]:
    """Make what reads a share; who writes it in per cent is told how it is written."""

    def read(value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is no number") from None
        if low <= found <= high:
            return found
        meant = f"; {found:g} % is {found / 100:g}" if low <= found / 100 <= high else ""
        raise typer.BadParameter(f"{found:g} is not from {low:g} to {high:g}{meant}")

    return read


TaskArgument = Annotated[str, typer.Argument(help="The name of a task in the catalogue.")]
CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        help="The catalogue that the fleet serves; if not given, SMALLFIRST_CATALOGUE, else"
        " catalogue.yaml."
    ),
]
SlmProcessesOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="The number of SLM workers; if not given, one for each core, up to four."
    ),
]
ProducerOption = Annotated[
    str | None,
    typer.Option(
        help="The name of the producer whose jobs these are; if not given, SMALLFIRST_PRODUCER,"
        " else `default`."
    ),
]
DropSeenOption = Annotated[
    bool, typer.Option("--drop-seen", help="Leave out rows that a model was trained on.")
]
PriorityOption = Annotated[
    Priority, typer.Option(help="Who waits for the answer: a person or a pipeline.")
]
DeadlineOption = Annotated[
    float | None, typer.Option(help="The seconds after which nobody wants the answer.")
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Say which words drove the answer, where the model can.")
]
WholeDistributionOption = Annotated[
    bool,
    typer.Option(
        "--whole-distribution",
        help="Give the probability of every label, and not of the likeliest alone.",
    ),
]
