"""Where a job goes next: the cascade, walked from a given step. Pure, but for asking the rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from smallfirst.answers import merge_spans
from smallfirst.catalogue import Catalogue, Kind, Step, Task, place_text
from smallfirst.catalogue.placement import pools_of
from smallfirst.catalogue.promise_files import remedy
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.jobs import Answer, Attempt, Job, Outcome, Span, SpansAnswer, Tier
from smallfirst.ledger.routing_slips import NO_OPTIONS, StepOptions, Terms
from smallfirst.results import is_allowed
from smallfirst_router.rules import CompiledRule, compile_rule

#: Asks a rule about a text: returns the attempt, which holds the answer if there is one.
AskRule = Callable[["PlannedStep", str], Attempt]


@dataclass(frozen=True)
class PlannedStep:
    """One step of a cascade, with everything about it that the catalogue decides.

    A step that is never asked keeps its place, since a job on its way names its step by number.
    """

    number: int
    tier: Tier
    model: str
    pool: str | None
    accept: float
    rule: CompiledRule | None = None
    rule_accepts: str = "match"
    terms: Terms | None = None
    options: StepOptions = NO_OPTIONS
    is_never_asked: bool = False


@dataclass(frozen=True)
class TaskPlan:
    """A task as the router sees it."""

    name: str
    kind: Kind
    max_chars: int
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True)
class Ask:
    """The next step is a model's: park the job on its pool's backlog."""

    step: PlannedStep
    trail: tuple[Attempt, ...]
    kept: tuple[Span, ...]


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
    _check_rules(name, task, steps)
    return TaskPlan(name, task.kind, task.max_chars, steps)


def _plan_step(
    number: int, step: Step, task: Task, catalogue: Catalogue, pools: dict[str, str]
) -> PlannedStep:
    tier = catalogue.tier_of(step)
    if step.rule is not None:
        rule = compile_rule(step.rule, task.kind)
        return PlannedStep(number, tier, "rules", None, 0.0, rule, step.rule_accepts)
    model = step.model or ""
    return PlannedStep(
        number,
        tier,
        model,
        pools[model],
        step.threshold,
        terms=_terms(step),
        options=_options(step),
        is_never_asked=step.promise is not None and step.promise.is_never_asked,
    )


def _check_rules(name: str, task: Task, steps: Sequence[PlannedStep]) -> None:
    """See that rules still find what they found when their cascade was calibrated.

    Raises:
        CatalogueError: When one does not: the recognizers or python-stdnum are of another version.
    """
    for planned, step in zip(steps, task.cascade, strict=True):
        rule, promise = planned.rule, step.promise
        if rule is not None and promise is not None and rule.revision != promise.revision:
            where = place_text(("tasks", name, "cascade", planned.number, "rule"))
            said = f"finds otherwise than when it was calibrated; {remedy(name)}"
            raise CatalogueError(CatalogueProblem(None, None, where, said))


def _terms(step: Step) -> Terms | None:
    """What a worker needs to know of a step's promise."""
    promise = step.promise
    if promise is None:
        return None
    return Terms(
        revision=promise.revision,
        temperature=promise.temperature,
        accept_by_label=promise.threshold_by_label,
    )


def _options(step: Step) -> StepOptions:
    """What travels to the engine: it looks nothing up in a catalogue of its own."""
    think_tokens = step.think.tokens if step.think else None
    return StepOptions(think_tokens=think_tokens, vote=step.vote, adapter=step.adapter)


def asked_models(plans: Mapping[str, TaskPlan]) -> frozenset[tuple[str, str]]:
    """Every task with every model that its cascade asks."""
    return frozenset((name, step.model) for name, plan in plans.items() for step in plan.steps)


def next_move(
    job: Job,
    plan: TaskPlan,
    ask_rule: AskRule,
    *,
    step: int = 0,
    trail: Sequence[Attempt] = (),
    kept: Sequence[Span] = (),
) -> Ask | Accept | RunOut:
    """Walk the cascade until a rule's answer stands, a model must be asked, or it ends."""
    tried, spans = tuple(trail), tuple(kept)
    for planned in plan.steps[step:]:
        is_due = is_allowed(planned.tier, job.first_tier, job.last_tier)
        if not is_due or planned.is_never_asked:
            continue
        if planned.rule is None:
            return Ask(planned, tried, spans)
        attempt = ask_rule(planned, job.text)
        tried = (*tried, attempt)
        spans = merge_spans(spans, _spans_of(attempt.answer))
        if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
            return Accept(_with_kept(attempt.answer, spans), tried)
    return RunOut(tried)


def rule_outcome(answer: Answer | None, accepts: str) -> Outcome:
    """Whether a rule's answer stands; see `Step.accept`."""
    if answer is None or accepts == "never":
        return Outcome.ESCALATED
    is_match = not isinstance(answer, SpansAnswer) or bool(answer.spans)
    return Outcome.ACCEPTED if is_match or accepts == "always" else Outcome.ESCALATED


def _spans_of(answer: Answer | None) -> tuple[Span, ...]:
    return answer.spans if isinstance(answer, SpansAnswer) else ()


def _with_kept(answer: Answer, spans: tuple[Span, ...]) -> Answer:
    if not isinstance(answer, SpansAnswer):
        return answer
    return answer.model_copy(update={"spans": spans})
