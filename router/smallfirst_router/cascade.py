"""Where a job goes next: the cascade, walked from a given step. Pure, but for asking the rules."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from smallfirst.acceptance import Acceptance, RuleAcceptance
from smallfirst.answers import merge_spans, spans_of, with_spans
from smallfirst.catalogue import Backlog, Catalogue, Here, Kind, Pool, Step, Task, place_text
from smallfirst.catalogue.placement import pools_of
from smallfirst.catalogue.promise_files import remedy
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.jobs import AnyAnswer, Attempt, Job, Outcome, Span, Tier
from smallfirst.kinds import KINDS
from smallfirst.results import is_allowed
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_router.rules import CompiledRule, RuleAnswer, compile_rule

#: Asks a rule about a text: returns the attempt, which holds the answer if there is one.
AskRule = Callable[["PlannedStep", str], Attempt]


@dataclass(frozen=True)
class LocalRule:
    """The router answers by itself, by a compiled rule."""

    rule: CompiledRule
    accept: RuleAcceptance

    def outcome(self, said: RuleAnswer) -> Outcome:
        """Decide on what the rule says: an answer that a bound cut short never stands."""
        return Outcome.ESCALATED if said.bound else self.accept.outcome(said.answer)


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
    options: StepOptions = NO_OPTIONS


@dataclass(frozen=True)
class TaskPlan:
    """A task as the router sees it."""

    name: str
    kind: Kind
    max_chars: int
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True)
class Plan:
    """All that a router goes by, made of one catalogue at once.

    Attributes:
        tasks: Every task's plan.
        pools: The pools of the catalogue.
        places: The pool of each model.
        revision: The catalogue's revision, by which a worker tells whether it has it too.
    """

    tasks: Mapping[str, TaskPlan] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""

    @cached_property
    def asked(self) -> frozenset[tuple[str, str]]:
        """Every task with whomever its cascade asks."""
        return frozenset(
            (name, step.name) for name, task in self.tasks.items() for step in task.steps
        )


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

    answer: AnyAnswer
    trail: tuple[Attempt, ...]


@dataclass(frozen=True)
class RunOut:
    """No step is left."""

    trail: tuple[Attempt, ...]


def plan_of(catalogue: Catalogue, revision: str = "") -> Plan:
    """Work everything out once: rules compiled, models on their pools.

    Raises:
        CatalogueError: When a model fits no pool, or a rule is not the one that was calibrated.
        RuleError: When a pattern does not compile.
    """
    places = pools_of(catalogue)
    tasks = {name: _plan(name, task, catalogue, places) for name, task in catalogue.tasks.items()}
    return Plan(tasks, catalogue.pools, places, revision)


def _plan(name: str, task: Task, catalogue: Catalogue, pools: Mapping[str, str]) -> TaskPlan:
    steps = tuple(
        _plan_step(number, step, task, catalogue, pools) for number, step in enumerate(task.cascade)
    )
    _check_rules(name, steps)
    return TaskPlan(name, task.kind, task.max_chars, steps)


def _plan_step(
    number: int, step: Step, task: Task, catalogue: Catalogue, pools: Mapping[str, str]
) -> PlannedStep:
    match step.destination(pools):
        case Here(rule=rule, accept=accept):
            destination: LocalRule | Backlog = LocalRule(compile_rule(rule, task.kind), accept)
        case Backlog() as destination:
            pass
    tier = catalogue.tier_of(step)
    return PlannedStep(number, tier, step.name, step.acceptance, destination, step.options)


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
    """Walk the cascade until a rule's answer stands, a model must be asked, or it ends.

    It ends too where a bound kept a rule from all the spans that it alone would find: no later step
    could answer for them, and a text that is taken for redacted must not be one.
    """
    tried, spans = tuple(trail), tuple(kept_spans)
    for planned in _due_steps(job, plan, step):
        if isinstance(planned.destination, Backlog):
            return Ask(planned, planned.destination, tried, spans)
        attempt = ask_rule(planned, job.text)
        tried = (*tried, attempt)
        spans = merge_spans(spans, spans_of(attempt.answer))
        if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
            return Accept(with_spans(attempt.answer, spans), tried)
        if attempt.reason is not None and KINDS[plan.kind].keeps_spans:
            break
    return RunOut(tried)


def pools_ahead(job: Job, plan: TaskPlan, step: int) -> Iterator[str]:
    """Name the pools that a job may come to from a step on, in order."""
    for planned in _due_steps(job, plan, step):
        if isinstance(planned.destination, Backlog):
            yield planned.destination.pool


def _due_steps(job: Job, plan: TaskPlan, step: int) -> Iterator[PlannedStep]:
    """Go through the steps that may be asked, from a given one on."""
    for planned in plan.steps[step:]:
        is_due = is_allowed(planned.tier, job.first_tier, job.last_tier)
        if is_due and not planned.acceptance.is_never:
            yield planned
