"""Putting a candidate in the place of a live cascade: its entry, examples, models and promise."""

from collections.abc import Iterator
from filecmp import cmpfiles, dircmp
from pathlib import Path
from typing import Any

import yaml

from smallfirst.catalogue import Catalogue, Promise, promise_path
from smallfirst.catalogue.comparing import Difference, difference_of
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.tasks import Task
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.evaluation.rows import Row
from smallfirst.fitting.writing import Destination, edited, write
from smallfirst.gate.checking import copy_and_check
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.versions import Versions, entry_of


def check_comparable(task: str, live: Catalogue, candidate: Catalogue) -> None:
    """See that both answer the same question.

    Raises:
        CandidateError: When what they are asked differs (see `difference_of`), or one promises and
            the other does not.
    """
    was, would_be = live.tasks[task], candidate.tasks[task]
    if (difference := difference_of(was, would_be)) is not None:
        rule = _rule_of(difference, was, would_be)
        raise CandidateError(f"tasks.{task}.{difference.key}: {rule}")
    promises = any(step.is_calibrated for step in was.cascade)
    if promises and not any(step.is_calibrated for step in would_be.cascade):
        raise CandidateError(
            f"tasks.{task}.cascade: the live one goes by a promise, and the candidate by none;"
            " `smallfirst fit` makes one that does"
        )


def _rule_of(difference: Difference, live: Task, candidate: Task) -> str:
    match difference.key:
        case "kind":
            return (
                f"is {live.kind} in the live catalogue and {candidate.kind} in the candidate's;"
                " only like can be compared"
            )
        case "max_chars":
            return (
                f"is {candidate.max_chars:,} in the candidate's catalogue, and the live one takes"
                f" texts of {live.max_chars:,} characters; set it to that"
            )
        case key:
            return (
                f"{difference.words} stand in one catalogue alone; a task with another"
                f" {key.removesuffix('s')} is another task"
            )


def promote(task: str, live: Path, candidate: Path, loaded: Catalogue) -> int:
    """Put the candidate in the live cascade's place; return the number of the version kept.

    Everything is checked before anything is written, and what was there is kept first.

    Args:
        task: Its name in both.
        live: The live catalogue's file.
        candidate: The candidate's.
        loaded: The candidate's, read.

    Raises:
        CandidateError: When it names a model as the live catalogue has it otherwise.
        CatalogueError: When the live catalogue would be wrong with it.
    """
    to = Destination(live, task)
    rows = [Row(number, each) for number, each in enumerate(loaded.tasks[task].examples, 1)]
    folders = dict(folders_added(task, live, candidate, loaded))
    added = {"models": dict(models_added(task, live, candidate, loaded))}
    # What is watched, and who checks answers blind, is the team's, and no part of a cascade.
    kept = {key: said for key, said in entry_of(live, task).items() if key in {"audit", "drift"}}
    entry = kept | entry_of(candidate, task)
    text = edited(to, read_plainly(live), added, entry, has_examples=bool(rows))
    copy_and_check(folders, to, text, rows)
    number = Versions(live, task).keep()
    copy_card(Destination(candidate, task), to)
    write(to, text, rows, promise_of(candidate, task))
    return number


def copy_card(source: Destination, to: Destination) -> None:
    """Let the card of what was learned go along; where there is none, none is left either."""
    if not source.provenance.is_file():
        to.provenance.unlink(missing_ok=True)
        return
    to.beside.mkdir(parents=True, exist_ok=True)
    write_whole(to.provenance, source.provenance.read_text("utf-8"))


def models_added(
    task: str, live: Path, candidate: Path, loaded: Catalogue
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The models that the live catalogue lacks, as the candidate's has them."""
    theirs = read_plainly(candidate).get("models") or {}
    # As they are read: one file says `8B` and the other 8000000000.
    ours = load_catalogue(live, needs_promises=False).models
    for name in loaded.tasks[task].asks:
        if name not in ours:
            yield name, theirs[name]
        elif ours[name] != loaded.models[name]:
            raise CandidateError(
                f"models.{name}: stands in both catalogues, and not the same; give the candidate's"
                " another name"
            )


def folders_added(
    task: str, live: Path, candidate: Path, loaded: Catalogue
) -> Iterator[tuple[Path, Path]]:
    """The folders of such models, and where they will lie."""
    for _, model in models_added(task, live, candidate, loaded):
        source = str(model.get("source", ""))
        if source.startswith("./"):
            place = live.parent / source
            if place.exists() and not _is_same(candidate.parent / source, place):
                raise CandidateError(
                    f"{place}: is there already; give the candidate's another name"
                )
            if not place.exists():
                yield candidate.parent / source, place


def _is_same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files: a candidate that was there before."""
    compared = dircmp(one, other)
    names = compared.common_files
    is_same = not (compared.left_only or compared.right_only or compared.common_funny)
    _, differ, unread = cmpfiles(one, other, names, shallow=False)
    is_same = is_same and not (differ or unread)
    return is_same and all(_is_same(one / each, other / each) for each in compared.common_dirs)


def promise_of(candidate: Path, task: str) -> Promise | None:
    """The promise beside a catalogue; None where there is none."""
    path = promise_path(candidate, task)
    return Promise.model_validate_json(path.read_bytes(), strict=True) if path.is_file() else None


def read_plainly(catalogue: Path) -> dict[str, Any]:
    """A catalogue as its file has it, unchecked."""
    found: dict[str, Any] = yaml.safe_load(catalogue.read_text("utf-8-sig"))
    return found
