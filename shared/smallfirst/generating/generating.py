"""Having rows written by a large model, through a fleet of its own, until there are enough."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue import Catalogue, Example, Task
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.client import Client
from smallfirst.evaluation.scoring_run import MAX_IN_FLIGHT, ProgressObserver, has_failed
from smallfirst.evaluation.single_step_catalogue import as_yaml
from smallfirst.fitting.asking import temporary_folder
from smallfirst.fitting.candidates import writers
from smallfirst.fitting.to_label import ReadsVectors
from smallfirst.fitting.unlabelled import MOST_COMPARED
from smallfirst.generating.dropping import New, unlike
from smallfirst.generating.errors import GenerateError
from smallfirst.generating.prompts import (
    TEXTS_OF_ANSWER,
    WRITE,
    has_label,
    question,
    right_answer,
    shares,
    texts_in,
    writing_catalogue,
)
from smallfirst.jobs import Job, Result, Tier
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.local import LocalFleet
from smallfirst.provenance.record import PROVENANCE_KEY, Provenance, Source

#: How often the model is asked again for labels that it wrote too little of.
_ROUNDS: Final = 4


@dataclass(frozen=True)
class GenerateOrder:
    """What is asked for.

    Attributes:
        task: Its name.
        catalogue: That has it, and the model.
        model: The name of the large model.
        number: How many rows, of all labels together.
        examples: Texts with their labels, some of which are shown; none of which is written again.
    """

    task: str
    catalogue: Catalogue
    model: str
    number: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Generated:
    """What a model wrote.

    Attributes:
        rows: As files of rows have them, each with its provenance.
        num_written: Texts that it wrote.
        num_repeated: Of these, those that were there already.
        num_near: Of these, those that are nearly like another.
        num_failed: Questions that it did not answer.
        by_label: How many rows each label has.
    """

    rows: tuple[dict[str, Any], ...]
    num_written: int
    num_repeated: int
    num_near: int
    num_failed: int
    by_label: Mapping[str, int]


@dataclass(frozen=True)
class _Text:
    """A text that the model wrote for a label."""

    label: str
    text: str
    revision: str


def model_that_writes(catalogue: Catalogue, task: str, model: str | None) -> str:
    """Name the large model that is asked: the one that is named, the task's own, else the first.

    Raises:
        GenerateError: When there is none, or the one that is named does not write.
    """
    known = writers(catalogue)
    if model is not None and model not in known:
        there = ", ".join(known) or "none"
        raise GenerateError(f"--model: {model!r} is no large model that writes; there are: {there}")
    own = [name for step in catalogue.tasks[task].cascade for name in step.asks if name in known]
    if found := model or next(iter([*own, *known]), None):
        return found
    raise GenerateError("models: the catalogue has no large model that writes; add one")


def check_generatable(task: Task, name: str) -> None:
    """See that texts can be written for the labels of a task.

    Raises:
        GenerateError: When it has none.
    """
    if KINDS[task.kind].head not in {HeadForm.CHOICE, HeadForm.EACH}:
        raise GenerateError(
            f"tasks.{name}.kind: is {task.kind}; rows are written for classify and multilabel,"
            " whose labels say what to write"
        )


def generated(
    order: GenerateOrder, onlooker: ProgressObserver, vectors_of: ReadsVectors
) -> Generated:
    """Have rows written.

    Args:
        order: What is asked for.
        onlooker: Who watches the fleet at it.
        vectors_of: Places texts, to find those that are nearly alike.

    Raises:
        LocalFleetError: When the fleet does not come up.
        GenerateError: When the model answers nothing at all.
    """
    known = [each.text for each in order.examples]
    new, tally = New(known), Counter[str]()
    with temporary_folder() as folder:
        path = folder / "catalogue.yaml"
        path.write_text(as_yaml(writing_catalogue(order.catalogue, order.model)), "utf-8")
        fleet = LocalFleet(path, folder / "fleet", flower=False, persistent=False)
        with onlooker.around(fleet), fleet, onlooker.asking(fleet) as advance:
            texts: list[_Text] = []
            with Client(fleet.redis_url) as client:
                for each in _written(order, fleet, client, new, tally):
                    texts.append(each)
                    advance(len(texts), order.number)
    # Repeats of all examples are known by now; of very many, some are compared by meaning.
    kept = unlike([each.text for each in texts], known[:MOST_COMPARED], vectors_of)
    task = order.catalogue.tasks[order.task]
    rows = tuple(_row(task, order.model, texts[place]) for place in kept)
    return Generated(
        rows=rows,
        num_written=tally["written"],
        num_repeated=new.num_repeated,
        num_near=len(texts) - len(kept),
        num_failed=tally["failed"],
        by_label=Counter(texts[place].label for place in kept),
    )


def _written(
    order: GenerateOrder, fleet: LocalFleet, client: Client, new: New, tally: Counter[str]
) -> Iterator[_Text]:
    """Ask until each label has its share, or the rounds are over."""
    task = order.catalogue.tasks[order.task]
    missing = Counter(shares(order.number, list(task.labels)))
    number = 0
    for _ in range(_ROUNDS):
        asked = [label for label in missing for _ in range(ceil(missing[label] / TEXTS_OF_ANSWER))]
        jobs = [_job(order, label, number + place) for place, label in enumerate(asked)]
        number += len(jobs)
        results = client.map(jobs, max_in_flight=MAX_IN_FLIGHT)
        for label, result in zip(asked, results, strict=True):
            fleet.check()
            tally["failed"] += not result.is_answered
            for text in texts_in(result.answer):
                tally["written"] += 1
                if missing[label] > 0 and new.is_new(text):
                    missing[label] -= 1
                    yield _Text(label, text, result.trail[-1].revision)
        if jobs and tally["failed"] == number:
            raise GenerateError(f"models.{order.model}: {_why(result)}; see its logs: {fleet.logs}")


def _why(result: Result) -> str:
    """Why a question got no answer, in the model's words where it was asked."""
    said = result.trail[-1].reason if has_failed(result) else None
    return said or (result.problem.message if result.problem else "answered nothing")


def _job(order: GenerateOrder, label: str, number: int) -> Job:
    task = order.catalogue.tasks[order.task]
    shown = [each for each in order.examples if has_label(task, each, label)]
    return Job(id=f"write-{number}", task=WRITE, text=question(task, label, shown, number))


def _row(task: Task, model: str, found: _Text) -> dict[str, Any]:
    by = Provenance(source=Source.SYNTHETIC, tier=Tier.LLM, model=model, revision=found.revision)
    answer = right_answer(task, found.label)
    return {"text": found.text, **answer, PROVENANCE_KEY: by.as_json()}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a file of rows, whole or not at all."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
