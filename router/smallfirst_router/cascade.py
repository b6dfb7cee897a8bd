"""Where a job goes next: the cascade, walked from a given step. Pure, but for whom it asks here."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from smallfirst.acceptance import (
    NEVER,
    RAISED,
    Acceptance,
    RuleAcceptance,
    Thresholds,
    label_of,
)
from smallfirst.answers import Answer, AnyAnswer, Span, merge_spans, spans_of, with_spans
from smallfirst.audit.drawing import AuditOrder
from smallfirst.catalogue import (
    Backlog,
    Catalogue,
    Kind,
    Person,
    PersonStep,
    Pool,
    RuleStep,
    Step,
    Task,
    place_text,
)
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.drifts import Alarm, Drift
from smallfirst.catalogue.placement import pools_of
from smallfirst.catalogue.promise_files import remedy
from smallfirst.catalogue.promises import promise_digest
from smallfirst.catalogue.shadow_orders import shadow_order
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.jobs import Attempt, Job, Outcome, Tier
from smallfirst.kinds import KINDS
from smallfirst.ledger.alarms import Standing, of_promises
from smallfirst.results import is_allowed
from smallfirst.shadow.copies import ShadowOrder
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_router.errors import RuleError
from smallfirst_router.rules import CompiledRule, compile_rule

if TYPE_CHECKING:  # numpy, for a router that asks no linear model
    from smallfirst.linear.skills import LinearSkill

#: The linear models at work, by the task and the model that it asks.
Skills = Mapping[tuple[str, str], "LinearSkill"]
#: Asks a step that the router answers itself about a job: returns the attempt, which holds the
#: answer if there is one.
AskHere = Callable[["PlannedStep", Job], Attempt]


class Said(NamedTuple):
    """What came of asking here.

    Attributes:
        outcome: Whether the answer stands.
        answer: None where there is none.
        reason: Why it does not stand, or is not there, where that is known.
        threshold: The confidence that it had to reach, where there is one.
    """

    outcome: Outcome
    answer: Answer | None = None
    reason: str | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class LocalRule:
    """The router answers by itself, by a compiled rule."""

    rule: CompiledRule
    accept: RuleAcceptance

    @property
    def revision(self) -> str:
        """Which version answers."""
        return self.rule.revision

    def ask(self, job: Job) -> Said:
        """Ask about a job's text: an answer that a bound cut short never stands."""
        said = self.rule.answer(job.text, is_explained=job.explain)
        outcome = Outcome.ESCALATED if said.bound else self.accept.outcome(said.answer)
        return Said(outcome, said.answer, said.bound)


@dataclass(frozen=True)
class LocalModel:
    """The router answers by itself, by a linear model."""

    skill: "LinearSkill"
    acceptance: Acceptance

    @property
    def revision(self) -> str:
        """Which version answers."""
        return self.skill.revision

    def ask(self, job: Job) -> Said:
        """Ask about a job's text."""
        [said] = self.ask_each([job])
        return said

    def ask_each(self, jobs: Sequence[Job]) -> list[Said]:
        """Ask about texts; an answer is as sure as the temperature makes it."""
        given = self.skill.answers(
            [job.text for job in jobs],
            explained={n for n, job in enumerate(jobs) if job.explain},
            whole={n for n, job in enumerate(jobs) if job.whole_distribution},
            temperature=self.acceptance.temperature,
        )
        return [self._judged(each) for each in given]

    def _judged(self, said: Answer | str) -> Said:
        if isinstance(said, str):
            return Said(Outcome.ESCALATED, reason=said, threshold=self.acceptance.required(None))
        return Said(
            self.acceptance.outcome(said, self.revision),
            said,
            self.acceptance.reason(said, self.revision),
            self.acceptance.required(label_of(said)),
        )

    def by(self, raised: Thresholds) -> "LocalModel":
        """The same, while its task's jobs have drifted."""
        return replace(self, acceptance=self.acceptance.model_copy(update={"raised": raised}))


#: Whom the router asks without leaving its process.
Local = LocalRule | LocalModel


@dataclass(frozen=True)
class PlannedStep:
    """One step of a cascade, with everything about it that the catalogue decides.

    A step that is never asked keeps its place, since a job on its way names its step by number.

    Attributes:
        number: Its place in the cascade.
        tier: Of whom it asks.
        name: Of whom it asks.
        acceptance: What an answer must reach.
        destination: Where it is asked.
        options: How its model is to answer.
        person: How a person is asked.
        cautious: What an answer must reach while the task's jobs have drifted; None where nothing
            is raised then. Who answers elsewhere looks itself whether they have.
    """

    number: int
    tier: Tier
    name: str
    acceptance: Acceptance
    destination: Local | Backlog
    options: StepOptions = NO_OPTIONS
    person: Person | None = None
    cautious: Thresholds | None = None

    @property
    def alarmed(self) -> "PlannedStep":
        """The same while its task's jobs have drifted."""
        at_hand = self.destination
        if self.cautious is None or not isinstance(at_hand, LocalModel):
            return self
        return replace(self, destination=at_hand.by(self.cautious))


@dataclass(frozen=True)
class TaskPlan:
    """A task as the router sees it.

    Attributes:
        name: Of the task.
        kind: Of the task.
        max_chars: The longest text that is taken.
        steps: In order.
        audit: How many accepted answers are checked; None where nothing is.
        is_stopped: Whether an audit has broken the promise, so that no machine is asked.
        promise: The hash of the promise in force; empty for none.
        shadow_of: The task in whose shadow it runs; empty for one that jobs may name.
        drift: What is done where its jobs have drifted; None where nothing is.
        has_alarm: Whether they have.
    """

    name: str
    kind: Kind
    max_chars: int
    steps: tuple[PlannedStep, ...]
    audit: AuditOrder | None = None
    is_stopped: bool = False
    promise: str = ""
    shadow_of: str = ""
    drift: Drift | None = None
    has_alarm: bool = False

    @property
    def is_held_back(self) -> bool:
        """Whether it answers less than its cascade would: stopped, or by raised thresholds."""
        raised = self.drift is not None and self.drift.alarm is Alarm.RAISE_THRESHOLD
        return self.is_stopped or (self.has_alarm and raised)

    @property
    def last(self) -> PlannedStep:
        """The last step, which alone may ask a person."""
        return self.steps[-1]

    @property
    def stopped(self) -> "TaskPlan":
        """The same where the promise is broken: no machine is asked, and people answer, if any."""
        never = Acceptance(threshold=NEVER)
        steps = tuple(
            step if step.tier is Tier.HUMAN else replace(step, acceptance=never)
            for step in self.steps
        )
        return replace(self, steps=steps, is_stopped=True)

    def alarmed(self, since_ms: int) -> "TaskPlan":
        """The same while its jobs have drifted: thresholds or audits as the catalogue says.

        Args:
            since_ms: Since when they have, on Redis's clock.
        """
        steps, audit = tuple(step.alarmed for step in self.steps), self.audit
        if self.drift is not None and self.drift.alarm is Alarm.AUDIT_MORE and audit is not None:
            audit = audit.raised(self.drift.audit_times, since_ms)
        return replace(self, steps=steps, audit=audit, has_alarm=True)

    @cached_property
    def has_models_here(self) -> bool:
        """Whether a linear model of it answers in the router."""
        return any(isinstance(step.destination, LocalModel) for step in self.steps)


@dataclass(frozen=True)
class Plan:
    """All that a router goes by, made of one catalogue at once.

    Attributes:
        tasks: Every task's plan.
        pools: The pools of the catalogue.
        places: The pool of each model.
        revision: The catalogue's revision, by which a worker tells whether it has it too.
        price_per_hour: Of what is answered here.
        shadows: The candidates that run in shadow, by the live task.
    """

    tasks: Mapping[str, TaskPlan] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    price_per_hour: float = 0.0
    shadows: Mapping[str, ShadowOrder] = field(default_factory=dict)

    @cached_property
    def asked(self) -> frozenset[tuple[str, str]]:
        """Every task with each model for which its jobs wait somewhere."""
        return frozenset(
            (name, step.destination.model)
            for name, task in self.tasks.items()
            for step in task.steps
            if isinstance(step.destination, Backlog)
        )

    @cached_property
    def held_back(self) -> frozenset[str]:
        """The tasks whose cascade answers less than it would: stopped, or by raised thresholds."""
        return frozenset(name for name, task in self.tasks.items() if task.is_held_back)

    @cached_property
    def audited(self) -> Mapping[str, AuditOrder]:
        """The tasks whose accepted answers are checked."""
        tasks = self.tasks.items()
        return {name: task.audit for name, task in tasks if task.audit is not None}

    @cached_property
    def watched(self) -> Mapping[str, str]:
        """The tasks where something is done once their jobs drift, and their promises' hashes."""
        tasks = self.tasks.items()
        return {name: task.promise for name, task in tasks if task.drift is not None}

    def with_alarms(self, standing: Standing) -> "Plan":
        """The same while alarms stand of tasks that it watches."""
        found = of_promises(standing, self.watched)
        if not found:
            return self
        alarmed = {name: self.tasks[name].alarmed(each.since_ms) for name, each in found.items()}
        return replace(self, tasks={**self.tasks, **alarmed})

    def without(self, broken: Collection[str]) -> "Plan":
        """The same, where tasks whose promise is broken ask no machine."""
        if not broken:
            return self
        tasks = {
            name: task.stopped if name in broken else task for name, task in self.tasks.items()
        }
        return replace(self, tasks=tasks)

    @cached_property
    def unbatched(self) -> frozenset[str]:
        """The backlogs that are no pool's: whoever answers there takes its jobs one by one."""
        destinations = (step.destination for task in self.tasks.values() for step in task.steps)
        return frozenset(
            each.pool
            for each in destinations
            if isinstance(each, Backlog) and each.pool not in self.pools
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
    """An answer that the router has by itself stands."""

    answer: AnyAnswer
    trail: tuple[Attempt, ...]


@dataclass(frozen=True)
class RunOut:
    """No step is left."""

    trail: tuple[Attempt, ...]


def plan_of(
    catalogue: Catalogue, revision: str = "", skills: Skills = MappingProxyType({})
) -> Plan:
    """Work everything out once: rules compiled, models on their pools.

    Args:
        catalogue: Which is planned.
        revision: The catalogue's.
        skills: The linear models that it asks, all of them.

    Raises:
        CatalogueError: When a model fits no pool, or a rule is not the one that was calibrated.
        RuleError: When a pattern does not compile.
    """
    places = pools_of(catalogue)
    tasks = {
        name: _plan(name, task, _Planning(catalogue, places, skills))
        for name, task in catalogue.tasks.items()
    }
    price = catalogue.router.price_per_hour
    shadows = {task.shadow_of: _order(catalogue, task) for task in tasks.values() if task.shadow_of}
    return Plan(tasks, catalogue.pools, places, revision, price, shadows)


def _order(catalogue: Catalogue, candidate: TaskPlan) -> ShadowOrder:
    order = shadow_order(catalogue, candidate.shadow_of)
    assert order is not None
    pools = (
        each.destination.pool for each in candidate.steps if isinstance(each.destination, Backlog)
    )
    return replace(order, pools=frozenset(pools))


class _Planning(NamedTuple):
    """What a task is planned by."""

    catalogue: Catalogue
    places: Mapping[str, str]
    skills: Skills


def _plan(name: str, task: Task, by: _Planning) -> TaskPlan:
    cautious = _cautious(task)
    steps = tuple(
        PlannedStep(
            number,
            by.catalogue.tier_of(step),
            step.name,
            step.acceptance,
            _destination(name, task, step, by),
            step.options,
            step.person if isinstance(step, PersonStep) else None,
            cautious.get(number),
        )
        for number, step in enumerate(task.cascade)
    )
    _check_rules(name, steps)
    return TaskPlan(
        name,
        task.kind,
        task.max_chars,
        steps,
        audit_order(task, by.catalogue.models),
        promise=promise_digest(task.promise) if task.promise else "",
        shadow_of=task.shadow.of if task.shadow else "",
        drift=task.drift if task.promise and task.drift and task.drift.alarm.acts else None,
    )


def _cautious(task: Task) -> dict[int, Thresholds]:
    """What the answers of models must reach while jobs have drifted, where thresholds are raised.

    Of the whole cascade, as it was tested: some thresholds of one setting with some of another's
    make a third that nobody tested.
    """
    promise, drift = task.promise, task.drift
    is_raised = drift is not None and drift.alarm is Alarm.RAISE_THRESHOLD
    if promise is None or promise.cautious is None or not is_raised:
        return {}
    pairs = enumerate(zip(task.machine_steps, promise.cautious.thresholds, strict=True))
    return {number: each for number, (step, each) in pairs if step.is_calibrated}


def _destination(name: str, task: Task, step: Step, by: _Planning) -> Local | Backlog:
    destination = step.destination(by.places, name)
    if isinstance(destination, Backlog):
        return destination
    if isinstance(step, RuleStep):
        try:
            return LocalRule(compile_rule(step.rule, task.kind), step.accept)
        except RuleError as error:
            raise RuleError(error.label, error.reason, name) from error
    return LocalModel(by.skills[name, step.name], step.acceptance)


def _check_rules(name: str, steps: Sequence[PlannedStep]) -> None:
    """See that rules still find what they found when their cascade was calibrated.

    Raises:
        CatalogueError: When one does not: the recognizers or python-stdnum are of another version.
    """
    for step in steps:
        at_hand = step.destination
        if isinstance(at_hand, LocalRule) and step.acceptance.is_void(at_hand.revision):
            where = place_text(("tasks", name, "cascade", step.number, "rule"))
            said = f"finds otherwise than when it was calibrated; {remedy(name)}"
            raise CatalogueError(CatalogueProblem(None, None, where, said))


def next_move(
    job: Job,
    plan: TaskPlan,
    ask_here: AskHere,
    *,
    step: int = 0,
    trail: Sequence[Attempt] = (),
    kept_spans: Sequence[Span] = (),
) -> Ask | Accept | RunOut:
    """Walk the cascade until an answer stands, a model elsewhere must be asked, or it ends.

    It ends too where a bound kept a rule from all the spans that it alone would find: no later step
    could answer for them, and a text that is taken for redacted must not be one.
    """
    tried, spans = tuple(trail), tuple(kept_spans)
    for planned in _due_steps(job, plan, step):
        if isinstance(planned.destination, Backlog):
            return Ask(planned, planned.destination, tried, spans)
        attempt = ask_here(planned, job)
        tried = (*tried, attempt)
        spans = merge_spans(spans, spans_of(attempt.answer))
        if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
            return Accept(with_spans(attempt.answer, spans), tried)
        if attempt.reason not in {None, RAISED} and KINDS[plan.kind].keeps_spans:
            break
    return RunOut(tried)


def first_here(job: Job, plan: TaskPlan, step: int) -> PlannedStep | None:
    """The step that is due, where a linear model answers it here; such are asked many at once."""
    due = next(_due_steps(job, plan, step), None) if plan.has_models_here else None
    return due if due is not None and isinstance(due.destination, LocalModel) else None


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
