"""The steps of a cascade: rules, models, and how sure each must be."""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from smallfirst.catalogue.promises import StepPromise
from smallfirst.entries import Entry, refuse
from smallfirst.jobs import Label, Name, Probability
from smallfirst.wording import did_you_mean

#: Built-in recognizers of the rule tier. A recognizer's name is also the label of what it finds.
RECOGNIZERS: Final = ("ssn", "card", "iban", "email", "phone", "date", "ip", "url")
#: When a rule's answer stands; see `Step`.
RULE_ACCEPTS: Final = ("match", "always", "never")
#: When a model's answer stands that is as sure as calibration asks; see `promises`.
CALIBRATED: Final = "calibrated"

#: Keys of a step that a large model heeds.
_OF_MODELS: Final = ("think", "vote", "adapter")


def _is_acceptance(value: object) -> object:
    """Refuse in one sentence what is neither a model's acceptance nor a rule's."""
    if value is None or value in {*RULE_ACCEPTS, CALIBRATED}:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return value
    words = ", ".join(f"`{word}`" for word in RULE_ACCEPTS)
    raise ValueError(
        f"must be a probability from 0 to 1 or `{CALIBRATED}` for a model, or {words} for a rule"
    )


class Pattern(Entry):
    """A regular expression of the team's own.

    In RE2 syntax: linear in the text, and so without look-around.
    """

    label: Label = Field(description="What a match is called; one of the task's labels.")
    pattern: str = Field(
        min_length=1, max_length=2000, description="In RE2 syntax; matched anywhere in the text."
    )
    check: str | None = Field(
        default=None,
        pattern=r"^[a-z_]+(\.[a-z_]+)*$",
        description="A python-stdnum module a match must satisfy too: `luhn`, `iban`, `us.ssn`.",
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

    tokens: int = Field(ge=1, le=32_768, description="The longest thought; counted in the cost.")


class Step(Entry):
    """One rung of a cascade: a rule or a model, and how sure it must be for its answer to stand.

    `accept` is a probability for a model, or `calibrated`: what `smallfirst calibrate` found and
    wrote beside the catalogue. For a rule it is `match` (an answer where something
    matched, else the next step is asked), `always` (no match is an answer too) or `never` (its
    spans are kept, and the next step adds its own).
    """

    rule: Rule | None = Field(default=None, description="What to look for without a model.")
    model: Name | None = Field(default=None, description="Name of one of `models`.")
    accept: Annotated[
        Probability | Literal["match", "always", "never", "calibrated"] | None,
        BeforeValidator(_is_acceptance),
    ] = Field(
        default=None,
        description=(
            "When the answer stands. A model: the probability it must reach (left out: always),"
            " or `calibrated`: as `smallfirst calibrate` promised it."
            " A rule: `match` (the default), `always`, or `never`: spans kept, next step asked."
        ),
    )
    think: Think | None = Field(
        default=None, description="Let a large model reason before it answers."
    )
    vote: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Let a large model answer so many times; the commonest answer wins, as sure as"
        " the share that gave it.",
    )
    adapter: Name | None = Field(
        default=None, description="One of the model's LoRA adapters, to answer with."
    )

    #: What `accept: calibrated` stands for; set where the catalogue is read from its file.
    _promise: StepPromise | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_tool_with_its_own_accept(self) -> "Step":
        if (self.rule is None) == (self.model is None):
            raise ValueError("a step needs either `rule` or `model`")
        if self.rule and isinstance(self.accept, float | int):
            refuse([(("accept",), "a rule accepts `match`, `always` or `never`, not a number")])
        if self.rule and self.is_calibrated:
            refuse([(("accept",), "a rule accepts `match`, `always` or `never`; no promise")])
        if self.model and self.accept in RULE_ACCEPTS:
            rule = f"a model accepts at a probability from 0 to 1, or `{CALIBRATED}`"
            refuse([(("accept",), rule)])
        if self.rule:
            of_models = (name for name in _OF_MODELS if name in self.model_fields_set)
            refuse([((name,), "a rule has none of this") for name in of_models])
        return self

    @property
    def is_calibrated(self) -> bool:
        """Whether its threshold is what calibration promised."""
        return self.accept == CALIBRATED

    @property
    def promise(self) -> StepPromise | None:
        """What calibration found out about it, where some step of its cascade goes by that."""
        return self._promise

    def with_promise(self, promise: StepPromise) -> "Step":
        """The same step, going by a promise."""
        step = self.model_copy()
        step._promise = promise  # noqa: SLF001 - of its own kind
        return step

    @property
    def threshold(self) -> float:
        """The confidence a model's answer must reach; without `accept` every answer stands.

        The highest there is, where no promise was read: then as good as nothing stands.
        """
        if self.is_calibrated:
            found = self._promise.threshold if self._promise else "never"
            return 1.0 if found == "never" else found
        return self.accept if isinstance(self.accept, float | int) else 0.0

    @property
    def rule_accepts(self) -> str:
        """When a rule's answer stands."""
        return self.accept if isinstance(self.accept, str) else "match"
