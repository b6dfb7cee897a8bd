"""The catalogue: which pools, models and tasks there are, with every rule a value must obey.

It owns meaning. Reading the YAML file, and pointing at the line that is wrong, is `loading`;
watching the file is `watching`. Nothing here opens a model: a model's size is read from its
files by `model_files`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Literal

from pydantic import Field, model_validator

from smallfirst.catalogue.audits import Audit, WhenBroken
from smallfirst.catalogue.drifts import Drift
from smallfirst.catalogue.engines import ENGINES, EngineSpec
from smallfirst.catalogue.pools import Model, Pool, RouterCosts, TokenPrices, place
from smallfirst.catalogue.promises import (
    Cautious,
    EqualSingle,
    ForeignPromise,
    Promise,
    StepPromise,
    WordsOutside,
    promise_path,
)
from smallfirst.catalogue.references import QuantityReference, Reference
from smallfirst.catalogue.shadow_problems import shadow_problems
from smallfirst.catalogue.shadows import Shadow
from smallfirst.catalogue.step_specs import is_to_be_chosen, step_specs
from smallfirst.catalogue.steps import (
    CALIBRATED,
    RECOGNIZERS,
    AnyStep,
    Backlog,
    Here,
    MeanStep,
    ModelStep,
    Otherwise,
    Pattern,
    Person,
    PersonStep,
    Rule,
    RuleStep,
    Step,
    Think,
)
from smallfirst.catalogue.tasks import Task
from smallfirst.jobs import Name, Tier
from smallfirst.kinds import KINDS, Example, HeadForm, Kind, named
from smallfirst.kinds.entries import PROBLEMS, Entry, Place, place_text, refuse
from smallfirst.kinds.records import RecordField
from smallfirst.wording import did_you_mean

__all__ = [
    "CALIBRATED",
    "PROBLEMS",
    "RECOGNIZERS",
    "AnyStep",
    "Audit",
    "Backlog",
    "Catalogue",
    "Cautious",
    "Drift",
    "Entry",
    "EqualSingle",
    "Example",
    "ForeignPromise",
    "Here",
    "Kind",
    "MeanStep",
    "Model",
    "ModelStep",
    "Otherwise",
    "Pattern",
    "Person",
    "PersonStep",
    "Place",
    "Pool",
    "Promise",
    "QuantityReference",
    "RecordField",
    "Reference",
    "RouterCosts",
    "Rule",
    "RuleStep",
    "Shadow",
    "Step",
    "StepPromise",
    "Task",
    "Think",
    "TokenPrices",
    "WhenBroken",
    "WordsOutside",
    "asked_by",
    "is_to_be_chosen",
    "place",
    "place_text",
    "promise_path",
    "step_problems",
    "step_specs",
]


class Catalogue(Entry):
    """Everything the fleet serves."""

    version: Literal[1] = Field(description="The version of this format.")
    currency: str = Field(default="USD", description="The currency of every price in this file.")
    router: RouterCosts = Field(
        default_factory=RouterCosts, description="The costs of what the router answers itself."
    )
    pools: dict[Name, Pool] = Field(
        default_factory=dict,
        description="The places where models run, by name; a model goes to the smallest that holds"
        " it. May be left out where there are no models.",
    )
    models: dict[Name, Model] = Field(
        default_factory=dict, description="The models that steps name."
    )
    tasks: dict[Name, Task] = Field(
        min_length=1, description="The tasks that jobs may ask for, by name."
    )

    @model_validator(mode="after")
    def _steps_fit_together(self) -> "Catalogue":
        refuse(
            (
                *_nowhere_to_run(self),
                *_unknown_models(self),
                *_cheaper_after_dearer(self),
                *_beyond_model(self),
                *shadow_problems(self.tasks),
            )
        )
        return self

    def tier_of(self, step: Step) -> Tier:
        """The class of tool that a step uses."""
        return step.tier({name: model.tier for name, model in self.models.items()})

    def without_people(self) -> "Catalogue":
        """The same, but for steps that ask a person: what can be calibrated and scored."""
        tasks = {
            name: task.model_copy(update={"cascade": task.machine_steps})
            for name, task in self.tasks.items()
        }
        return self.model_copy(update={"tasks": tasks})

    def without_shadows(self, kept: Collection[str] = ()) -> "Catalogue":
        """The same, but for candidates that run in shadow, and the models that they alone ask.

        Args:
            kept: The candidates that stay.
        """
        tasks = {n: task for n, task in self.tasks.items() if task.shadow is None or n in kept}
        left = asked_by(tasks.values())
        alone = asked_by(self.tasks.values()) - left
        models = {name: model for name, model in self.models.items() if name not in alone}
        return self.model_copy(update={"tasks": tasks, "models": models})

    @property
    def shadows(self) -> tuple[str, ...]:
        """The names of the candidates that run in shadow of some task."""
        return tuple(name for name, task in self.tasks.items() if task.shadow is not None)

    def candidate_of(self, task: str) -> str | None:
        """Name the candidate that runs in shadow of a task; None where none does."""
        tasks = self.tasks.items()
        return next((n for n, each in tasks if each.shadow and each.shadow.of == task), None)

    def engines_of(self, step: Step) -> tuple[EngineSpec, ...]:
        """What serves the models that a step asks."""
        return tuple(self.models[model].engine_spec for model in step.asks)


def asked_by(tasks: Iterable[Task]) -> frozenset[str]:
    """The models that some of these tasks ask."""
    return frozenset(model for task in tasks for model in task.asks)


def _nowhere_to_run(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    if catalogue.models and not catalogue.pools:
        pool = "{cpu-small: {tier: slm, max_parameters: 50M}}"
        yield ("pools",), f"is required, since models run in a pool: {pool}"


def _unknown_models(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    for at, step in _steps(catalogue):
        for number, model in enumerate(step.asks):
            if model not in catalogue.models:
                key: Place = ("models", number) if isinstance(step, MeanStep) else ("model",)
                near = did_you_mean(model, catalogue.models)
                yield (*at, *key), f"{model!r} is not one of `models`{near}"


def _beyond_model(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    for at, step in _steps(catalogue):
        kind = catalogue.tasks[str(at[1])].kind
        if not set(step.asks) <= set(catalogue.models):
            continue
        if isinstance(step, ModelStep):
            for key, rule in step_problems(step, catalogue.models[step.model], kind):
                yield (*at, key), rule
        if isinstance(step, MeanStep):
            engines = {name: catalogue.models[name].engine_spec for name in step.models}
            for rule in mean_problems(engines, kind):
                yield (*at, "models"), rule
            if step.foreign is not None and not _has_nearest(kind):
                yield (*at, "foreign"), _NOT_TOLD


def _steps(catalogue: Catalogue) -> Iterator[tuple[Place, Step]]:
    """Every step of every task, with its place."""
    for name, task in catalogue.tasks.items():
        for index, step in enumerate(task.cascade):
            yield ("tasks", name, "cascade", index), step


def step_problems(step: ModelStep, model: Model, kind: Kind) -> Iterator[tuple[str, str]]:
    """Say what a step wants of its model that this model cannot do: the key, and the rule."""
    for rule in _kind_problems(kind, model.engine_spec):
        yield "model", rule
    yield from _option_problems(step, model, kind)


def mean_problems(engines: Mapping[str, EngineSpec], kind: Kind) -> Iterator[str]:
    """Say why a step cannot answer by the mean of models, given what serves each of them."""
    if not _has_mean(kind):
        kinds = " and ".join(f"`{one}`" for one in Kind if _has_mean(one))
        yield f"only {kinds} tasks have a mean, and this one is {kind}; ask one `model`"
        return
    words = [name for name, spec in engines.items() if spec.is_in_router]
    encoders = [name for name, spec in engines.items() if spec is ENGINES["encoder"]]
    for name in engines.keys() - {*words, *encoders}:
        yield f"{name!r} is neither linear nor an encoder; ask it in a step of its own"
    if not encoders:
        first = next(iter(engines))
        yield f"a mean needs one encoder; name one, or ask for `model: {first}`"
    if len(encoders) > 1:
        yield f"a mean has one encoder, here are {' and '.join(encoders)}; keep one"


_NOT_TOLD: Final = "only a model of tier slm tells it, and only of a classify task"


def _has_nearest(kind: Kind) -> bool:
    return KINDS[kind].head is HeadForm.CHOICE


def _has_mean(kind: Kind) -> bool:
    return KINDS[kind].head in {HeadForm.CHOICE, HeadForm.EACH}


def _kind_problems(kind: Kind, can: EngineSpec) -> Iterator[str]:
    spec = KINDS[kind]
    if can.is_in_router:
        if not _has_mean(kind):
            yield f"a model {can.which} cannot make the answer of {named(kind)}"
        return
    if spec.head is None and not can.generates:
        yield f"a model {can.which} cannot write the answer of {named(kind)}"
    elif not spec.can_be_pooled and not can.generates and not can.finds_spans:
        yield f"a model {can.which} has one vector a text, which cannot answer {named(kind)}"
    if not spec.can_be_written and not can.embeds:
        yield f"{named(kind)} wants a vector; give the model `runner: pooling`"


def _option_problems(step: ModelStep, model: Model, kind: Kind) -> Iterator[tuple[str, str]]:
    spec, can = KINDS[kind], model.engine_spec
    if not can.generates:
        for key in ("think", "vote", "adapter"):
            if key in step.model_fields_set:
                yield key, "only a model that writes heeds this"
    elif step.think is not None and not can.thinks:
        yield "think", f"whether a model {can.which} thinks is settled there"
    if step.foreign is not None and not (_has_nearest(kind) and can.tells_foreign):
        yield "foreign", _NOT_TOLD
    is_scored = spec.is_one_label and can.generates and can.scores_labels
    if is_scored and step.vote > 1 and step.think is None:
        yield "vote", "without `think` every vote on labels would be the same"
    if step.adapter is not None and step.adapter not in model.adapters:
        near = did_you_mean(step.adapter, model.adapters)
        yield "adapter", f"{step.adapter!r} is not one of the model's `adapters`{near}"


def _cheaper_after_dearer(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    dearest: dict[str, Tier] = {}
    for at, step in _steps(catalogue):
        if not set(step.asks) <= set(catalogue.models):
            continue
        tier, before = catalogue.tier_of(step), dearest.get(str(at[1]), Tier.RULE)
        if tier.rank < before.rank:
            yield at, f"a step of tier {tier} stands after one of tier {before}; cheapest first"
        dearest[str(at[1])] = max(before, tier, key=lambda each: each.rank)
