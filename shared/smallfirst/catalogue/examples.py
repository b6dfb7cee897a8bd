"""Reading a file of examples, one labelled text a row.

A row has `text` and the answer under the key of its task's kind (`KindSpec.example_key`), and may
have an `id`. Instead of its own answer it may carry the gold answers of several tasks, as in
`{"text": …, "gold": {"topic": "billing", "pii": []}}`, and each task takes its own. Where labelled
rows judge a cascade, `"label": null` says that none of the labels is right. Other keys are let
through unread: files come out of other systems, and a missing answer is refused anyhow.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smallfirst.catalogue import Task
from smallfirst.catalogue.problems import problems_of
from smallfirst.catalogue.row_files import (
    ForeignFile,
    Line,
    RowError,
    delimiter_of,
    parse_row,
    read_lines,
)
from smallfirst.catalogue.tasks import example_problem
from smallfirst.errors import CatalogueProblem
from smallfirst.kinds import KINDS, Example
from smallfirst.wording import nearest, numbered

#: Most rows of one file that are complained about one by one.
MAX_COMPLAINTS = 20


def read_examples(
    content: bytes, path: Path, name: str, task: Task
) -> tuple[tuple[Example, ...], list[CatalogueProblem]]:
    """Read the rows that serve a task, without their lines; see `read_numbered`."""
    numbered, problems = read_numbered(content, path, name, task)
    return tuple(example for _, example in numbered), problems


def read_numbered(
    content: bytes, path: Path, name: str, task: Task, *, allows_none: bool = False
) -> tuple[list[tuple[int, Example]], list[CatalogueProblem]]:
    """Read the rows that serve a task with their lines, and say what is wrong with the others.

    Args:
        content: Of the file.
        path: Of the file, which says whether it is a table, and for the complaints.
        name: Of the task.
        task: Whose kind and labels the rows must fit.
        allows_none: Whether a row may say `null` for its label: that none of the labels is right.
    """
    examples: list[tuple[int, Example]] = []
    problems: list[CatalogueProblem] = []
    where = f"tasks.{name}.examples"
    try:
        for line in read_lines(BytesIO(content), delimiter=delimiter_of(path)):
            row = _read_row(line, name, task, allows_none=allows_none)
            if isinstance(row, str):
                problems.append(CatalogueProblem(path, line.number, where, row))
            else:
                examples.append((line.number, row))
    except ForeignFile as error:
        problems.append(CatalogueProblem(path, None, where, error.remedy))
    if not examples and not problems:
        problems.append(CatalogueProblem(path, None, where, "has no rows"))
    return examples, _first(problems)


def _first(problems: list[CatalogueProblem]) -> list[CatalogueProblem]:
    left = len(problems) - MAX_COMPLAINTS
    if left <= 0:
        return problems
    last = problems[-1]
    more = CatalogueProblem(
        last.path, None, last.where, f"and {numbered(left, 'more row is', 'more rows are')} wrong"
    )
    return [*problems[:MAX_COMPLAINTS], more]


def _read_row(line: Line, name: str, task: Task, *, allows_none: bool) -> Example | str:
    """Read one row; a string says what is wrong with it."""
    if line.content is None:
        return line.problem
    try:
        row = parse_row(line.content)
    except RowError as error:
        return str(error)
    chosen = _chosen(row, name, task)
    try:
        example = Example.model_validate_json(json.dumps(chosen), strict=True)
    except ValidationError as err:
        problem = problems_of(err, Example)[0]
        return f"{problem.where or 'not JSON'}: {problem.rule}"
    if allows_none and _is_none(chosen, task):
        return example
    problem_text = example_problem(example, task)
    return f"{problem_text}{_mistyped(row, task)}" if problem_text else example


def _chosen(row: dict[str, Any], name: str, task: Task) -> dict[str, Any]:
    """Take from a row what an example has, and this task's gold answer where it has none."""
    chosen = {key: row[key] for key in Example.model_fields if key in row}
    if type(row.get("id")) is int:
        chosen["id"] = str(row["id"])
    wanted, gold = KINDS[task.kind].example_key, row.get("gold")
    if wanted and chosen.get(wanted) is None and isinstance(gold, dict) and name in gold:
        chosen[wanted] = gold[name]
    return chosen


def _is_none(chosen: dict[str, Any], task: Task) -> bool:
    """Whether a row says in so many words that none of the labels is right."""
    spec = KINDS[task.kind]
    wanted = spec.example_key
    return spec.is_one_label and wanted in chosen and chosen[wanted] is None


def _mistyped(row: dict[str, Any], task: Task) -> str:
    wanted = KINDS[task.kind].example_key
    if wanted is None or row.get(wanted) is not None:
        return ""
    near = nearest(wanted, row.keys() - Example.model_fields.keys())
    return f"; is {near!r} meant for it?" if near else ""


#: In the folder of a model that was trained here: the keys of its rows, one a line.
TRAINED_ON = "trained_on.txt"
