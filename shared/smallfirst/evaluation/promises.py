"""Writing a promise beside its catalogue, whole or not at all, and saying it in words.

A refusal is written down too: who tries until a promise passes gets one that is weaker than it
says, and the next promise has to tell of it.
"""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from smallfirst.catalogue import Catalogue, Promise, promise_path, step_specs
from smallfirst.catalogue.promises import promise_text
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.evaluation.bounds import fewest_rows
from smallfirst.evaluation.foreign import ForeignAccepted
from smallfirst.evaluation.thresholds import Aim, Unsupported


def write_promise(promise: Promise, catalogue_path: Path) -> Path:
    """Write a promise where the fleet looks for it; return the file.

    A fleet that runs takes it up by itself.
    """
    path = promise_path(catalogue_path, promise.task)
    path.parent.mkdir(exist_ok=True)
    write_whole(path, promise_text(promise))
    return path


def refusals_path(catalogue_path: Path, task: str) -> Path:
    """Where the refused calibrations of a task are written down, one a line."""
    return promise_path(catalogue_path, task).with_suffix(".refused.jsonl")


def write_refusal(
    found: Unsupported | ForeignAccepted,
    aim: Aim,
    task: str,
    catalogue: Catalogue,
    path: Path,
    *,
    at: datetime,
) -> Path:
    """Write down that the rows did not bear a promise; return the file.

    Args:
        found: Why not.
        aim: What was to be promised.
        task: Its name.
        catalogue: The team's own.
        path: Of the catalogue.
        at: The time, in UTC.
    """
    file = refusals_path(path, task)
    file.parent.mkdir(exist_ok=True)
    line = {"made_at": at.isoformat(), **asdict(aim), **asdict(found)}
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line | {"cascade": _cascade(catalogue, task)}) + "\n")
    return file


def num_refused(task: str, catalogue: Catalogue, path: Path) -> int:
    """Count the calibrations of this very cascade that were refused; others say nothing of it.

    Args:
        task: Its name.
        catalogue: The team's own.
        path: Of the catalogue.
    """
    file = refusals_path(path, task)
    cascade = json.dumps(_cascade(catalogue, task))
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return sum(json.dumps(json.loads(line)["cascade"]) == cascade for line in lines)


def _cascade(catalogue: Catalogue, task: str) -> list[str]:
    """The hashes of what the catalogue says of each step."""
    return list(step_specs(catalogue.tasks[task], catalogue.models))


def in_words(promise: Promise) -> str:
    """The promise in one sentence."""
    whose = "the accepted answers of each label" if promise.is_per_label else "accepted answers"
    return (
        f"With {promise.confidence:.0%} confidence, at most {promise.target:.2%} of"
        f" {whose} are wrong, on texts like these rows:"
        f" {promise.num_wrong} of {promise.num_accepted:,} were,"
        f" among {promise.num_tested:,} rows tested{_of_which(promise)}."
    )


def foreign_in_words(promise: Promise) -> str:
    """The promise about texts that no label fits in one sentence; empty where there is none."""
    found = promise.foreign
    if found is None:
        return ""
    flags = "no text is flagged" if found.limit == 1.0 else f"the limit is {found.limit:g}"
    alike = f" ({found.num_distinct:,} where those that are alike count once)"
    return (
        f"With {promise.confidence:.0%} confidence, at most {found.target:.2%} of texts that no"
        f" label fits are answered, if they are like these: {found.num_accepted:,} of"
        f" {found.num_rows:,} were{alike if found.num_distinct != found.num_rows else ''}; {flags}."
    )


def why_foreign_accepted(found: ForeignAccepted, target: float, confidence: float) -> str:
    """Say why nothing is promised of texts that no label fits."""
    return (
        f"The foreign rows do not bear the promise that at most {target:.2%} of such texts are"
        f" answered with {confidence:.0%} confidence: {found.num_accepted:,} of"
        f" {found.num_rows:,} are ({found.num_distinct:,} rows where those that are alike count"
        f" once), with the strictest limit. It takes {fewest_rows(target, confidence):,} rows, none"
        " answered; give more of them, a larger --foreign-target or a smaller --target-error, or"
        " `foreign: calibrated` to the steps that have none."
    )


def _of_which(promise: Promise) -> str:
    if promise.num_distinct == promise.num_tested:
        return ""
    return f" ({promise.num_distinct:,} where those that are alike count once)"


def why_unsupported(found: Unsupported, aim: Aim) -> str:
    """Say why nothing is promised, and what it would take."""
    met = f"the setting that came nearest accepts {found.accepted:,} of {found.num_rows:,} rows"
    if found.accepted:
        met += f", {found.wrong:,} of them wrong"
    return (
        f"The rows do not bear the promise that at most {aim.target:.2%} of accepted answers are"
        f" wrong with {aim.confidence:.0%} confidence: {met}; {_what_it_takes(found)}."
        f" Whatever the model, it takes {found.fewest:,} accepted rows in testing, none wrong"
        f"{_how_few(found)}."
    )


def _what_it_takes(found: Unsupported) -> str:
    needed = found.rows_needed
    if not found.accepted:
        return "no setting is likely to bear it"
    if needed is None:
        return (
            "no number of rows would do at an error rate like that: a better model is needed, or a"
            " larger target"
        )
    if needed.high is None:
        return (
            f"it takes {needed.low:,} rows at least, and these cannot tell whether any number would"
            " do"
        )
    if needed.high <= found.num_rows:
        return "that was by chance: a few more rows are likely to do"
    return f"it takes between {needed.low:,} and {needed.high:,} rows like these"


def _how_few(found: Unsupported) -> str:
    if found.num_distinct == found.num_rows:
        return ""
    return (
        f"; of these rows {found.num_distinct:,} are left where those that are alike but for a few"
        " words count once"
    )
