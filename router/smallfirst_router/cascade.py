"""Where a job goes next: the cascade, walked from a given step. Pure, but for asking the rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smallfirst.acceptance import Acceptance, RuleAcceptance
from smallfirst.answers import merge_spans, spans_of, with_spans
from smallfirst.catalogue import Backlog, Catalogue, Here, Kind, Step, Task, place_text
from smallfirst.catalogue.placement import pools_of
from smallfirst.catalogue.promise_files import remedy
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.jobs import Answer, Attempt, Job, Outcome, Span, Tier
from smallfirst.results import is_allowed
from smallfirst_router.rules import CompiledRule, compile_rule

#: Asks a rule about a text: returns the attempt, which holds the answer if there is one.
AskRule = Callable[["PlannedStep", str], Attempt]


@dataclass(frozen=True)
class LocalRule:
    """The router answers by itself, by a compiled rule."""

    rule: CompiledRule
    accept: RuleAcceptance


@dataclass(frozen=True)
class PlannedStep:
    """One step of a cascade, with everything about it that the catalogue decides.

    A step that is never asked keeps its place, since a job on its way names its step by number.
    """

    number: int
    tier: Tier
    name: str
    acceptance: Acceptance
    destination: LocalRule | Backlog


@dataclass(frozen=True)
class TaskPlan:
    """A task as the router sees it."""

    name: str
    kind: Kind
    max_chars: int
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True)
class Ask:
    """Somebody else answers the next step: park the job on the backlog."""

    step: PlannedStep
    backlog: Backlog
    trail: tuple[Attempt, ...]
    kept_spans: tuple[Span, ...]


@dataclass(frozen=True)
class Accept:
    """A rule's answer stands."""

    answer: Answer
    trail: tuple[Attempt, ...]


@dataclass(frozen=True)
class RunOut:
    """No step is left."""

    trail: tuple[Attempt, ...]


def plan_tasks(catalogue: Catalogue) -> dict[str, TaskPlan]:
    """Work out every task's plan once: rules compiled, models placed on pools.

    Raises:
        CatalogueError: When a model fits no pool, or a rule is not the one that was calibrated.
        RuleError: When a pattern does not compile.
    """
    pools = pools_of(catalogue)
    return {name: _plan(name, task, catalogue, pools) for name, task in catalogue.tasks.items()}


def _plan(name: str, task: Task, catalogue: Catalogue, pools: dict[str, str]) -> TaskPlan:
    steps = tuple(
        _plan_step(number, step, task, catalogue, pools) for number, step in enumerate(task.cascade)
    )
    _check_rules(name, steps)
    return TaskPlan(name, task.kind, task.max_chars, steps)


def _plan_step(
    number: int, step: Step, task: Task, catalogue: Catalogue, pools: dict[str, str]
) -> PlannedStep:
    match step.destination(pools):
        case Here(rule=rule, accept=accept):
            destination: LocalRule | Backlog = LocalRule(compile_rule(rule, task.kind), accept)
        case Backlog() as destination:
            pass
    return PlannedStep(number, catalogue.tier_of(step), step.name, step.acceptance, destination)


def _check_rules(name: str, steps: Sequence[PlannedStep]) -> None:
    """See that rules still find what they found when their cascade was calibrated.

    Raises:
        CatalogueError: When one does not: the recognizers or python-stdnum are of another version.
    """
    for step in steps:
        at_hand = step.destination
        if isinstance(at_hand, LocalRule) and step.acceptance.is_void(at_hand.rule.revision):
            where = place_text(("tasks", name, "cascade", step.number, "rule"))
            said = f"finds otherwise than when it was calibrated; {remedy(name)}"
            raise CatalogueError(CatalogueProblem(None, None, where, said))


def next_move(
    job: Job,
    plan: TaskPlan,
    ask_rule: AskRule,
    *,
    step: int = 0,
    trail: Sequence[Attempt] = (),
    kept_spans: Sequence[Span] = (),
) -> Ask | Accept | RunOut:
    """Walk the cascade until a rule's answer stands, a model must be asked, or it ends."""
    tried, spans = tuple(trail), tuple(kept_spans)
    for planned in plan.steps[step:]:
        is_due = is_allowed(planned.tier, job.first_tier, job.last_tier)
        if not is_due or planned.acceptance.is_never:
            continue
        if isinstance(planned.destination, Backlog):
            return Ask(planned, planned.destination, tried, spans)
        attempt = ask_rule(planned, job.text)
        tried = (*tried, attempt)
        spans = merge_spans(spans, spans_of(attempt.answer))
        if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
            return Accept(with_spans(attempt.answer, spans), tried)
    return RunOut(tried)
