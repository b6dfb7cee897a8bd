"""Reading the catalogue's YAML file: every problem with its file, line, dotted key and rule.

Problems come in two rounds: first those of single values and keys, then, once every value is
right, those of how they fit together, the rows of example files among them. Nothing here opens a
model or asks the network.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Example, Task, place_text
from smallfirst.catalogue.examples import read_examples
from smallfirst.catalogue.file_stamps import StampedFiles
from smallfirst.catalogue.named_paths import absolute_path, model_paths, row_paths
from smallfirst.catalogue.problems import problems_of
from smallfirst.catalogue.promise_files import with_promises
from smallfirst.catalogue.yaml_tree import Place, YamlError, YamlTree, read_yaml
from smallfirst.errors import CatalogueError, CatalogueProblem

#: The largest catalogue, and the largest file of examples, that are read.
MAX_CATALOGUE_BYTES, MAX_EXAMPLES_BYTES = 5_000_000, 64_000_000


@dataclass(frozen=True)
class Reading:
    """What came of reading a catalogue once: the catalogue, or what is wrong with it.

    Attributes:
        catalogue: None where it is wrong.
        error: None where it is right.
        files: Every file that was asked for, with its stamp.
        tree: The file as it stands, with the line of every key; None where it is no YAML, or has
            a wrong value.
        draft: The catalogue as far as it could be read, where some of its examples or promises are
            wrong: to find what else is.
    """

    catalogue: Catalogue | None
    error: CatalogueError | None
    files: StampedFiles
    tree: YamlTree | None = None
    draft: Catalogue | None = None

    def line_of(self, place: Place) -> int | None:
        """The line of a key, or of what it stands in."""
        return self.tree.line_of(place) if self.tree else None

    def unwrap(self) -> Catalogue:
        """Return the catalogue, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.catalogue is not None
        return self.catalogue


def load_catalogue(path: Path, *, needs_promises: bool = True) -> Catalogue:
    """Read a catalogue, the files of rows it names, and the promises beside it.

    Model folders come back absolute; relative ones are meant from the catalogue's own folder, as
    are the paths of examples.

    Args:
        path: Of the catalogue.
        needs_promises: Whether a step that says `accept: calibrated` must have its promise; where
            one is to be made there is none yet.

    Raises:
        CatalogueError: When anything about it is wrong.
    """
    return read_catalogue(path, needs_promises=needs_promises).unwrap()


def read_catalogue(path: Path, *, needs_promises: bool = True) -> Reading:
    """Read a catalogue, and keep at hand which files it was read from."""
    files = StampedFiles()
    try:
        draft, tree, problems = _read(path, files)
    except CatalogueError as err:
        return Reading(None, err, files)
    catalogue = draft
    if needs_promises and not problems:
        catalogue, problems = _with_promises(draft, tree, path, files)
    if problems:
        return Reading(None, CatalogueError(*problems), files, tree, draft)
    return Reading(catalogue, None, files, tree)


def _read(path: Path, files: StampedFiles) -> tuple[Catalogue, YamlTree, list[CatalogueProblem]]:
    """Read a catalogue, its lines, and what is wrong with its files of rows.

    Raises:
        CatalogueError: When its own file is wrong.
    """
    tree = _read_tree(path, files)
    _make_paths_absolute(tree.data, path.parent)
    paths = _take_row_paths(tree.data)
    try:
        catalogue = Catalogue.model_validate_json(json.dumps(tree.data), strict=True)
    except ValidationError as err:
        raise CatalogueError(*problems_of(err, Catalogue, tree, path)) from None
    found, problems = _with_rows(catalogue, paths, tree, path, files)
    return found, tree, problems


def _read_tree(path: Path, files: StampedFiles) -> YamlTree:
    content = _read_file(path, MAX_CATALOGUE_BYTES, files, CatalogueProblem(path, None, "", ""))
    try:
        return read_yaml(content.decode("utf-8-sig"))
    except YamlError as err:
        problem = CatalogueProblem(path, err.line, place_text(err.place), err.rule)
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        problem = CatalogueProblem(path, line, "", "is not UTF-8")
    raise CatalogueError(problem)


def _read_file(path: Path, max_bytes: int, files: StampedFiles, at: CatalogueProblem) -> bytes:
    """Read a file, or say at the place that names it why not."""
    try:
        return files.read(path, max_bytes)
    except OSError as err:
        rule = f"cannot read {path}: {err.strerror or err}"
    except ValueError as err:
        rule = f"{path} {err}"
    raise CatalogueError(CatalogueProblem(at.path, at.line, at.where, rule))


def _make_paths_absolute(data: Any, base: Path) -> None:
    for place, written in model_paths(data).items():
        holder: Any = data
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = str(absolute_path(written, base))


def _take_row_paths(data: Any) -> dict[Place, str]:
    """Take out the tasks' `examples`, and the `golden` rows of their audits, that are paths."""
    paths = row_paths(data)
    for place in paths:
        holder: Any = data
        for key in place[:-1]:
            holder = holder[key]
        del holder[place[-1]]
    return paths


def _with_rows(
    catalogue: Catalogue,
    paths: dict[Place, str],
    tree: YamlTree,
    path: Path,
    files: StampedFiles,
) -> tuple[Catalogue, list[CatalogueProblem]]:
    """Read the files of rows: the catalogue with all rows that are right, and what is not."""
    tasks = dict(catalogue.tasks)
    problems: list[CatalogueProblem] = []
    for at, written in paths.items():
        name, place_of = str(at[1]), place_text(at)
        place = CatalogueProblem(path, tree.line_of(at), place_of, "")
        task, rows_path = tasks[name], absolute_path(written, path.parent)
        try:
            content = _read_file(rows_path, MAX_EXAMPLES_BYTES, files, place)
        except CatalogueError as err:
            problems += err.problems
            continue
        rows, wrong = read_examples(content, rows_path, name, task)
        problems += (replace(each, where=place_of) for each in wrong)
        tasks[name] = _with_rows_at(task, at, rows)
    return catalogue.model_copy(update={"tasks": tasks}), problems


def _with_rows_at(task: Task, at: Place, rows: tuple[Example, ...]) -> Task:
    if at[-1] == "examples" or task.audit is None:
        return task.model_copy(update={"examples": rows})
    return task.model_copy(update={"audit": task.audit.model_copy(update={"golden": rows})})


def _with_promises(
    catalogue: Catalogue, tree: YamlTree, path: Path, files: StampedFiles
) -> tuple[Catalogue, list[CatalogueProblem]]:
    promised, found = with_promises(catalogue, path, files)
    problems = [
        CatalogueProblem(path, tree.line_of(at), place_text(at), rule) for at, rule in found
    ]
    return promised, problems
