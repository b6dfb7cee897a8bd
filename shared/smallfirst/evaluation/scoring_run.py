"""Asking every step of a cascade about every labelled row, through a real fleet.

The scores of calibration and evaluation come from the same workers, batches and prices as in
production; only that each step is asked for itself, whether an earlier one was sure or not.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smallfirst.catalogue import Catalogue, Example, Kind, RuleStep, Step, Task
from smallfirst.catalogue.likeness import clusters_of, text_key
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.client import Client
from smallfirst.evaluation.errors import Unanswered, UnansweredError
from smallfirst.evaluation.rows import is_right
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.single_step_catalogue import (
    EXAMPLES_FILE,
    as_yaml,
    check_askable,
    name_of_step,
    taken_apart,
)
from smallfirst.jobs import Answer, Job, Outcome, Result, Status, UnknownAnswer
from smallfirst.kinds import KINDS
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


@contextmanager
def _wait(fleet: LocalFleet) -> Iterator[Advance]:
    fleet.wait_ready(READY_WITHIN)
    yield lambda _done, _total: None


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
    rows: Sequence[Example],
    *,
    onlooker: ProgressObserver | None = None,
    slm_processes: int | None = None,
) -> Scores:
    """Ask every step of a task about every row.

    Args:
        catalogue_path: Of the team's own catalogue; its promises are not looked at.
        task: Its name there.
        rows: Labelled; a text that stands in several is asked once.
        onlooker: Nobody, where left out.
        slm_processes: Workers; one a core, up to four, where left out.

    Returns:
        The rows in their order. A rule's confidence is 1 where its answer stands by the rule's own
        `accept`, and else 0.

    Raises:
        CatalogueError: When the catalogue is wrong.
        UnaskableError: When a step of the task cannot be asked here, or its answers not compared.
        LocalFleetError: When the fleet does not come up.
        UnansweredError: When the fleet could not try a step on some row.
    """
    catalogue = load_catalogue(catalogue_path, needs_promises=False)
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
    return scores_of(catalogue, task, rows, results)


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
    fleet: LocalFleet, num_steps: int, rows: Sequence[Example], advance: Advance
) -> list[list[Result]]:
    """Ask step after step, so that no two share a text's pass: `(steps, rows)`."""
    firsts: dict[str, int] = {}
    for number, row in enumerate(rows):
        firsts.setdefault(row.text, number)
    answered: list[dict[str, Result]] = []
    bad: list[Unanswered] = []
    with Client(fleet.redis_url) as client:
        for step in range(num_steps):
            jobs = (_job(step, number, text) for text, number in firsts.items())
            found: dict[str, Result] = {}
            results = client.map(jobs, max_in_flight=MAX_IN_FLIGHT)
            for (text, number), result in zip(firsts.items(), results, strict=True):
                fleet.check()
                found[text] = result
                bad += _missing(step, number, result)
                advance(step * len(firsts) + len(found), num_steps * len(firsts))
            answered.append(found)
    if bad:
        raise UnansweredError(tuple(bad[:1]), len(bad), fleet.logs)
    return [[found[row.text] for row in rows] for found in answered]


def _job(step: int, number: int, text: str) -> Job:
    return Job(id=f"{step}.{number}", task=name_of_step(step), text=text)


def _missing(step: int, row: int, result: Result) -> Iterator[Unanswered]:
    """A job that ended before its step was tried tells nothing of the step."""
    if result.status not in _ENDED_WELL:
        problem = result.problem
        yield Unanswered(step, row, result.status, problem.message if problem else "no reason")


def scores_of(
    catalogue: Catalogue, name: str, rows: Sequence[Example], results: Sequence[Sequence[Result]]
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
    clusters = clusters_of([row.text for row in rows])
    scored = tuple(
        _scored(task, row, [of_step[number] for of_step in results], clusters[number])
        for number, row in enumerate(rows)
    )
    return Scores(name, catalogue.currency, steps, scored)


def _scored(task: Task, row: Example, results: Sequence[Result], cluster: int) -> ScoredRow:
    spec = KINDS[task.kind]
    gold = spec.gold_of(row)
    said = [
        _said(step, task.kind, result, is_right(_answer(result), gold))
        for step, result in zip(task.cascade, results, strict=True)
    ]
    return ScoredRow(text_key(row.text), spec.in_a_word(gold), tuple(said), cluster)


def _said(step: Step, kind: Kind, result: Result, is_gold: bool) -> Said:  # noqa: FBT001
    spec, answer, attempt = KINDS[kind], _answer(result), result.trail[-1]
    distribution = getattr(answer, "distribution", {}) if spec.is_one_label else {}
    confidence = 0.0 if answer is None or not _may_stand(step, answer) else answer.confidence
    return Said(
        confidence=confidence,
        is_right=is_gold,
        said=spec.in_a_word(spec.said_by(answer)),
        distribution=distribution if step.has_threshold else {},
        seconds=attempt.seconds,
        waited_seconds=attempt.waited_seconds,
        cost=attempt.cost,
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
