"""A task without a labelled row: a large model answers, if there is one; nothing is promised."""

import shlex
from dataclasses import dataclass
from math import inf
from pathlib import Path

from smallfirst.catalogue import Catalogue, Task
from smallfirst.catalogue.model_files import model_parameters
from smallfirst.evaluation.scoring_run import ProgressObserver
from smallfirst.fitting.candidates import Candidate, offer_of, writers
from smallfirst.fitting.drafting import Written
from smallfirst.fitting.from_rows import Order, lacking, read_task, written_task
from smallfirst.fitting.placing import Placing
from smallfirst.fitting.suggesting import Suggested, advice, check_suggestable, suggest
from smallfirst.fitting.writing import catalogue_at, check_edit, edited, write
from smallfirst.jobs import Tier
from smallfirst.wording import counted

#: A model of fewer parameters follows examples, not descriptions (SmolLM2-135M, told the labels of
#: the demo's `topic` alone: 20 % of 120 right).
_FOLLOWS_FROM = 1_000_000_000


@dataclass(frozen=True)
class Begun:
    """What there is of a task before the first row is labelled.

    Attributes:
        task: Its name.
        labels: Its labels, with their descriptions.
        model: The large model that would answer; None where the catalogue has none.
        is_small: Whether that one is too small to go by descriptions.
        is_written: Whether the catalogue has been given the task; else it stays as it was.
        is_there: Whether the catalogue had the task.
        suggested: What to label next; None where no texts were given.
    """

    task: str
    labels: dict[str, str]
    model: str | None
    is_small: bool
    is_written: bool
    is_there: bool
    suggested: Suggested | None


def begin(
    order: Order,
    unlabelled: Path | None,
    count: int,
    onlooker: ProgressObserver,
    *,
    replace: bool,
) -> Begun:
    """Have a large model answer a task that has no labelled rows, and say what to label next.

    Args:
        order: Without rows.
        unlabelled: The file of texts without labels, if any.
        count: How many of them are to teach.
        onlooker: Who watches a fleet at it.
        replace: Whether a task that the catalogue has already is written over.

    Raises:
        SmallfirstError: When the file or the catalogue is wrong, or the fleet fails.
    """
    written = written_task(order)
    task = read_task(order, written)
    there = order.catalogue.tasks.get(order.task) if order.catalogue else None
    examples = there.examples if there else ()
    model = _largest(order.catalogue)
    keeps = there is not None and (not replace or bool(examples))
    if unlabelled is not None:
        check_suggestable(order.to, unlabelled)
    if model is not None and not keeps:
        _write(order, written, task, model)
    offer = offer_of(order.catalogue, order.task, task.kind, with_large=False)
    placing = Placing(offer, onlooker, order.slm_processes)
    return Begun(
        task=order.task,
        labels=dict(task.labels),
        model=model,
        is_small=model is not None and _size(order.catalogue, model) < _FOLLOWS_FROM,
        is_written=model is not None and not keeps,
        is_there=there is not None,
        suggested=suggest(order.to, unlabelled, examples, task, count, placing)
        if unlabelled
        else None,
    )


def _largest(catalogue: Catalogue | None) -> str | None:
    """The large model that most likely does as it is told; None where there is none."""
    names = writers(catalogue) if catalogue else []
    return max(names, key=lambda name: _size(catalogue, name), default=None)


def _size(catalogue: Catalogue | None, name: str) -> float:
    """How many parameters a model has; one that runs elsewhere and does not say is the largest."""
    assert catalogue is not None, "it has the model"
    model = catalogue.models[name]
    return inf if model.is_remote and model.parameters is None else model_parameters(model)


def _write(order: Order, written: Written, task: Task, model: str) -> None:
    """Write the task, answered by a large model whose every answer stands."""
    assert order.catalogue is not None, "it has the model"
    offer = offer_of(order.catalogue, order.task, task.kind, with_large=True)
    chosen = (Candidate(model, Tier.LLM, {"model": model}),)
    missing = lacking(offer.base, catalogue_at(order.to), chosen)
    served = {**written, "cascade": [chosen[0].step]}
    text = edited(order.to, offer.base, missing, served, has_examples=False)
    check_edit(order.to, text, ())
    write(order.to, text, (), None)


def sayings(begun: Begun) -> list[str]:
    """Say who answers, what is missing, and what to do next."""
    return [_who(begun), *_doubts(begun), *(advice(begun.suggested) if begun.suggested else ())]


def _who(begun: Begun) -> str:
    nothing = "No row is labelled, so that nothing can be judged, and nothing is promised"
    if begun.is_written:
        return (
            f"{nothing}: {begun.model} answers every text, by the labels and their descriptions"
            " alone."
        )
    if begun.is_there:
        return f"{nothing}: tasks.{begun.task} stays in the catalogue as it is."
    return (
        f"{nothing}. Nothing is served either: without labelled rows only a large model can answer,"
        " and the catalogue has none. Give it one, with its pool (docs/how-to/add-a-model.md), or"
        " label rows."
    )


def _doubts(begun: Begun) -> list[str]:
    said = []
    if begun.is_written and begun.is_small:
        said.append(
            f"{begun.model} has fewer than a billion parameters: such a model follows examples, and"
            " descriptions hardly. Give the task a few rows as `examples`, or a larger model."
        )
    bare = [label for label, about in begun.labels.items() if not about]
    if begun.is_written and bare:
        said.append(
            f"{counted(len(bare), 'label')} of {len(begun.labels)} have no description, by which a"
            f" large model goes: {', '.join(bare[:5])}{' and more' if bare[5:] else ''}."
        )
    if begun.suggested is None:
        said.append("Give a file of texts with --unlabelled, and it is said which to label first.")
    return said


def next_steps(order: Order, begun: Begun) -> list[str]:
    """What to type next."""
    path, found = shlex.quote(str(order.to.catalogue)), begun.suggested
    commands = []
    if begun.is_written:
        commands += [f"smallfirst check {path}", f"smallfirst up --catalogue {path}"]
    if found is not None and found.to_judge is not None:
        judge, teach = (shlex.quote(str(each)) for each in (found.to_judge, found.to_teach))
        also = f" --teaching {teach}" if found.num_to_teach else ""
        rest = " --replace" if begun.is_written or begun.is_there else ""
        commands.append(
            f"smallfirst fit {begun.task} --data {judge}{also} --catalogue {path}{rest}"
            "    # once they are labelled"
        )
    return commands
