"""From a file of rows to a task that is served: reads the rows, has them fitted, writes it down."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Kind, Model, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.evaluation.calibrating import FEWEST_ROWS
from smallfirst.evaluation.rows import doubts_of, read_rows, repeats_of
from smallfirst.evaluation.scoring_run import ProgressObserver
from smallfirst.evaluation.thresholds import Aim
from smallfirst.fitting.asking import Asking
from smallfirst.fitting.candidates import (
    Candidate,
    Offer,
    joined,
    offer_of,
    task_of,
    with_people,
)
from smallfirst.fitting.card import card_of
from smallfirst.fitting.dealing import Dealt, dealt, with_teaching
from smallfirst.fitting.drafting import Written, drafted, placeholder, read_labelled, task_in
from smallfirst.fitting.errors import FitError
from smallfirst.fitting.fitting import PROMISING, Fitting, Found, parts_of
from smallfirst.fitting.measured import Measurements
from smallfirst.fitting.placing import Placing
from smallfirst.fitting.suggesting import Suggested, suggest
from smallfirst.fitting.tuned import TunedAsking, with_tuned
from smallfirst.fitting.writing import (
    Destination,
    beside,
    catalogue_at,
    check_edit,
    edited,
    write,
)
from smallfirst.jobs import Tier
from smallfirst.provenance.card import Part, write_card
from smallfirst.provenance.files import provenance_by_key
from smallfirst.provenance.record import Provenance
from smallfirst.wording import faults_of


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        task: Its name.
        data: The file of labelled rows; None for none.
        teaching: The file of more labelled rows, which only teach; None for none.
        labels: Of a task that no catalogue has, with their descriptions.
        catalogue: The team's own, where there is one: it may know the task, and has models.
        to: Where it is written.
        aim: What is to be promised.
        budget: Seconds for asking large models and for tuning a small one.
        slm_processes: Workers; as many as suit where None.
    """

    task: str
    data: Path | None
    catalogue: Catalogue | None
    to: Destination
    aim: Aim
    budget: float
    slm_processes: int | None = None
    teaching: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def fit_rows(order: Order, onlooker: ProgressObserver, tell: Callable[[str], None]) -> Found:
    """Fit a cascade to labelled rows, and write it where it is served.

    Args:
        order: What is asked for.
        onlooker: Who watches the fleet at it.
        tell: Gets each sentence about the rows that a person should know.

    Raises:
        SmallfirstError: When the rows or the catalogue are wrong, or the fleet fails.
    """
    assert order.data is not None, "`begin` fits without rows"
    began = monotonic()
    written, task, parts = _rows(order, order.data, tell)
    offer = offer_of(order.catalogue, order.task, task.kind, with_large=order.budget > 0)
    tuned = with_tuned(offer, order.to, parts_of(parts))
    everyone = joined(offer, tuned) if order.budget > 0 else offer
    fitting = Fitting(
        order.task, task, written, parts, everyone, order.aim, monotonic() + order.budget
    )
    kept = Measurements(order.to.measured)
    with (
        Asking(
            offer, written, parts_of(parts), kept,
            onlooker=onlooker, slm_processes=order.slm_processes,
        ) as others,
        TunedAsking(
            others, tuned, written, parts_of(parts), kept, order.to,
            until=fitting.until, began=began, tell=tell,
            onlooker=onlooker, slm_processes=order.slm_processes,
        ) as asking,
    ):  # fmt: skip
        found, text = _fitted(order, fitting, offer, asking)
        is_tuned = any(each in tuned.candidates for each in found.chosen)
        asking.forget(keeps_model=is_tuned and found.promise is not None)
    if found.promise is not None:
        write(order.to, text, parts.learning, found.promise)
    _describe(order.to, found)
    _say_provenance(order, found.dealt)
    return found


def _say_provenance(order: Order, parts: Dealt) -> None:
    """Write which rows had a part in the cascade, by their hashes, and who labelled them."""
    by_key: dict[str, tuple[Provenance, ...]] = {}
    for path in (each for each in (order.data, order.teaching) if each is not None):
        for key, by in provenance_by_key(path).items():
            by_key[key] = (*by_key.get(key, ()), *by)
    used = {Part.LEARNING: parts.learning, Part.PROMISING: parts.promising}
    keys = {part: [row.key for row in rows] for part, rows in used.items()}
    write_card(order.to.provenance, keys, by_key)


def _fitted(order: Order, fitting: Fitting, plain: Offer, asking: TunedAsking) -> tuple[Found, str]:
    """Choose and promise; return it with the catalogue's text as it will be."""
    selection = fitting.selected(asking)
    chosen = [fitting.offer.candidates[n] for n in selection.choice.places]
    if any(each in asking.offer.candidates for each in chosen) and not asking.make(PROMISING):
        # Nothing that was asked already is asked again.
        fitting = replace(fitting, offer=plain)
        selection = fitting.selected(asking)
    offer = fitting.offer
    candidates = tuple(offer.candidates[n] for n in selection.choice.places)
    there = catalogue_at(order.to)
    missing = beside(order.to, lacking(offer.base, there, candidates))
    served = with_people(task_of(fitting.written, candidates), there or order.catalogue, order.task)
    text = edited(order.to, offer.base, missing, served)
    catalogue = check_edit(order.to, text, fitting.dealt.learning)
    found = fitting.promised(asking, selection, catalogue.without_people())
    notes = (asking.why_not,) if asking.why_not else ()
    return replace(found, notes=notes), text


def suggest_next(
    order: Order, unlabelled: Path, count: int, onlooker: ProgressObserver
) -> Suggested:
    """Choose what to label next beside the rows that have labels, and write it.

    Args:
        order: With rows.
        unlabelled: The file of texts without labels.
        count: How many to choose.
        onlooker: Who watches the fleet at it.

    Raises:
        SmallfirstError: When the file is wrong, or the fleet fails.
    """
    task = read_task(order, written_task(order))
    files = [each for each in (order.data, order.teaching) if each is not None]
    rows = [row for path in files for row in read_rows(path, order.task, task)]
    offer = offer_of(order.catalogue, order.task, task.kind, with_large=False)
    placing = Placing(offer, onlooker, order.slm_processes)
    labelled = [row.example for row in rows]
    return suggest(order.to, unlabelled, labelled, task, count, placing)


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


def written_task(order: Order) -> Written:
    """What is known of the task: as the catalogue has it, by its labels, or by those of the rows.

    Raises:
        FitError: When nothing is, or two things are.
    """
    known = task_in(order.catalogue, order.task) if order.catalogue else None
    if known and order.labels:
        raise FitError(
            f"tasks.{order.task} is in the catalogue, and its labels stand there; leave out --label"
        )
    if order.labels:
        return {"kind": Kind.CLASSIFY.value, "labels": dict(order.labels)}
    if known:
        return known
    if order.data is None:
        raise FitError(
            f"{order.task}: no catalogue has this task, and no rows say what its labels are; name"
            ' each with --label "NAME=what it is for", or give labelled rows with --data'
        )
    return drafted(order.data)


def read_task(order: Order, written: Written) -> Task:
    """See that the task may be one.

    Raises:
        FitError: When its labels are wrong.
    """
    try:
        return placeholder(written)
    except ValidationError as error:
        where = f"{order.data}: " if order.data else ""
        faults = faults_of(error, Task.model_fields, ("tasks", order.task))
        raise FitError(f"{where}{faults}") from None


def _rows(order: Order, data: Path, tell: Callable[[str], None]) -> tuple[Written, Task, Dealt]:
    """Read the rows, and deal them out."""
    for path in (each for each in (data, order.teaching) if each is not None):
        if order.to.examples.exists() and order.to.examples.samefile(path):
            raise FitError(
                f"{path}: would be written over by the rows that are learned from; give the rows"
                " another name, and keep them"
            )
    written = written_task(order)
    task = read_task(order, written)
    teaching = read_rows(order.teaching, order.task, task) if order.teaching else ()
    rows = read_labelled(data, order.task, task, teaching)
    repeats = repeats_of(rows, task)
    if repeats.num_texts:
        tell(str(repeats))
    parts = dealt(rows, task)
    for doubt in doubts_of(parts.promising, task):
        tell(doubt)
    if not parts.folds or len(parts.promising) < FEWEST_ROWS:
        raise FitError(_too_few([row.example.text for row in rows], len(task.labels)))
    return written, task, with_teaching(parts, teaching, task) if teaching else parts


def fewest_rows(num_labels: int) -> int:
    """How many rows it takes at least to learn from some and judge by others."""
    return max(5 * num_labels, 3 * FEWEST_ROWS)


def _too_few(texts: Sequence[str], num_labels: int) -> str:
    wanted, distinct = fewest_rows(num_labels), len(set(clusters_of(texts)))
    alike = "" if distinct == len(texts) else f" ({distinct} where those that are alike count once)"
    return (
        f"{len(texts)} rows{alike} are too few to learn from some and judge by others: {wanted} are"
        f" the fewest for {num_labels} labels. A large model is the tool for now, since it needs"
        " none to learn from: name one in the catalogue, with `shots` of these rows as `examples`"
    )


def lacking(
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
