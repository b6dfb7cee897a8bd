"""The catalogue: which pools, models and tasks there are, with every rule a value must obey.

It owns meaning. Reading the YAML file, and pointing at the line that is wrong, is `catalogue_file`;
watching the file is `catalogue_watch`. Nothing here opens a model: a model's size is read from its
files by `model_files`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from smallfirst.jobs import MAX_TEXT_CHARS, Label, Name, Probability, Span, Tier
from smallfirst.sizes import Count
from smallfirst.wording import did_you_mean

#: Built-in finders of the rule tier. A finder's name is also the label of what it finds.
FINDERS: Final = ("ssn", "card", "iban", "email", "phone", "date", "ip", "url")
#: When a rule's answer stands; see `Step`.
RULE_ACCEPTS: Final = ("match", "always", "never")
#: Type of the error that carries several problems, each with its place, in its context.
PROBLEMS: Final = "catalogue_problems"

#: Where in the catalogue: keys and indexes, from the outside in.
Place = tuple[str | int, ...]

#: How a date is written in a record: ISO 8601, its month and day within bounds.
DATE_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
#: What a value of each type of a record's field is in Python, as JSON is read.
_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        "string": (str,),
        "number": (int, float),
        "integer": (int,),
        "boolean": (bool,),
        "date": (str,),
    }
)

_BUNDLED = re.compile(r"bundled:[a-z0-9][a-z0-9_\-]*")
_HUB_ID = re.compile(r"(?!.*\.\.)[0-9A-Za-z][\w.\-]{0,95}(/[0-9A-Za-z][\w.\-]{0,95})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def _is_acceptance(value: object) -> object:
    """Refuse in one sentence what is neither a model's acceptance nor a rule's."""
    if value is None or value in RULE_ACCEPTS:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return value
    words = ", ".join(f"`{word}`" for word in RULE_ACCEPTS)
    raise ValueError(f"must be a probability from 0 to 1 for a model, or {words} for a rule")


class Entry(BaseModel):
    """Base of everything in the catalogue: closed and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Kind(StrEnum):
    """What a task's answer looks like."""

    CLASSIFY = "classify"
    MULTILABEL = "multilabel"
    TAG = "tag"
    EMBED = "embed"
    EXTRACT = "extract"
    JUDGE = "judge"
    GENERATE = "generate"


#: Kinds whose answer is made of the task's labels.
LABEL_KINDS: Final = frozenset({Kind.CLASSIFY, Kind.MULTILABEL, Kind.TAG})
#: Kinds that only a model which writes can answer: no step of tier `slm` serves them.
WRITTEN_KINDS: Final = frozenset({Kind.EXTRACT, Kind.JUDGE, Kind.GENERATE})
#: Which key of an example answers a task of each kind; an `embed` task needs no answer.
ANSWER_KEYS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.CLASSIFY: "label",
        Kind.MULTILABEL: "labels",
        Kind.TAG: "spans",
        Kind.EXTRACT: "record",
        Kind.JUDGE: "verdict",
        Kind.GENERATE: "reply",
    }
)
#: What a judge may say.
Verdict = Literal["yes", "no", "unsure"]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class Pool(Entry):
    """Where models of one size run: one Celery queue, one kind of machine, a price per hour."""

    tier: Literal[Tier.SLM, Tier.LLM] = Field(description="Which class of model runs here.")
    max_parameters: Count = Field(
        description="The largest model that fits, in parameters: 50M, 8B."
    )
    price_per_hour: float = Field(
        default=0.0, ge=0.0, description="Of one worker, in the catalogue's currency."
    )
    batch_tokens: int = Field(
        default=2048,
        ge=16,
        le=1_048_576,
        description="The most tokens, padding included, in one batch.",
    )
    batch_jobs: int = Field(default=64, ge=1, le=1024, description="The most jobs in one batch.")
    batches_at_once: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many batches a worker runs side by side. One pass fills an SLM's process;"
        " vLLM interleaves the requests of several.",
    )


class Model(Entry):
    """A model and how to run it."""

    tier: Literal[Tier.SLM, Tier.LLM] = Field(
        default=Tier.SLM, description="Small (`slm`) or large (`llm`): which pools may run it."
    )
    source: str = Field(
        min_length=1,
        description=(
            "`bundled:minilm`, a local folder (./x, relative to the catalogue, or /x),"
            " or the id of a model on the hub."
        ),
    )
    revision: str | None = Field(
        default=None,
        description="Commit of the hub's repository, 40 digits; required for a hub id.",
    )
    parameters: Count | None = Field(
        default=None,
        description="Size, where the model's own files are not at hand for the router to read.",
    )
    runtime: Literal["openvino", "torch"] = Field(
        default="openvino", description="What executes the forward pass."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="`auto`: bfloat16 where the processor multiplies it in hardware, else float32.",
    )
    pooling: Literal["mean", "cls"] = Field(
        default="mean", description="How token states become one vector of the text."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=16,
        description="Longest window in tokens; the model's own limit where left out.",
    )

    @property
    def is_bundled(self) -> bool:
        """Whether the weights come in an installed Python package."""
        return self.source.startswith("bundled:")

    @property
    def is_local(self) -> bool:
        """Whether the weights are a folder on this machine."""
        return self.source.startswith(("./", "../", "/", "~")) or self.source in {".", ".."}

    @property
    def is_hub(self) -> bool:
        """Whether the weights are a repository of the hub."""
        return not self.is_bundled and not self.is_local

    @model_validator(mode="after")
    def _is_found_and_pinned(self) -> "Model":
        if self.is_bundled and not _BUNDLED.fullmatch(self.source):
            _refuse([(("source",), "a bundled model is named like `bundled:minilm`")])
        if not self.is_hub:
            return self
        if not _HUB_ID.fullmatch(self.source):
            rule = (
                "must be `bundled:…`, a folder (./x, /x), or the id of a hub's model (owner/name)"
            )
            _refuse([(("source",), rule)])
        if not _COMMIT.fullmatch(self.revision or ""):
            # A branch or a tag can move, and with it every answer and every cached head.
            rule = "a hub id needs the commit it is pinned to, 40 digits from 0 to f"
            _refuse([(("revision",), rule)])
        return self


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
        default=(), description=f"Built-in finders: {', '.join(FINDERS)}."
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
        _refuse(
            (("find", index), f"unknown finder {name!r}{did_you_mean(name, FINDERS)}")
            for index, name in enumerate(self.find)
            if name not in FINDERS
        )
        return self


class Step(Entry):
    """One rung of a cascade: a rule or a model, and how sure it must be for its answer to stand.

    `accept` is a probability for a model. For a rule it is `match` (an answer where something
    matched, else the next step is asked), `always` (no match is an answer too) or `never` (its
    spans are kept, and the next step adds its own).
    """

    rule: Rule | None = Field(default=None, description="What to look for without a model.")
    model: Name | None = Field(default=None, description="Name of one of `models`.")
    accept: Annotated[
        Probability | Literal["match", "always", "never"] | None,
        BeforeValidator(_is_acceptance),
    ] = Field(
        default=None,
        description=(
            "When the answer stands. A model: the probability it must reach (left out: always)."
            " A rule: `match` (the default), `always`, or `never`: spans kept, next step asked."
        ),
    )

    @model_validator(mode="after")
    def _one_tool_with_its_own_accept(self) -> "Step":
        if (self.rule is None) == (self.model is None):
            raise ValueError("a step needs either `rule` or `model`")
        if self.rule and isinstance(self.accept, float | int):
            _refuse([(("accept",), "a rule accepts `match`, `always` or `never`, not a number")])
        if self.model and isinstance(self.accept, str):
            _refuse([(("accept",), "a model accepts at a probability from 0 to 1")])
        return self

    @property
    def threshold(self) -> float:
        """The confidence a model's answer must reach; without `accept` every answer stands."""
        return self.accept if isinstance(self.accept, float | int) else 0.0

    @property
    def rule_accepts(self) -> str:
        """When a rule's answer stands."""
        return self.accept if isinstance(self.accept, str) else "match"


class Example(Entry):
    """A text with its right answer: the one form of examples, gold files and training data."""

    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS, description="What is asked about.")
    label: Label | None = Field(default=None, description="The answer of a `classify` task.")
    labels: tuple[Label, ...] | None = Field(
        default=None, description="The answer of a `multilabel` task; may be empty."
    )
    spans: tuple[Span, ...] | None = Field(
        default=None, description="The answer of a `tag` task, in characters; may be empty."
    )
    record: dict[FieldName, JsonValue] | None = Field(
        default=None, description="The answer of an `extract` task; null where the text says none."
    )
    verdict: Verdict | None = Field(default=None, description="The answer of a `judge` task.")
    quote: str | None = Field(
        default=None, description="What the verdict rests on, literally as it stands in the text."
    )
    reply: str | None = Field(default=None, description="The answer of a `generate` task.")
    id: str | None = Field(default=None, description="Of the job it came from, if any.")


class RecordField(Entry):
    """One field of the record that an `extract` task reads out of a text."""

    type: Literal["string", "number", "integer", "boolean", "date"] = Field(
        default="string", description="What its value is; a date is written 2026-11-23."
    )
    description: str = Field(default="", description="One line: what to look for.")
    optional: bool = Field(
        default=False, description="Whether null stands where the text has none."
    )


class Task(Entry):
    """What is asked of a text."""

    kind: Kind = Field(description="What the answer looks like.")
    description: str = Field(default="", description="One sentence: what the task is for.")
    labels: dict[Label, str] = Field(
        default_factory=dict, description="Each label with a one-line description."
    )
    fields: dict[FieldName, RecordField] = Field(
        default_factory=dict,
        description="What an `extract` task reads, in the order it is written.",
    )
    question: str | None = Field(
        default=None, min_length=1, description="What a `judge` task is asked; yes, no or unsure."
    )
    instructions: str | None = Field(
        default=None, min_length=1, description="More for a large model to heed, in plain words."
    )
    max_answer_tokens: int | None = Field(
        default=None, ge=1, le=32_768, description="The longest answer a large model may write."
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="Inline, or the path of a JSON Lines file relative to the catalogue.",
    )
    cascade: tuple[Step, ...] = Field(min_length=1, description="The steps, cheapest first.")
    max_chars: int = Field(
        default=MAX_TEXT_CHARS, ge=1, le=MAX_TEXT_CHARS, description="A longer text is refused."
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Task":
        _refuse(
            (
                *_label_problems(self),
                *_written_problems(self),
                *_rule_problems(self),
                *_example_problems(self),
            )
        )
        return self


def record_schema(fields: Mapping[str, RecordField]) -> dict[str, JsonValue]:
    """Write the JSON Schema of the record that these fields make.

    Every field is required, in the order given: one that the text does not have is null, so that
    each has a confidence of its own and none can be left out by mistake.
    """
    return {
        "type": "object",
        "properties": {name: _value_schema(field) for name, field in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _value_schema(field: RecordField) -> dict[str, JsonValue]:
    schema: dict[str, JsonValue] = {"type": field.type}
    if field.type == "date":
        schema = {"type": "string", "pattern": DATE_PATTERN}
    return {"anyOf": [schema, {"type": "null"}]} if field.optional else schema


def example_problem(example: Example, kind: Kind, labels: Mapping[str, str]) -> str | None:
    """Say what keeps an example from serving a task of this kind; None where nothing does."""
    wanted = ANSWER_KEYS.get(kind)
    if wanted is None:
        return None
    if getattr(example, wanted) is None:
        return f"needs `{wanted}`, since the task's kind is {kind}"
    if example.quote is not None and example.quote not in example.text:
        return "has a quote that does not stand literally in its text"
    unknown = sorted(set(_labels_of(example)) - set(labels))
    if unknown:
        near = did_you_mean(unknown[0], labels)
        return f"names {unknown[0]!r}, which is not one of the task's labels{near}"
    if any(span.end > len(example.text) for span in example.spans or ()):
        return "has a span that ends after its text"
    return None


def _labels_of(example: Example) -> Iterable[str]:
    yield from (example.label,) if example.label is not None else ()
    yield from example.labels or ()
    yield from (span.label for span in example.spans or ())


def _label_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.kind not in LABEL_KINDS and task.labels:
        article = "an" if task.kind in {Kind.EMBED, Kind.EXTRACT} else "a"
        yield ("labels",), f"{article} {task.kind} task has no labels"
    if task.kind in LABEL_KINDS and not task.labels:
        yield ("labels",), f"a {task.kind} task needs labels"
    elif task.kind is Kind.CLASSIFY and len(task.labels) < 2:
        yield ("labels",), "a classify task needs at least two labels"


def _written_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.kind is Kind.EXTRACT and not task.fields:
        yield ("fields",), "an extract task needs fields"
    if task.kind is not Kind.EXTRACT and task.fields:
        yield ("fields",), f"only an extract task has fields, and this one is {task.kind}"
    if task.kind is Kind.JUDGE and not task.question:
        yield ("question",), "a judge task needs a question"
    if task.kind is not Kind.JUDGE and task.question:
        yield ("question",), f"only a judge task has a question, and this one is {task.kind}"


def _rule_problems(task: Task) -> Iterator[tuple[Place, str]]:
    for index, step in enumerate(task.cascade):
        if step.rule is None:
            continue
        at: Place = ("cascade", index, "rule")
        if task.kind not in {Kind.TAG, Kind.CLASSIFY}:
            yield at, f"a rule answers `tag` and `classify` tasks, and this one is {task.kind}"
            continue
        for label in step.rule.labels:
            if label not in task.labels:
                near = did_you_mean(label, task.labels)
                yield at, f"finds {label!r}, which is not one of the task's labels{near}"


def _example_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.kind in LABEL_KINDS and not task.labels:
        return
    for index, example in enumerate(task.examples):
        problem = example_problem(example, task.kind, task.labels) or record_problem(example, task)
        if problem:
            yield ("examples", index), problem


def record_problem(example: Example, task: Task) -> str | None:
    """Say where an example's record is not one of the task's; None where it is, or none is due."""
    if task.kind is not Kind.EXTRACT or example.record is None:
        return None
    if set(example.record) != set(task.fields):
        wrong = min(set(example.record) ^ set(task.fields))
        return f"has a record whose fields are not the task's: {wrong!r}"
    for name, field in task.fields.items():
        if not fits_field(field, example.record[name]):
            return f"has a record whose {name!r} is no {field.type}"
    return None


def fits_field(field: RecordField, value: JsonValue) -> bool:
    """Whether a value may stand in a record's field."""
    if value is None:
        return field.optional
    if isinstance(value, bool) and field.type != "boolean":
        return False
    if field.type == "date" and isinstance(value, str):
        return re.fullmatch(DATE_PATTERN, value) is not None
    return isinstance(value, _PYTHON_TYPES[field.type])


class Catalogue(Entry):
    """Everything the fleet serves."""

    version: Literal[1] = Field(description="Of this format.")
    currency: str = Field(default="USD", description="Of every price in this file.")
    pools: dict[Name, Pool] = Field(
        min_length=1, description="Where models run, by name; a model goes to the smallest it fits."
    )
    models: dict[Name, Model] = Field(
        default_factory=dict, description="The models that steps name."
    )
    tasks: dict[Name, Task] = Field(
        min_length=1, description="What jobs may ask, by the name that a job gives."
    )

    @model_validator(mode="after")
    def _steps_fit_together(self) -> "Catalogue":
        _refuse((*_unknown_models(self), *_cheaper_after_dearer(self), *_beyond_slm(self)))
        return self

    def tier_of(self, step: Step) -> Tier:
        """The class of tool that a step uses."""
        return Tier.RULE if step.model is None else self.models[step.model].tier


def _unknown_models(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    for name, task in catalogue.tasks.items():
        for index, step in enumerate(task.cascade):
            if step.model is not None and step.model not in catalogue.models:
                near = did_you_mean(step.model, catalogue.models)
                rule = f"{step.model!r} is not one of `models`{near}"
                yield ("tasks", name, "cascade", index, "model"), rule


def _beyond_slm(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    for name, task in catalogue.tasks.items():
        if task.kind not in WRITTEN_KINDS:
            continue
        for index, step in enumerate(task.cascade):
            model = catalogue.models.get(step.model or "")
            if model is not None and model.tier is Tier.SLM:
                rule = f"a model of tier slm cannot write the answer of a {task.kind} task"
                yield ("tasks", name, "cascade", index, "model"), rule


def _cheaper_after_dearer(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    for name, task in catalogue.tasks.items():
        dearest = Tier.RULE
        for index, step in enumerate(task.cascade):
            if step.model is not None and step.model not in catalogue.models:
                continue
            tier = catalogue.tier_of(step)
            if tier.rank < dearest.rank:
                rule = f"a step of tier {tier} stands after one of tier {dearest}; cheapest first"
                yield ("tasks", name, "cascade", index), rule
            dearest = max(dearest, tier, key=lambda each: each.rank)


def _refuse(problems: Iterable[tuple[Place, str]]) -> None:
    """Raise all the problems at once, each with its place below the model that is validated."""
    found = tuple(problems)
    if found:
        summary = "; ".join(f"{place_text(at)}: {rule}" for at, rule in found)
        raise PydanticCustomError(PROBLEMS, "{summary}", {"summary": summary, "problems": found})


def place_text(at: Place) -> str:
    """Write a place as people do: `tasks.topic.cascade[0].accept`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return "".join(parts).removeprefix(".")


def place(parameters: int, tier: Tier, pools: Mapping[str, Pool]) -> str | None:
    """Name the smallest pool of the tier that holds a model of this size; None where none does."""
    fitting = [(pool.max_parameters, name) for name, pool in pools.items() if pool.tier is tier]
    return min(((size, name) for size, name in fitting if size >= parameters), default=(0, None))[1]
