"""`smallfirst generate-rows`: rows that a large model writes, for labels that have few."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallfirst.catalogue import Example
from smallfirst.cli.fit import missing_packages
from smallfirst.cli.options import CatalogueOption, SlmProcessesOption, TaskArgument
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, note, print_json
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER, catalogue_with
from smallfirst.wording import counted, numbered

if TYPE_CHECKING:
    from smallfirst.fitting.to_label import ReadsVectors
    from smallfirst.generating.generating import Generated

RowsOutOption = Annotated[Path, typer.Option("--out", "-o", help="The file for the rows.")]
NumberOption = Annotated[
    int, typer.Option(min=1, max=2000, help="The number of rows, of all labels together.")
]
WriterOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="The large model that writes; if not given, the task's own, else the first."
    ),
]
ExamplesOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="A file of labelled rows that are shown as examples beside the task's own."
    ),
]
ByWordsOption = Annotated[
    bool,
    typer.Option(
        "--by-words", help="Find texts that are nearly alike by words and letters, not by meaning."
    ),
]


def generate_rows(  # noqa: PLR0913 - a command's signature is its options
    task: TaskArgument,
    *,
    out: RowsOutOption,
    number: NumberOption = 100,
    model: WriterOption = None,
    data: ExamplesOption = None,
    by_words: ByWordsOption = False,
    catalogue: CatalogueOption = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a large model write rows of a task, from its labels' descriptions and examples.

    A fleet of its own asks it, for a record of five texts at a time. Texts that repeat another, or
    nearly, are dropped, and each row says that it is synthetic. They only teach: rows that judge
    must be people's. Exit 1 where there are fewer rows than were asked for.
    """
    _check(out, data)
    loaded, _ = catalogue_with(task, catalogue)
    from smallfirst.evaluation.rows import read_rows  # noqa: PLC0415 - takes a second
    from smallfirst.generating import generating  # noqa: PLC0415 - the same

    asked = loaded.tasks[task]
    generating.check_generatable(asked, task)
    own: Sequence[Example] = asked.examples
    more = [row.example for row in read_rows(data, task, asked)] if data else []
    order = generating.GenerateOrder(
        task=task,
        catalogue=loaded,
        model=generating.model_that_writes(loaded, task, model),
        number=number,
        examples=(*own, *more),
    )
    made = generating.generated(
        order, PROGRESS_OBSERVER, _vectors(order, slm_processes, by_words=by_words)
    )
    generating.write_rows(out, made.rows)
    _tell(made, number, out, as_json=as_json)
    if len(made.rows) < number:
        raise typer.Exit(SOME_FAILED)


def _check(out: Path, data: Path | None) -> None:
    """See that there is something to work with, before seconds go by."""
    if missing_packages():
        fail("this needs what compares texts: pip install 'smallfirst[linear,evaluation]'")
    if data is not None and not data.is_file():
        fail(f"{data}: no such file; see --data", exit_code=USAGE)
    if out.is_dir() or not out.absolute().parent.is_dir():
        fail(f"{out}: must be a file in a folder that exists", exit_code=USAGE)
    if data is not None and out.exists() and out.samefile(data):
        fail(f"{out}: is the file of examples itself", exit_code=USAGE)


def _vectors(order: Any, slm_processes: int | None, *, by_words: bool) -> "ReadsVectors":
    """Who places texts: the small model that a fitting would take, or words and letters."""
    from smallfirst.fitting import to_label  # noqa: PLC0415 - takes a second
    from smallfirst.fitting.candidates import offer_of  # noqa: PLC0415 - the same
    from smallfirst.fitting.placing import Placing  # noqa: PLC0415 - the same

    if by_words:
        return to_label.by_words
    kind = order.catalogue.tasks[order.task].kind
    offer = offer_of(order.catalogue, order.task, kind, with_large=False)
    return Placing(offer, PROGRESS_OBSERVER, slm_processes)


def _tell(made: "Generated", number: int, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "asked": number,
                "rows": len(made.rows),
                "written": made.num_written,
                "repeated": made.num_repeated,
                "near": made.num_near,
                "failed": made.num_failed,
                "labels": dict(made.by_label),
            }
        )
        return
    note(f"{counted(len(made.rows), 'row')} of {number:,} asked for: {out}")
    repeats = numbered(made.num_repeated, "text repeats", "texts repeat")
    note(f"dropped: {repeats} another, {made.num_near:,} more nearly so")
    if made.num_failed:
        note(f"{numbered(made.num_failed, 'question was', 'questions were')} not answered")
