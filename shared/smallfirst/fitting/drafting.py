"""The task that rows are about: as the catalogue has it, or drafted from the rows alone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue import Catalogue, Kind, Task
from smallfirst.catalogue.model_tasks import MIN_EXAMPLES_PER_LABEL
from smallfirst.catalogue.row_files import RowError, delimiter_of, parse_row, read_lines
from smallfirst.evaluation.rows import Row, read_rows
from smallfirst.fitting.errors import FitError
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.wording import did_you_mean

#: What one label is told by, or several.
_KIND_OF_KEY: Final = {"label": Kind.CLASSIFY, "labels": Kind.MULTILABEL}
#: The forms of answers that every tier can give.
_FORMS: Final = frozenset({HeadForm.CHOICE, HeadForm.EACH})
_MAX_NAMED = 5

#: A task as a catalogue's file has it.
Written = dict[str, Any]


def task_in(catalogue: Catalogue, name: str) -> Written | None:
    """What the catalogue says of a task, without its cascade and examples; None for no such task.

    Raises:
        FitError: When not every tier could answer it.
    """
    task = catalogue.tasks.get(name)
    if task is None:
        return None
    if KINDS[task.kind].head not in _FORMS:
        raise FitError(
            f"tasks.{name} is of kind {task.kind}; a cascade is fitted for classify and multilabel:"
            " use `smallfirst train` and `smallfirst calibrate`"
        )
    return task.model_dump(
        mode="json", exclude_unset=True, exclude={"cascade", "examples", "audit", "shadow"}
    )


def drafted(path: Path) -> Written:
    """Draft a task from the labels of a file of rows: `label` for one a row, `labels` for several.

    Raises:
        ForeignFile: When the file holds rows in another form.
        FitError: When no task can be made of it.
    """
    found = list(_answers(path))
    keys = {key for key, _ in found}
    if not keys:
        raise FitError(
            f"{path}: no row has a `label`, so there is nothing to learn from; a row is"
            ' {"text": "…", "label": "…"}, or has `labels`, a list. Texts without labels are given'
            " with --unlabelled: it says which to label first"
        )
    if len(keys) > 1:
        raise FitError(f"{path}: some rows have `label` and some `labels`; a task has one of them")
    labels = list(dict.fromkeys(label for _, given in found for label in given))
    kind = _KIND_OF_KEY[keys.pop()]
    if kind is Kind.CLASSIFY and len(labels) == 1:
        raise FitError(_one_label(path, labels[0]))
    return {"kind": kind.value, "labels": dict.fromkeys(labels, "")}


def _answers(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The labels of each row that has some; what is wrong with a row is told when it is read."""
    with path.open("rb") as file:
        for line in read_lines(file, delimiter=delimiter_of(path)):
            try:
                row = parse_row(line.content or b"")
            except RowError:
                continue
            for key in _KIND_OF_KEY:
                given = row.get(key)
                listed = given if isinstance(given, list) else [given]
                if labels := [label for label in listed if isinstance(label, str) and label]:
                    yield key, labels


def placeholder(written: Written) -> Task:
    """The task without anybody to answer it, for reading its rows.

    Raises:
        pydantic.ValidationError: When its labels are wrong.
    """
    anybody = {"model": "anybody"}
    return Task.model_validate({**written, "cascade": [anybody]})


def read_labelled(
    path: Path, name: str, task: Task, teaching: Sequence[Row] = ()
) -> tuple[Row, ...]:
    """Read the rows, and see that there is something to tell apart.

    Args:
        path: Of the rows.
        name: Of the task.
        task: With its labels.
        teaching: More rows, which only teach.

    Raises:
        RowsError: When a row is wrong; it names every one, by line and rule.
        FitError: When there are too few labels.
    """
    rows = read_rows(path, name, task)
    labels_of = KINDS[task.kind].labels_of
    counts = Counter(label for row in (*rows, *teaching) for label in labels_of(row.example))
    is_choice = KINDS[task.kind].head is HeadForm.CHOICE
    if is_choice and len(counts) < 2:
        raise FitError(_one_label(path, next(iter(counts), "none")))
    if missing := [label for label in task.labels if not counts[label]]:
        raise FitError(_unlearnable(path, missing, counts))
    return rows


def _one_label(path: Path, only: str) -> str:
    return f"{path}: every row has the label {only!a}; there is nothing to tell apart"


def _unlearnable(path: Path, missing: Sequence[str], counts: Counter[str]) -> str:
    named = ", ".join(map(repr, missing[:_MAX_NAMED])) + (
        " and more" if missing[_MAX_NAMED:] else ""
    )
    near = did_you_mean(missing[0], counts)
    return (
        f"{path}: no row has one of the task's labels {named}{near}; each needs"
        f" {MIN_EXAMPLES_PER_LABEL} rows at least, or is to be taken out of the catalogue"
    )
