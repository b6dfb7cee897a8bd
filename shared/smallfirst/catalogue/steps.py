"""The steps of a cascade: what each asks, where its jobs wait, and when its answer stands.

A step is one of a few kinds, told apart by the key that says whom it asks: `rule`, `model`,
`models` or `person`. What is true of any step stands in `Step`; a new kind is a class here and its
place in `AnyStep`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)

from smallfirst.acceptance import Acceptance, RuleAcceptance
from smallfirst.answers import Label, Probability
from smallfirst.catalogue.choices import one_of
from smallfirst.catalogue.durations import Duration, between
from smallfirst.catalogue.promises import StepPromise
from smallfirst.jobs import MAX_DEADLINE, Name, Tier
from smallfirst.kinds.entries import Entry, refuse
from smallfirst.people import PERSON, people_of
from smallfirst.step_options import NO_OPTIONS, StepOptions, mean_name
from smallfirst.wording import did_you_mean, nearest

#: Built-in recognizers of the rule tier. A recognizer's name is also the label of what it finds.
RECOGNIZERS: Final = ("ssn", "card", "iban", "email", "phone", "date", "ip", "url")
#: When a model's answer stands that is as sure as calibration asks; see `promises`.
CALIBRATED: Final = "calibrated"
#: The most people that a job is answered by, but for a third where two differ.
MAX_REVIEWERS: Final = 2


def _is_models_acceptance(value: object) -> object:
    """Refuse in one sentence what is no acceptance of a model."""
    if value is None or value == CALIBRATED or _is_probability(value):
        return value
    rule = f"a model accepts at a probability from 0 to 1, or `{CALIBRATED}`"
    if isinstance(value, int | float) and 10 <= value <= 100:
        rule += f"; {value:g} per cent is {value / 100:g}"
    raise ValueError(rule)


def _is_limit_for_foreign(value: object) -> object:
    """Refuse in one sentence what is no limit for foreign texts."""
    if value is None or value == CALIBRATED or _is_probability(value):
        return value
    raise ValueError(f"a text may be foreign by a share from 0 to 1, or as `{CALIBRATED}`")


def _is_rules_acceptance(value: object) -> object:
    """Refuse in one sentence what is no acceptance of a rule."""
    if isinstance(value, str) and value in set(RuleAcceptance):
        return value
    words = ", ".join(f"`{word}`" for word in RuleAcceptance)
    raise ValueError(f"a rule accepts {words}; it has no threshold and no promise")


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


class Pattern(Entry):
    """A regular expression of the team's own.

    In RE2 syntax: linear in the text, and so without look-around.
    """

    label: Label = Field(description="The label of a match; one of the task's.")
    pattern: str = Field(
        min_length=1,
        max_length=2000,
        description="The expression in RE2's syntax; it may match anywhere in the text.",
    )
    check: str | None = Field(
        default=None,
        pattern=r"^[a-z_]+(\.[a-z_]+)*$",
        description="The python-stdnum module that a match must satisfy too: `luhn`, `iban`,"
        " `us.ssn`.",
    )
    ignore_case: bool = Field(default=False, description="Whether ABC matches abc.")


class Rule(Entry):
    """What the rule tier looks for.

    It answers spans for a `tag` task, or a label for a `classify` task.
    """

    find: tuple[Name, ...] = Field(
        default=(), description=f"Built-in recognizers: {', '.join(RECOGNIZERS)}."
    )
    patterns: tuple[Pattern, ...] = Field(
        default=(), description="The team's own expressions, beside the built-in ones."
    )

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label it may answer with."""
        return (*self.find, *(pattern.label for pattern in self.patterns))

    @model_validator(mode="after")
    def _looks_for_something(self) -> "Rule":
        if not self.find and not self.patterns:
            raise ValueError("a rule needs `find` or `patterns`")
        refuse(
            (("find", index), f"unknown recognizer {name!r}{did_you_mean(name, RECOGNIZERS)}")
            for index, name in enumerate(self.find)
            if name not in RECOGNIZERS
        )
        return self


class Think(Entry):
    """How much a large model may reason before it answers."""

    tokens: int = Field(
        ge=1, le=32_768, description="The most tokens of a thought; they are counted in the cost."
    )


@dataclass(frozen=True)
class Here:
    """The router answers by itself, at once: by a rule, or a model that needs no pool."""


@dataclass(frozen=True)
class Backlog:
    """Jobs wait on a backlog for whoever will answer.

    Attributes:
        pool: The pool whose backlog it is. A name that begins with @ is no pool of the catalogue:
            people take jobs from the backlog themselves, and no batches are formed.
        model: Who is asked there, by name.
    """

    pool: str
    model: str


#: Where a step's jobs go.
Destination = Here | Backlog


class Step(Entry):
    """One rung of a cascade: whom it asks, and when the answer stands."""

    #: Whether calibration may choose its threshold.
    has_threshold: ClassVar[bool] = False

    #: What calibration found out about it; set where the catalogue is read from its file.
    _promise: StepPromise | None = PrivateAttr(default=None)

    @property
    @abstractmethod
    def name(self) -> str:
        """Who is asked, as trails and reports name it."""

    @property
    @abstractmethod
    def acceptance(self) -> Acceptance:
        """What an answer must reach, by the promise where there is one."""

    @property
    def options(self) -> StepOptions:
        """How it wants its model to answer."""
        return NO_OPTIONS

    @abstractmethod
    def tier(self, tiers: Mapping[str, Tier]) -> Tier:
        """The class of tool that it uses, given the tier of every model."""

    @abstractmethod
    def destination(self, pools: Mapping[str, str], task: str) -> Destination:
        """Where its jobs go, given the pool of every model that has one, and the task's name."""

    @property
    def asks(self) -> tuple[str, ...]:
        """The models that it asks."""
        return ()

    @property
    def is_calibrated(self) -> bool:
        """Whether its threshold is what calibration promised."""
        return False

    @property
    def promise(self) -> StepPromise | None:
        """What calibration found out about it, where some step of its cascade goes by that."""
        return self._promise

    def with_promise(self, promise: StepPromise) -> Self:
        """The same step, going by a promise."""
        step = self.model_copy()
        step._promise = promise  # noqa: SLF001 - of its own kind
        return step


class RuleStep(Step):
    """A step that asks a rule.

    Its answer stands by `match` (where something matched, else the next step is asked), `always`
    (no match is an answer too) or `never` (its spans are kept, and the next step adds its own).
    """

    rule: Rule = Field(description="The rule: what to look for without a model.")
    accept: Annotated[RuleAcceptance, BeforeValidator(_is_rules_acceptance)] = Field(
        default=RuleAcceptance.MATCH,
        description="When the answer stands: `match` (the default), `always`, or `never`: spans"
        " kept, next step asked.",
    )

    @property
    def name(self) -> str:
        """Rules have no names."""
        return "rules"

    @property
    def acceptance(self) -> Acceptance:
        """Whatever stands by `accept` is certain; only the revision may be another."""
        return self._promise.acceptance if self._promise else Acceptance()

    def tier(self, tiers: Mapping[str, Tier]) -> Tier:  # noqa: ARG002 - asks no model
        """The cheapest there is."""
        return Tier.RULE

    def destination(self, pools: Mapping[str, str], task: str) -> Destination:  # noqa: ARG002
        """Rules run in the router."""
        return Here()


class _SureStep(Step):
    """A step whose answer stands where it is sure enough.

    `accept` is a probability, or `calibrated`: what `smallfirst calibrate` found and wrote beside
    the catalogue.
    """

    has_threshold: ClassVar[bool] = True

    accept: Annotated[
        Probability | Literal["calibrated"] | None, BeforeValidator(_is_models_acceptance)
    ] = Field(
        default=None,
        description="When the answer stands: the probability it must reach (left out: always), or"
        " `calibrated`: as `smallfirst calibrate` promised it.",
    )
    foreign: Annotated[
        Probability | Literal["calibrated"] | None, BeforeValidator(_is_limit_for_foreign)
    ] = Field(
        default=None,
        description="The most that a text may be foreign to the task's examples for an answer to"
        " stand: at 0.95, about one in twenty of the task's own texts is flagged; or `calibrated`:"
        " as `smallfirst calibrate --foreign` promised it. Left out: every text passes.",
    )

    @model_validator(mode="after")
    def _is_calibrated_whole(self) -> Self:
        if self.foreign == CALIBRATED and self.accept != CALIBRATED:
            raise ValueError(f"`foreign: {CALIBRATED}` needs `accept: {CALIBRATED}` beside it")
        return self

    @property
    def is_calibrated(self) -> bool:
        """Whether its threshold is what calibration promised."""
        return self.accept == CALIBRATED

    @property
    def acceptance(self) -> Acceptance:
        """By the promise; else by `accept`, without which every answer stands.

        The highest threshold there is, where the promise was not read: as good as nothing stands.
        """
        if self._promise is not None:
            return self._promise.acceptance
        accept = 1.0 if self.accept == CALIBRATED else self.accept
        foreign = 0.0 if self.foreign == CALIBRATED else self.foreign
        return Acceptance(threshold=accept or 0.0, foreign=foreign)


class ModelStep(_SureStep):
    """A step that asks a model, and how sure it must be for its answer to stand."""

    model: Name = Field(description="The name of one of `models`.")
    think: Think | None = Field(
        default=None,
        description="The reasoning of a large model before it answers; if not given, none.",
    )
    vote: int = Field(
        default=1,
        ge=1,
        le=64,
        description="The number of times a large model answers; the commonest answer wins, as sure"
        " as the share that gave it.",
    )
    adapter: Name | None = Field(
        default=None, description="The name of the model's LoRA adapter to answer with."
    )

    @property
    def name(self) -> str:
        """The model's name in the catalogue."""
        return self.model

    @property
    def asks(self) -> tuple[str, ...]:
        """The one model."""
        return (self.model,)

    @property
    def options(self) -> StepOptions:
        """Its thoughts, votes and adapter."""
        think_tokens = self.think.tokens if self.think else None
        return StepOptions(think_tokens=think_tokens, vote=self.vote, adapter=self.adapter)

    def tier(self, tiers: Mapping[str, Tier]) -> Tier:
        """Its model's."""
        return tiers[self.model]

    def destination(self, pools: Mapping[str, str], task: str) -> Destination:  # noqa: ARG002
        """The backlog of the pool that serves its model; the router where none has to."""
        pool = pools.get(self.model)
        return Here() if pool is None else Backlog(pool, self.model)


class MeanStep(_SureStep):
    """A step that answers by the mean of several models, and how sure that must be to stand.

    Linear models and one encoder, whose pool its jobs wait for: the worker that reads a text with
    the encoder asks the linear models too. The encoder alone is asked for exactly its own answer.
    """

    models: tuple[Name, ...] = Field(
        min_length=1,
        max_length=8,
        description="The names of the models whose distributions are averaged: one encoder, and"
        " linear models.",
    )

    @property
    def name(self) -> str:
        """The models' names: `words+minilm`."""
        return mean_name(self.models)

    @property
    def asks(self) -> tuple[str, ...]:
        """All of them."""
        return self.models

    @property
    def options(self) -> StepOptions:
        """Whose mean the answer is."""
        return StepOptions(models=self.models)

    def tier(self, tiers: Mapping[str, Tier]) -> Tier:
        """The encoder's, which is the dearest."""
        return max((tiers[name] for name in self.models), key=lambda tier: tier.rank)

    def destination(self, pools: Mapping[str, str], task: str) -> Destination:  # noqa: ARG002
        """The backlog of the pool that serves the encoder."""
        [encoder] = [name for name in self.models if name in pools]
        return Backlog(pools[encoder], encoder)

    @model_validator(mode="after")
    def _names_each_once(self) -> "MeanStep":
        twice = next((n for n, name in enumerate(self.models) if name in self.models[:n]), None)
        if twice is not None:
            refuse([(("models", twice), f"{self.models[twice]!r} is named twice; name it once")])
        return self


class Otherwise(StrEnum):
    """What comes of a job that no person answered in time."""

    ABSTAIN = "abstain"
    BEST = "best"


def _is_a_number_of_reviewers(value: object) -> object:
    """Refuse in one sentence what is no number of people to ask."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_REVIEWERS:
        return value
    raise ValueError(f"must be 1 or {MAX_REVIEWERS}: where two differ, a third decides")


class Person(Entry):
    """How a person is asked."""

    wait: Annotated[Duration, between(timedelta(seconds=1), MAX_DEADLINE)] = Field(
        default=timedelta(hours=24),
        description="The time that a job waits for a person, such as 30m, 24h or 7d; its own"
        " deadline may be sooner.",
    )
    otherwise: Annotated[
        Otherwise, one_of(Otherwise, "no answer, or the surest that a machine gave")
    ] = Field(
        default=Otherwise.ABSTAIN,
        description="What comes of a job that waited in vain: `abstain`, or `best`: the surest"
        " answer of the steps before, marked as unsure.",
    )
    reviewers: Annotated[int, BeforeValidator(_is_a_number_of_reviewers)] = Field(
        default=1,
        ge=1,
        le=MAX_REVIEWERS,
        description="The number of people who answer a job, each unshown what others answered: 1,"
        " or 2, of whom a third breaks a tie.",
    )


class PersonStep(Step):
    """A step that asks a person at the review desk; the last of its cascade.

    What a person says always stands, so it has no threshold and takes no part in calibration.
    """

    person: Person = Field(description="How a person is asked: for how long, and what then.")

    @property
    def name(self) -> str:
        """People are not named in trails; who answered is told by a pseudonym."""
        return PERSON

    @property
    def acceptance(self) -> Acceptance:
        """Every answer stands."""
        return Acceptance()

    def tier(self, tiers: Mapping[str, Tier]) -> Tier:  # noqa: ARG002 - asks no model
        """The dearest there is."""
        return Tier.HUMAN

    def destination(self, pools: Mapping[str, str], task: str) -> Destination:  # noqa: ARG002
        """The backlog where the task's jobs wait for people; no pool serves it."""
        return Backlog(people_of(task), PERSON)


def _kind_of_step(step: Any) -> str | None:
    """Tell which kind of step it is by the key that says whom it asks, or nearly says it."""
    if isinstance(step, Step):
        return _KEY_OF[type(step)]
    written = list(step) if isinstance(step, Mapping) else []
    keys = [key for key in _KEY_OF.values() if key in written]
    if not keys:
        near = (nearest(str(key), _KEY_OF.values()) for key in written)
        keys = [key for key in dict.fromkeys(near) if key is not None]
    return keys[0] if len(keys) == 1 else None


#: By what key each kind of step is known.
_KEY_OF: Final[Mapping[type[Step], str]] = {
    RuleStep: "rule",
    ModelStep: "model",
    MeanStep: "models",
    PersonStep: "person",
}
_NO_KIND: Final = "a step needs one of " + ", ".join(f"`{key}`" for key in _KEY_OF.values())
#: Any step of a cascade.
AnyStep = Annotated[
    Annotated[RuleStep, Tag("rule")]
    | Annotated[ModelStep, Tag("model")]
    | Annotated[MeanStep, Tag("models")]
    | Annotated[PersonStep, Tag("person")],
    Discriminator(_kind_of_step, custom_error_type="step", custom_error_message=_NO_KIND),
]
