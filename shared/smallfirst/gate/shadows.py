"""Putting a candidate in shadow of a live task, taking it out, and promoting it from there.

In shadow a candidate is an entry of the live catalogue, beside the task's own, with its examples
and its promise under its own name. The task itself stays as it is, so that nothing has to be kept.
"""

from pathlib import Path
from typing import Any

from smallfirst.catalogue import Catalogue, Promise, asked_by, promise_path
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.evaluation.rows import Row
from smallfirst.fitting.writing import Destination, check_edit, edited, write
from smallfirst.fitting.yaml_edits import without_entry
from smallfirst.gate.checking import check_loads, copy_and_check
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.learned import is_promised_by_machines
from smallfirst.gate.paired import Pairs, p_value
from smallfirst.gate.promoting import (
    check_comparable,
    copy_card,
    folders_added,
    models_added,
    promise_of,
    read_plainly,
)
from smallfirst.gate.verdict import Kept, Look, Margin, Verdict, seen
from smallfirst.gate.versions import (
    Versions,
    entry_of,
    models_of_shadows,
    name_of_cascade,
    words_of_versions,
)
from smallfirst.shadow.judging import Cells, evened, known_shares
from smallfirst.shadow.pairing import Ending
from smallfirst.shadow.reporting import ShadowReport

#: What of a candidate's entry is the team's, and stays with the live task.
_NOT_COPIED = frozenset({"audit", "drift", "shadow"})


def candidate_name(task: str) -> str:
    """Name the candidate of a task as the live catalogue has it."""
    return f"{task}-candidate"


def start_shadow(task: str, live: Path, candidate: Path, loaded: Catalogue, share: float) -> str:
    """Let a candidate run in shadow of a task, in place of one before; return its name.

    A step that asks a person is left out: a shadow takes nobody's time. The models that came with
    the one before leave the catalogue where nobody asks them any more.

    Args:
        task: Its name in both.
        live: The live catalogue's file.
        candidate: The candidate's.
        loaded: The candidate's, read, without steps that ask a person.
        share: Of the task's jobs.

    Raises:
        CandidateError: When it names a model as the live catalogue has it otherwise, or another
            task has the name that it is to have.
        CatalogueError: When it cannot run in shadow of the task.
    """
    name, ours = candidate_name(task), load_catalogue(live, needs_promises=False)
    _check_name(task, name, ours)
    to = Destination(live, name)
    rows = _rows(loaded, task)
    folders = dict(folders_added(task, live, candidate, loaded))
    added = {"models": dict(models_added(task, live, candidate, loaded))}
    entry = _without(entry_of(candidate, task), _NOT_COPIED)
    entry["cascade"] = [step for step in entry["cascade"] if "person" not in step]
    entry["shadow"] = {"of": task, "share": share}
    gone = _models_left(live, ours, name) - frozenset(loaded.tasks[task].asks)
    text = edited(to, read_plainly(live), added, entry, has_examples=bool(rows))
    text = _without_models(text, gone)
    copy_and_check(folders, to, text, rows, gone=gone)
    promise = _renamed(promise_of(candidate, task), name)
    copy_card(Destination(candidate, task), to)
    write(to, text, rows, promise)
    if promise is None:
        promise_path(live, name).unlink(missing_ok=True)
    Versions(live, task).note_shadow(name_of_cascade(task, loaded), added["models"])
    return name


def _check_name(task: str, name: str, live: Catalogue) -> None:
    """See that a candidate's name is free, or that of the candidate before it.

    Raises:
        CandidateError: When it is another task's.
    """
    there = live.tasks.get(name)
    if there is None or (there.shadow is not None and there.shadow.of == task):
        return
    whose = f"runs in shadow of {there.shadow.of!r}" if there.shadow else "is live"
    raise CandidateError(
        f"tasks.{name}: is a task of its own, which {whose}, and a candidate for {task!r} would be"
        " called the same; give that task another name"
    )


def stop_shadow(task: str, live: Path) -> str:
    """Take the candidate out of the catalogue; return its name.

    The models that came with candidates leave the catalogue where no task asks them and no version
    names them; their folders stay.

    Raises:
        CandidateError: When none runs in shadow.
    """
    loaded = load_catalogue(live, needs_promises=False)
    name = _candidate_of(task, loaded)
    text = without_entry(live.read_text("utf-8-sig"), "tasks", name)
    text = _without_models(text, _models_left(live, loaded, name))
    check_loads(live, text)
    # The catalogue first: a fleet never sees an entry without its files.
    write_whole(live, text)
    _remove_files(live, name)
    return name


def _models_left(live: Path, loaded: Catalogue, name: str) -> frozenset[str]:
    """The models that came with candidates and that nobody else asks than the one of this name.

    What a version names stays, so that it can come back.
    """
    others = (task for each, task in loaded.tasks.items() if each != name)
    came = models_of_shadows(live) & loaded.models.keys()
    return came - asked_by(others) - words_of_versions(live)


def _without_models(text: str, models: frozenset[str]) -> str:
    for model in sorted(models):
        text = without_entry(text, "models", model)
    return text


def promote_shadow(task: str, live: Path) -> int:
    """Put the candidate in shadow in its task's place; return the number of the version kept.

    The task keeps its audit, and the step that asks a person, where it has one.

    Raises:
        CandidateError: When none runs in shadow.
    """
    loaded = load_catalogue(live)
    name = _candidate_of(task, loaded)
    to, was = Destination(live, task), entry_of(live, task)
    rows = _rows(loaded, name)
    people = [step for step in was["cascade"] if "person" in step]
    kept = {key: said for key, said in was.items() if key in {"audit", "drift"}}
    entry = kept | _without(entry_of(live, name), _NOT_COPIED)
    entry["cascade"] = [*entry["cascade"], *people]
    text = edited(to, read_plainly(live), {}, entry, has_examples=bool(rows))
    check_edit(to, text, rows)
    text = without_entry(text, "tasks", name)
    number = Versions(live, task).keep()
    copy_card(Destination(live, name), to)
    write(to, text, rows, _renamed(promise_of(live, name), task))
    _remove_files(live, name)
    return number


def judge_shadow(report: ShadowReport, live: Path, loaded: Catalogue, margin: Margin) -> Verdict:
    """Judge the candidate in shadow by what people said, and write the look down.

    Args:
        report: What was counted of it.
        live: The live catalogue's file.
        loaded: The same, read with its promises.
        margin: What "not worse" means.

    Raises:
        CandidateError: When nobody has said anything yet, when its kind or labels differ from the
            live task's, or when one promises and the other does not.
    """
    task, name = report.task, report.candidate
    jobs, texts = evenly_judged(report)
    if not jobs.total:
        raise CandidateError(_nothing_to_judge_by(report))
    as_task = loaded.model_copy(update={"tasks": {task: loaded.tasks[name]}})
    check_comparable(task, loaded, as_task)
    versions, cascade = Versions(live, task), name_of_cascade(task, as_task)
    by_jobs, by_texts = pairs_in(jobs), pairs_in(texts)
    pairs = max(by_jobs, by_texts, key=lambda each: p_value(each, margin.share))
    promise = loaded.tasks[name].promise
    kept = _worst_kept(promise.target, jobs, texts) if promise else None
    look = Look.at(pairs, margin, versions.look_number(cascade, seen(pairs, margin, kept)))
    must_show = is_promised_by_machines(name, live)
    verdict = Verdict.of(task, margin, look, kept, must_show=must_show, of_jobs=pairs is by_jobs)
    versions.note_look(cascade, verdict)
    return verdict


def evenly_judged(report: ShadowReport) -> tuple[Cells, Cells]:
    """What people said, by jobs and by texts, of both kinds of jobs to the same share.

    Jobs are drawn whatever their text is; so what is said of jobs holds of those that came. Of
    those that will come it says less where few texts came often: so a candidate has to hold by
    texts, each once, as well.
    """
    known = known_shares(report.judged, report.drawn)
    return evened(report.judged, known), evened(report.judged_texts, known)


def pairs_in(judged: Cells) -> Pairs:
    """What people said, as the exact test takes it.

    Where a person was asked no answer of the live cascade stands, so it is not right.
    """
    return Pairs(judged.total, judged.lost, judged.won)


def _worst_kept(target: float, *judged: Cells) -> Kept:
    """Whether the candidate keeps its promise, by what speaks most against it."""
    kept = [Kept(target, each.standing, each.wrong) for each in judged]
    return max(kept, key=lambda each: each.p_shown)


def _nothing_to_judge_by(report: ShadowReport) -> str:
    task, said, drawn = report.task, report.judged.by_kind(), report.drawn
    if not report.judged.total:
        return (
            f"tasks.{task}: no person's answer is known of a job that {report.candidate} was asked"
            " about; give the task an `audit` and people at the desk, and wait, or judge it by"
            " --candidate and --data"
        )
    checked, asked = Ending.ANSWERED, Ending.PERSON
    return (
        f"tasks.{task}: people have answered {said[checked]:,} of {drawn[checked]:,} jobs that they"
        f" are to check, and {said[asked]:,} of {drawn[asked]:,} that they were given; some of"
        " each are needed, since the candidate is judged by as large a share of both: wait"
    )


def _rows(loaded: Catalogue, task: str) -> list[Row]:
    return [Row(number, each) for number, each in enumerate(loaded.tasks[task].examples, 1)]


def _candidate_of(task: str, loaded: Catalogue) -> str:
    name = loaded.candidate_of(task)
    if name is None:
        raise CandidateError(
            f"tasks.{task}: no candidate runs in shadow of it; `smallfirst shadow start {task}"
            " --candidate FOLDER` lets one"
        )
    return name


def _without(entry: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: said for key, said in entry.items() if key not in keys}


def _renamed(promise: Promise | None, task: str) -> Promise | None:
    return None if promise is None else promise.model_copy(update={"task": task})


def _remove_files(live: Path, name: str) -> None:
    promise_path(live, name).unlink(missing_ok=True)
    Destination(live, name).examples.unlink(missing_ok=True)
    Destination(live, name).provenance.unlink(missing_ok=True)
