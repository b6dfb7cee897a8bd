"""From a file of rows to a task that is served: reads the rows, has them fitted, writes it down."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Model, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.evaluation.calibrating import FEWEST_ROWS
from smallfirst.evaluation.rows import doubts_of, repeats_of
from smallfirst.evaluation.scoring_run import ProgressObserver
from smallfirst.evaluation.thresholds import Aim
from smallfirst.fitting.asking import Asking
from smallfirst.fitting.candidates import Candidate, offer_of, task_of, with_people
from smallfirst.fitting.card import card_of
from smallfirst.fitting.dealing import Dealt, dealt
from smallfirst.fitting.drafting import Written, drafted, placeholder, read_labelled, task_in
from smallfirst.fitting.errors import FitError
from smallfirst.fitting.fitting import Fitting, Found, parts_of
from smallfirst.fitting.measured import Measurements
from smallfirst.fitting.writing import (
    Destination,
    catalogue_at,
    check_edit,
    edited,
    write,
)
from smallfirst.jobs import Tier
from smallfirst.wording import faults_of


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        task: Its name.
        data: The file of labelled rows.
        catalogue: The team's own, where there is one: it may know the task, and has models.
        to: Where it is written.
        aim: What is to be promised.
        budget: Seconds that large models may be asked for.
        slm_processes: Workers; as many as suit where None.
    """

    task: str
    data: Path
    catalogue: Catalogue | None
    to: Destination
    aim: Aim
    budget: float
    slm_processes: int | None = None


def fit_rows(order: Order, onlooker: ProgressObserver, tell: Callable[[str], None]) -> Found:
    """Fit a cascade to labelled rows, and write it where it is served.

    Args:
        order: What is asked for.
        onlooker: Who watches the fleet at it.
        tell: Gets each sentence about the rows that a person should know.

    Raises:
        SmallfirstError: When the rows or the catalogue are wrong, or the fleet fails.
    """
    written, task, parts = _rows(order, tell)
    offer = offer_of(order.catalogue, order.task, with_large=order.budget > 0)
    fitting = Fitting(
        order.task, task, written, parts, offer, order.aim, monotonic() + order.budget
    )
    kept = Measurements(order.to.measured)
    there = catalogue_at(order.to)
    with Asking(
        offer, written, parts_of(parts), kept,
        onlooker=onlooker, slm_processes=order.slm_processes,
    ) as asking:  # fmt: skip
        selection = fitting.selected(asking)
        chosen = tuple(offer.candidates[n] for n in selection.choice.places)
        served = with_people(task_of(written, chosen), there, order.task)
        lacking = _wanted(offer.base, there, chosen)
        text = edited(order.to, offer.base, lacking, served)
        catalogue = check_edit(order.to, text, parts.learning)
        found = fitting.promised(asking, selection, catalogue.without_people())
    if found.promise is not None:
        write(order.to, text, parts.learning, found.promise)
    _describe(order.to, found)
    return found


def next_commands(to: Destination, found: Found) -> list[str]:
    """What to type next; nothing where nothing was written."""
    if found.promise is None:
        return []
    path = shlex.quote(str(to.catalogue))
    return [
        f"smallfirst check {path}",
        f"smallfirst up --catalogue {path}",
        f"smallfirst run ROWS.jsonl --task {to.task}    # in a second terminal",
    ]


def _describe(to: Destination, found: Found) -> None:
    """Write the page for people and the card for programs."""
    from smallfirst.fitting.page import fit_page  # noqa: PLC0415 - draws, which takes a second

    write_whole(to.card, json.dumps(card_of(found), indent=1, ensure_ascii=False) + "\n")
    write_whole(to.page, fit_page(found, next_commands(to, found)))


def _rows(order: Order, tell: Callable[[str], None]) -> tuple[Written, Task, Dealt]:
    """Read the rows, and deal them out."""
    if order.to.examples.exists() and order.to.examples.samefile(order.data):
        raise FitError(
            f"{order.data}: would be written over by the rows that are learned from; give the rows"
            " another name, and keep them"
        )
    known = task_in(order.catalogue, order.task) if order.catalogue else None
    written = known or drafted(order.data)
    try:
        task = placeholder(written)
    except ValidationError as error:
        raise FitError(f"{order.data}: {faults_of(error, Task.model_fields)}") from None
    rows = read_labelled(order.data, order.task, task)
    repeats = repeats_of(rows, task)
    if repeats.num_texts:
        tell(str(repeats))
    parts = dealt(rows, task)
    for doubt in doubts_of(parts.promising, task):
        tell(doubt)
    if not parts.folds or len(parts.promising) < FEWEST_ROWS:
        raise FitError(_too_few([row.example.text for row in rows], len(task.labels)))
    return written, task, parts


def _too_few(texts: Sequence[str], num_labels: int) -> str:
    wanted, distinct = max(5 * num_labels, 3 * FEWEST_ROWS), len(set(clusters_of(texts)))
    alike = "" if distinct == len(texts) else f" ({distinct} where those that are alike count once)"
    return (
        f"{len(texts)} rows{alike} are too few to learn from some and judge by others: {wanted} are"
        f" the fewest for {num_labels} labels. A large model is the tool for now, since it needs"
        " none to learn from: name one in the catalogue, with `shots` of these rows as `examples`"
    )


def _wanted(
    base: Written, there: Catalogue | None, chosen: tuple[Candidate, ...]
) -> dict[str, Written]:
    """Of what the chosen cascade asks, what the catalogue lacks: its models, and their pools.

    Raises:
        FitError: When the catalogue has another model of a name.
    """
    models = {name: base["models"][name] for each in chosen for name in each.models}
    known = there.models if there else {}
    for name in models.keys() & known.keys():
        if Model.model_validate(models[name]) != known[name]:
            raise FitError(f"models.{name} is another model there; rename one of them")
    pooled = {pool.tier for pool in there.pools.values()} if there else set()
    # Where there are models there must be a pool, though a linear one needs none.
    needed = {each.tier for each in chosen} | (set() if pooled else {Tier.SLM})
    pools = {name: pool for name, pool in base["pools"].items() if pool["tier"] in needed - pooled}
    missing = {name: model for name, model in models.items() if name not in known}
    return {section: found for section, found in (("pools", pools), ("models", missing)) if found}
