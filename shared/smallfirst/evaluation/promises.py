"""Writing a promise beside its catalogue, whole or not at all, and saying it in words."""

import os
from pathlib import Path

from smallfirst.catalogue import Promise, promise_path
from smallfirst.evaluation.thresholds import Aim, Unsupported


def write_promise(promise: Promise, catalogue_path: Path) -> Path:
    """Write a promise where the fleet looks for it; return the file.

    A fleet that runs takes it up by itself.
    """
    path = promise_path(catalogue_path, promise.task)
    path.parent.mkdir(exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(promise.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    half.replace(path)
    return path


def in_words(promise: Promise) -> str:
    """The promise in one sentence."""
    whose = "the accepted answers of each label" if promise.is_per_label else "accepted answers"
    return (
        f"With {promise.confidence:.0%} confidence, at most {promise.target:.2%} of"
        f" {whose} are wrong, on texts like these rows:"
        f" {promise.num_wrong} of {promise.num_accepted:,} were,"
        f" among {promise.num_tested:,} rows that chose nothing."
    )


def why_unsupported(found: Unsupported, aim: Aim) -> str:
    """Say why nothing is promised, and what it would take."""
    met = f"the safest useful setting accepts {found.accepted:,} of {found.num_rows:,} rows"
    if found.accepted:
        met += f", {found.wrong:,} of them wrong"
    if not found.accepted:
        more = "no setting is likely to bear it"
    elif found.rows_needed is None:
        more = "no number of rows would do at that error rate: a better model is needed, or a"
        more += " larger target"
    elif found.rows_needed <= found.num_rows:
        more = "by chance the testing part was worse than the whole; a few more rows may do"
    else:
        more = f"at that error rate it takes about {found.rows_needed:,} rows"
    return (
        f"The rows do not bear the promise that at most {aim.target:.2%} of accepted answers are"
        f" wrong with {aim.confidence:.0%} confidence: {met}; {more}."
        f" Whatever the model, it takes {found.fewest:,} accepted rows in testing, none wrong."
    )
