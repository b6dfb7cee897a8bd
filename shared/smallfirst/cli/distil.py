"""`smallfirst distil`: from answers of machines and people to a candidate for the gate."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallfirst.cli.calibrate import ConfidenceOption, TargetOption
from smallfirst.cli.fit import BudgetOption, missing_packages, show, tell_files
from smallfirst.cli.options import (
    CatalogueOption,
    SlmProcessesOption,
    TaskArgument,
    share_between,
)
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, note, print_json
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER, catalogue_with

if TYPE_CHECKING:
    from smallfirst.distilling.distilling import Distilled, DistilOrder
    from smallfirst.fitting.writing import Destination

LabelledOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A file of rows that say who labelled them, as `smallfirst label` and `smallfirst"
        " generate-rows` write them; may be given several times."
    ),
]
PeopleOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A file of rows that people labelled, as `smallfirst export` writes them; may be given"
        " several times."
    ),
]
TestOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A file of rows that will judge the candidate in `smallfirst promote`; rows of it are"
        " refused. May be given several times."
    ),
]
MinConfidenceOption = Annotated[
    float,
    typer.Option(
        parser=share_between(0, 1),
        metavar="SHARE",
        help="The least confidence of a machine's answer that is learned from, 0 to 1.",
    ),
]
MinAgreeingOption = Annotated[
    int,
    typer.Option(
        min=1, help="The number of models, or revisions, that must have given the same answer."
    ),
]
HumanWeightOption = Annotated[
    float,
    typer.Option(min=1, max=100, help="The number of machines' rows that one of people counts as."),
]
CandidateOutOption = Annotated[
    Path, typer.Option("--out", "-o", help="The folder for the candidate.")
]
DropRefusedOption = Annotated[
    bool,
    typer.Option(
        "--drop-refused",
        help="Leave out rows of the test, and rows that the model to be trained answered itself.",
    ),
]


def distil(  # noqa: PLR0913 - a command's signature is its options
    task: TaskArgument,
    *,
    labelled: LabelledOption = None,
    people: PeopleOption = None,
    test: TestOption = None,
    min_confidence: MinConfidenceOption = 0.8,
    min_agreeing: MinAgreeingOption = 1,
    human_weight: HumanWeightOption = 2.0,
    drop_refused: DropRefusedOption = False,
    target: TargetOption = 0.02,
    confidence: ConfidenceOption = 0.95,
    budget: BudgetOption = "10m",  # type: ignore[assignment] # the parser makes seconds of it
    out: CandidateOutOption = Path("candidate"),
    catalogue: CatalogueOption = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a candidate from what large models and people answered, ready for `smallfirst promote`.

    People's answers count more, and settle what machines answered otherwise; machines' are kept
    where they agree and are sure enough. Refused by name: answers of the model that would learn
    from them, and rows of the test. Exit 1 where the rows bear no promise at all.
    """
    _check({"labelled": labelled, "people": people, "test": test})
    _, path = catalogue_with(task, catalogue)
    from smallfirst.catalogue.loading import load_catalogue  # noqa: PLC0415 - takes a second
    from smallfirst.distilling import distilling  # noqa: PLC0415 - the same
    from smallfirst.distilling.deciding import Rules  # noqa: PLC0415 - the same
    from smallfirst.evaluation.thresholds import Aim  # noqa: PLC0415 - the same
    from smallfirst.fitting.writing import alone  # noqa: PLC0415 - the same

    to = _destination(out, task, path)
    order = distilling.DistilOrder(
        task=task,
        labelled=_once(labelled),
        people=_once(people),
        test=_once(test),
        catalogue=load_catalogue(path, needs_promises=False),
        to=to,
        rules=Rules(min_confidence, min_agreeing, human_weight),
        drops_refused=drop_refused,
        aim=Aim(target, confidence),
        budget=budget,
        slm_processes=slm_processes,
    )
    with alone(to):
        made = distilling.distil(order, PROGRESS_OBSERVER, note)
    _tell(made, order, path, as_json=as_json)
    if made.found.promise is None:
        raise typer.Exit(SOME_FAILED)


def _destination(out: Path, task: str, live: Path) -> "Destination":
    """Where the candidate goes, seen to be writable and not where the live cascade is."""
    from smallfirst.fitting.writing import Destination, check_writable  # noqa: PLC0415 - a second

    to = Destination((out / "catalogue.yaml").absolute(), task)
    if to.catalogue == live.absolute():
        fail(f"{out}: has the live catalogue; name another folder with --out", exit_code=USAGE)
    check_writable(to, replace=True)
    return to


def _once(paths: list[Path] | None) -> tuple[Path, ...]:
    """Each file once: one that is named twice would count twice."""
    return tuple({path.resolve(): path for path in paths or ()}.values())


def _check(files: Mapping[str, list[Path] | None]) -> None:
    """See that there is something to work with, before seconds go by."""
    if missing_packages():
        fail("distilling needs what fits: pip install 'smallfirst[linear,evaluation]'")
    for name, paths in files.items():
        for path in paths or ():
            if not path.is_file():
                fail(f"{path}: no such file; see --{name}", exit_code=USAGE)
    if not files["labelled"] and not files["people"]:
        fail("no rows are given; name files with --labelled or --people", exit_code=USAGE)


def _tell(made: "Distilled", order: "DistilOrder", live: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(made))
    else:
        show(made.found)
    tell_files(made.found, order.to)
    if made.found.promise is not None:
        judge = order.test[0] if order.test else "HUMAN.jsonl"
        note("\nto put it in the live cascade's place:")
        note(
            f"  smallfirst promote {order.task} --candidate {order.to.catalogue.parent}"
            f" --data {judge} --catalogue {live}"
        )


def _as_json(made: "Distilled") -> dict[str, Any]:
    from smallfirst.fitting.card import card_of  # noqa: PLC0415 - takes a second

    sources = Counter(str(each.by.source) for each in (*made.roles.judging, *made.roles.teaching))
    return {
        "rows": dict(sources),
        "judging": len(made.roles.judging),
        "is_judged_by_people": made.roles.is_by_people,
        "refused": made.num_refused,
        "left_out": dict(made.settled.left_out),
        "overruled": made.settled.num_overruled,
        "fit": card_of(made.found),
    }
