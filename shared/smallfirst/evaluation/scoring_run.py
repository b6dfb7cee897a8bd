"""Asking every step of a cascade about every labelled row, through a real fleet.

The scores of calibration and evaluation come from the same workers, batches and prices as in
production; only that each step is asked for itself, whether an earlier one was sure or not.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from smallfirst.acceptance import foreign_of
from smallfirst.answers import Answer, Reasons, UnknownAnswer
from smallfirst.catalogue import Catalogue, Kind, RuleStep, Step, Task
from smallfirst.catalogue.likeness import clusters_of, text_key
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.client import Client
from smallfirst.evaluation.asking_why import AnswerPlace, ChooseAnswers, ask_why, nothing
from smallfirst.evaluation.errors import Unanswered, UnansweredError
from smallfirst.evaluation.rows import Row, is_right
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.single_step_catalogue import (
    EXAMPLES_FILE,
    as_yaml,
    check_askable,
    name_of_step,
    taken_apart,
)
from smallfirst.jobs import Job, Outcome, Result, Status
from smallfirst.kinds import KINDS, Gold
from smallfirst.local import LocalFleet
from smallfirst.local.cores import usable_cores

#: Enough to keep every worker busy; more would only wait longer.
MAX_IN_FLIGHT = 500
#: The first start trains heads, and a large model takes minutes to load.
READY_WITHIN = timedelta(minutes=30)
#: More workers than this load longer than they help with a few thousand rows.
MAX_WORKERS = 4

#: Gets how many answers there are, and how many there will be.
Advance = Callable[[int, int | None], None]
_ENDED_WELL = frozenset({Status.ANSWERED, Status.ABSTAINED})
#: The share of rows, and the number in any case, on which a step may fail: texts that it cannot
#: read. More of them are the model's fault or the endpoint's, and no figures come of that.
_MAX_FAILED_SHARE, _MAX_FAILED = 0.05, 3


@contextmanager
def _wait(fleet: LocalFleet) -> Iterator[Advance]:
    fleet.wait_ready(READY_WITHIN)
    yield lambda _done, _total: None


class Asked(NamedTuple):
    """What a fleet was asked for.

    Attributes:
        scores: What every step said of every row.
        reasons: Why, of the answers that were chosen and that tell.
    """

    scores: Scores
    reasons: Mapping[AnswerPlace, Reasons]


@dataclass(frozen=True)
class ProgressObserver:
    """Who watches the fleet at it.

    Attributes:
        around: Entered with the fleet before it opens, and left after it has stopped.
        asking: Entered once it is open, waits until it is ready, and is told how far the asking is.
    """

    around: Callable[[LocalFleet], AbstractContextManager[object]] = nullcontext
    asking: Callable[[LocalFleet], AbstractContextManager[Advance]] = _wait


def ask_every_step(
    catalogue_path: Path,
    task: str,
    rows: Sequence[Row],
    *,
    onlooker: ProgressObserver | None = None,
    slm_processes: int | None = None,
) -> Scores:
    """Ask every step of a task about every row, and nobody why; see `ask_and_explain`."""
    asked = ask_and_explain(
        catalogue_path, task, rows, nothing, onlooker=onlooker, slm_processes=slm_processes
    )
    return asked.scores


def ask_and_explain(
    catalogue_path: Path,
    task: str,
    rows: Sequence[Row],
    explained: ChooseAnswers,
    *,
    onlooker: ProgressObserver | None = None,
    slm_processes: int | None = None,
) -> Asked:
    """Ask every step of a task about every row, and then some of them why.

    Args:
        catalogue_path: Of the team's own catalogue; its promises are not looked at.
        task: Its name there.
        rows: A text that stands in several is asked once.
        explained: Chooses the answers whose reasons are asked for, once all are there.
        onlooker: Nobody, where left out.
        slm_processes: Workers; one a core, up to four, where left out.

    Returns:
        The scores, the rows in their order, and the reasons. A rule's confidence is 1 where its
        answer stands by the rule's own `accept`, and else 0. A step that fails on a text says
        nothing of it.

    Raises:
        CatalogueError: When the catalogue is wrong.
        UnaskableError: When a step of the task cannot be asked here, or its answers not compared.
        LocalFleetError: When the fleet does not come up.
        UnansweredError: When the fleet could not try a step on some row, or one failed on many.
    """
    catalogue = load_catalogue(catalogue_path, needs_promises=False).without_people()
    check_askable(catalogue, task)
    watching = onlooker or ProgressObserver()
    with _scoring_folder(catalogue, task) as folder:
        fleet = LocalFleet(
            folder / "catalogue.yaml",
            folder / "fleet",
            slm_processes=slm_processes or min(MAX_WORKERS, usable_cores()),
            flower=False,
            persistent=False,
        )
        with watching.around(fleet), fleet, watching.asking(fleet) as advance:
            results = _ask(fleet, len(catalogue.tasks[task].cascade), rows, advance)
            scores = scores_of(catalogue, task, rows, results)
            reasons = ask_why(fleet, rows, scores, explained(scores))
    return Asked(scores, reasons)


@contextmanager
def _scoring_folder(catalogue: Catalogue, task: str) -> Iterator[Path]:
    """Write the derived catalogue; the folder stays behind when something went wrong, for logs."""
    folder = Path(tempfile.mkdtemp(prefix="smallfirst-scoring-"))
    written = as_yaml(taken_apart(catalogue, task))
    (folder / "catalogue.yaml").write_text(written, encoding="utf-8")
    examples = (row.model_dump_json(exclude_unset=True) for row in catalogue.tasks[task].examples)
    (folder / EXAMPLES_FILE).write_text("".join(f"{row}\n" for row in examples), encoding="utf-8")
    yield folder
    shutil.rmtree(folder)


def _ask(
    fleet: LocalFleet, num_steps: int, rows: Sequence[Row], advance: Advance
) -> list[list[Result]]:
    """Ask step after step, so that no two share a text's pass: `(steps, rows)`."""
    firsts: dict[str, int] = {}
    for number, row in enumerate(rows):
        firsts.setdefault(row.example.text, number)
    answered: list[dict[str, Result]] = []
    with Client(fleet.redis_url) as client:
        for step in range(num_steps):
            jobs = (_job(step, number, text) for text, number in firsts.items())
            found: dict[str, Result] = {}
            results = client.map(jobs, max_in_flight=MAX_IN_FLIGHT)
            for text, result in zip(firsts, results, strict=True):
                fleet.check()
                found[text] = result
                advance(step * len(firsts) + len(found), num_steps * len(firsts))
            answered.append(found)
    by_step = [[found[row.example.text] for row in rows] for found in answered]
    if bad := list(missing(rows, by_step)):
        raise UnansweredError(tuple(bad[:1]), len(bad), fleet.logs)
    return by_step


def _job(step: int, number: int, text: str) -> Job:
    # A temperature is fitted to the probability of every label.
    job_id, task = f"{step}.{number}", name_of_step(step)
    return Job(id=job_id, task=task, text=text, whole_distribution=True)


def missing(rows: Sequence[Row], results: Sequence[Sequence[Result]]) -> Iterator[Unanswered]:
    """Name the answers without which there are no figures.

    A job that ended before its step was tried tells nothing of the step. A step that failed on a
    few texts has no answer for these; one that failed on many does not work here.

    Args:
        rows: `(rows,)`.
        results: `(steps, rows)`.
    """
    few = max(_MAX_FAILED, int(_MAX_FAILED_SHARE * len(rows)))
    for step, of_step in enumerate(results):
        failed = [
            unanswered(step, row, each)
            for row, each in zip(rows, of_step, strict=True)
            if has_failed(each)
        ]
        yield from failed if len(failed) > few or len(failed) == len(rows) else ()
        for row, each in zip(rows, of_step, strict=True):
            if each.status not in _ENDED_WELL and not has_failed(each):
                yield unanswered(step, row, each)


def has_failed(result: Result) -> bool:
    """Whether a step was tried, and the model failed on this text."""
    is_over = result.status in {Status.FAILED, Status.ABSTAINED}
    return is_over and bool(result.trail) and result.trail[-1].outcome is Outcome.FAILED


def unanswered(step: int, row: Row, result: Result) -> Unanswered:
    """Say which row has no answer, and why."""
    return Unanswered(step, row.line, result.status, _reason(result))


def _reason(result: Result) -> str:
    """Why there is no answer, in the words of the step where it was tried."""
    of_step = result.trail[-1].reason if has_failed(result) else None
    return of_step or (result.problem.message if result.problem else "no reason")


def scores_of(
    catalogue: Catalogue, name: str, rows: Sequence[Row], results: Sequence[Sequence[Result]]
) -> Scores:
    """Compare what each step said with the right answers.

    Args:
        catalogue: The team's own.
        name: Of the task.
        rows: `(rows,)`.
        results: `(steps, rows)`.
    """
    task = catalogue.tasks[name]
    steps = tuple(
        StepAbout(index, catalogue.tier_of(step), step.name, _revision(results[index]))
        for index, step in enumerate(task.cascade)
    )
    clusters = clusters_of([row.example.text for row in rows])
    scored = tuple(
        _scored(task, row, [of_step[number] for of_step in results], clusters[number])
        for number, row in enumerate(rows)
    )
    return Scores(name, catalogue.currency, steps, scored)


def _scored(task: Task, row: Row, results: Sequence[Result], cluster: int) -> ScoredRow:
    spec = KINDS[task.kind]
    gold = spec.gold_of(row.example)
    said = [
        said_of(step, task.kind, result, gold)
        for step, result in zip(task.cascade, results, strict=True)
    ]
    return ScoredRow(
        key=text_key(row.example.text),
        right=spec.in_a_word(gold),
        said=tuple(said),
        cluster=cluster,
        parts=spec.parts_of(gold),
        answer=spec.as_json(gold),
        line=row.line,
        id=row.example.id or "",
        num_chars=len(row.example.text),
    )


def said_of(step: Step, kind: Kind, result: Result, gold: Gold | None) -> Said:
    """Compare what a step said of a row with the right answer."""
    spec, answer, attempt = KINDS[kind], _answer(result), result.trail[-1]
    given = spec.said_by(answer)
    distribution = getattr(answer, "distribution", {}) if spec.is_one_label else {}
    confidence = 0.0 if answer is None or not _may_stand(step, answer) else answer.confidence
    return Said(
        confidence=confidence,
        is_right=is_right(answer, gold),
        said=spec.in_a_word(given),
        distribution=distribution if step.has_threshold else {},
        seconds=attempt.seconds,
        waited_seconds=attempt.waited_seconds,
        cost=attempt.cost,
        parts=spec.parts_of(given),
        answer=spec.as_json(given),
        foreign=None if answer is None else foreign_of(answer),
        problem=_reason(result) if has_failed(result) else "",
    )


def _answer(result: Result) -> Answer | None:
    """What the step said: the result's own answer, or what a rule said that did not match."""
    attempt = result.trail[-1]
    said = result.answer if result.is_answered else attempt.answer
    if attempt.outcome is Outcome.FAILED or isinstance(said, UnknownAnswer):
        return None
    return said


def _may_stand(step: Step, answer: Answer) -> bool:
    """Whether a rule's answer stands by the rule's own `accept`; a model's may always."""
    return not isinstance(step, RuleStep) or step.accept.outcome(answer) is Outcome.ACCEPTED


def _revision(results: Sequence[Result]) -> str:
    """Which version answered: one, since the fleet served one catalogue from start to end."""
    return results[0].trail[-1].revision if results else ""
