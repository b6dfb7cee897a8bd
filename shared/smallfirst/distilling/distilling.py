"""One distilling: rows from answers, refused, settled, written down, and fitted to a candidate."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smallfirst.catalogue import Catalogue, Task
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.distilling.deciding import (
    LIKE_TEST,
    Labelled,
    Roles,
    Rules,
    Settled,
    leaked,
    own_answers,
    roles,
    settled,
    unlike_test,
)
from smallfirst.distilling.errors import DistilError, LeakedRowsError, OwnAnswersError
from smallfirst.distilling.gathering import gathered
from smallfirst.evaluation.rows import Row, read_rows
from smallfirst.evaluation.scoring_run import ProgressObserver
from smallfirst.evaluation.thresholds import Aim
from smallfirst.fitting.asking import example_of
from smallfirst.fitting.candidates import offer_of
from smallfirst.fitting.fitting import Found
from smallfirst.fitting.from_rows import Order, fewest_rows, fit_rows
from smallfirst.fitting.writing import Destination
from smallfirst.provenance.record import LEARNING_TIERS, PROVENANCE_KEY
from smallfirst.wording import counted, numbered


@dataclass(frozen=True)
class DistilOrder:
    """What is asked for.

    Attributes:
        task: Its name.
        labelled: Files whose rows say who labelled them.
        people: Files of people's rows.
        test: Files of rows that will judge the candidate, and that it must not see.
        catalogue: The live one.
        to: Where the candidate is written.
        rules: What a row must be to be learned from.
        drops_refused: Whether refused rows are left out, and no error.
        aim: What is to be promised.
        budget: Seconds for asking large models and for tuning a small one.
        slm_processes: Workers; as many as suit where None.
    """

    task: str
    labelled: tuple[Path, ...]
    people: tuple[Path, ...]
    test: tuple[Path, ...]
    catalogue: Catalogue
    to: Destination
    rules: Rules
    drops_refused: bool
    aim: Aim
    budget: float
    slm_processes: int | None = None


@dataclass(frozen=True)
class Distilled:
    """What a distilling came to.

    Attributes:
        settled: The rows, and why others are left out.
        roles: Which of them judged.
        num_refused: Rows that were refused, and left out because that was asked for.
        found: What the fitting came to.
    """

    settled: Settled
    roles: Roles
    num_refused: int
    found: Found


def distil(
    order: DistilOrder, onlooker: ProgressObserver, tell: Callable[[str], None]
) -> Distilled:
    """Make a candidate of answers, and write it where `smallfirst promote` finds it.

    Args:
        order: What is asked for.
        onlooker: Who watches the fleet at it.
        tell: Gets each sentence about the rows that a person should know.

    Raises:
        SmallfirstError: When rows are wrong or refused, or the fleet fails.
    """
    task = order.catalogue.tasks[order.task]
    rows = gathered(order.labelled, order.people, order.task, task)
    if not rows:
        raise DistilError("no row is given; name files with --labelled and --people")
    test = [row for path in order.test for row in read_rows(path, order.task, task)]
    kept = unrefused(rows, test, trained_models(order), drops_refused=order.drops_refused)
    unlike = unlike_test(kept, [row.example.text for row in test])
    found = settled(unlike, task, order.rules)
    if alike := len(kept) - len(unlike):
        found = replace(found, left_out=found.left_out + type(found.left_out)({LIKE_TEST: alike}))
    chosen = roles(found, task, order.rules, fewest_rows(len(task.labels)))
    for sentence in sentences(found, chosen, len(rows) - len(kept)):
        tell(sentence)
    fitted = fit_rows(_fit_order(order, chosen), onlooker, tell)
    return Distilled(found, chosen, len(rows) - len(kept), fitted)


def trained_models(order: DistilOrder) -> frozenset[str]:
    """Name the models that a fitting trains from the rows: of the tiers that learn."""
    kind = order.catalogue.tasks[order.task].kind
    offer = offer_of(order.catalogue, order.task, kind, with_large=False)
    learning = [each for each in offer.candidates if each.tier in LEARNING_TIERS]
    # The tuned one has another name each time: see `family_of`.
    return frozenset(name for each in learning for name in each.models) | {
        f"{order.task}-tuned-00000000"
    }


def unrefused(
    rows: Sequence[Labelled],
    test: Sequence[Row],
    trained: frozenset[str],
    *,
    drops_refused: bool,
) -> tuple[Labelled, ...]:
    """See that no row is a model's own answer, and none a row of the test.

    Args:
        rows: All.
        test: That judge the candidate.
        trained: The models that are to learn.
        drops_refused: Whether such rows are left out.

    Raises:
        OwnAnswersError: When a model that is to learn has labelled some itself.
        LeakedRowsError: When some are rows of the test.
    """
    own = own_answers(rows, trained)
    seen = leaked(rows, {row.key for row in test})
    if own and not drops_refused:
        model, bad = next(iter(own.items()))
        raise OwnAnswersError(model, [each.place for each in bad])
    if seen and not drops_refused:
        raise LeakedRowsError([each.place for each in seen])
    refused = {each.place for group in (*own.values(), seen) for each in group}
    return tuple(each for each in rows if each.place not in refused)


def _fit_order(order: DistilOrder, chosen: Roles) -> Order:
    """Write the rows down, and order a fitting to them."""
    # Not beside the page and the card, which are passed around without texts.
    folder = order.to.examples.parent
    folder.mkdir(parents=True, exist_ok=True)
    judging = folder / f"{order.task}.judging.jsonl"
    teaching = folder / f"{order.task}.teaching.jsonl"
    _write(judging, chosen.judging)
    _write(teaching, chosen.teaching)
    return Order(
        task=order.task,
        data=judging,
        catalogue=order.catalogue,
        to=order.to,
        aim=order.aim,
        budget=order.budget,
        slm_processes=order.slm_processes,
        teaching=teaching if chosen.teaching else None,
    )


def _write(path: Path, rows: Sequence[Labelled]) -> None:
    lines = (json.dumps(_row(each), ensure_ascii=False) for each in rows)
    write_whole(path, "".join(f"{line}\n" for line in lines))


def _row(each: Labelled) -> dict[str, Any]:
    return {**example_of(each.row), PROVENANCE_KEY: each.by.as_json()}


def read_task(catalogue: Catalogue, name: str) -> Task:
    """The task of the live catalogue.

    Raises:
        DistilError: When there is none of that name.
    """
    if name not in catalogue.tasks:
        raise DistilError(
            f"tasks.{name}: the catalogue has no such task; `smallfirst fit` makes it"
        )
    return catalogue.tasks[name]


def sentences(found: Settled, chosen: Roles, num_refused: int) -> list[str]:
    """Say which rows are learned from, why others are not, and who judges."""
    people, machines = len(found.people), len(found.machines)
    said = [f"{counted(people, 'row')} of people and {machines:,} of machines"]
    if num_refused:
        said.append(f"refused, and left out: {counted(num_refused, 'row')}")
    ranked = found.left_out.most_common()
    said += [f"left out: {counted(count, 'row')}: {reason}" for reason, count in ranked]
    if found.num_overruled:
        texts = numbered(found.num_overruled, "text", "texts")
        said.append(f"people and machines differ on {texts}, and people's answers stand")
    if not chosen.is_by_people:
        said.append(
            "people's rows, or those of a label, are too few to judge the candidate, so machines'"
            " rows do too: what is promised is how often it answers as these say, and `smallfirst"
            " promote` holds it against people's"
        )
    return said
