"""The forms that an answer may have on the wire, one for each kind."""

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smallfirst.wire import MAX_VALUE_CHARS, OpenEnum, OrNewer, Wire

Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Stretch(Wire):
    """A stretch of the text: `text[start:end]`, in characters (Unicode code points)."""

    start: int = Field(
        ge=0, description="The first character's place, in Unicode code points from 0."
    )
    end: int = Field(gt=0, description="The place behind the last character, in code points.")
    start_utf16: int | None = Field(
        default=None,
        ge=0,
        description="`start` in UTF-16 code units, as JavaScript, Java and C# count; left out where"
        " the text has no character beyond U+FFFF, since both are the same then.",
    )
    end_utf16: int | None = Field(
        default=None, gt=0, description="`end` in UTF-16 code units, likewise."
    )


class Span(Stretch):
    """A labelled stretch of the text: `text[start:end]`, in characters (Unicode code points)."""

    label: Label
    confidence: Probability = 1.0

    @model_validator(mode="after")
    def _not_empty(self) -> "Span":
        if self.end <= self.start:
            raise ValueError("end must be greater than start")
        return self


class Evidence(Stretch):
    """A stretch of the text and how much it spoke for the answer."""

    weight: float = Field(
        description="The weight in logits: positive for the label, negative against it."
        " 1 where a rule found it."
    )
    rule: str | None = Field(
        default=None,
        description="The part of a rule that found it: `find.NAME`, or `patterns.NUMBER` from 0.",
    )


class ExplanationMethod(OpenEnum):
    """How it was found out which words drove an answer."""

    WEIGHTS = "weights"
    STATES = "states"
    OCCLUSION = "occlusion"
    MATCHES = "matches"


class LikeExample(Wire):
    """One of the task's examples that a text is like, or of the rows that made its model."""

    number: int = Field(
        ge=1,
        description="The number of the example among the task's, from 1; of a model that"
        " `smallfirst train` made, the line of its file.",
    )
    labels: tuple[Label, ...] = Field(
        description="The labels of the example: of more than five the first ones."
    )
    key: str | None = Field(
        default=None,
        max_length=64,
        description="The first 16 hexadecimal digits of a SHA-256 of the example's words, by which"
        " whoever has its text finds it: as in `trained_on.txt`.",
    )
    likeness: float = Field(
        ge=0.0,
        le=1.0,
        description="The cosine of both texts: of their features, or of what an encoder makes of"
        " them.",
    )


class Explanation(Wire):
    """How the evidence was found, and what of the label's score it does not show."""

    method: Annotated[ExplanationMethod, Field(strict=False), OrNewer()] = Field(
        description="The way in which words were weighed: `weights` are those of a linear model's"
        " own sum, and exact; `states` share out a head's exact sum over the tokens in their"
        " context; `occlusion` measures how much the score falls without the words; `matches` are"
        " what a rule found."
    )
    label: Label = Field(description="The label that the weights speak for or against.")
    score: float | None = Field(
        default=None,
        description="The label's score in logits, before any temperature: over the mean of all"
        " labels, where a sum is shared out; its log-odds, where words were left out or each label"
        " is judged for itself. None for a rule.",
    )
    bias: float | None = Field(
        default=None,
        description="The score that the label has before a word is read. The weights, `bias` and"
        " `rest` add up to `score`; only where a sum is shared out.",
    )
    rest: float | None = Field(
        default=None, description="The part of the sum that is in nothing that the evidence names."
    )
    alike: tuple[LikeExample, ...] = Field(
        default=(),
        description="The three of the examples that the model learned from that the text is most"
        " like, first the most alike; of linear models and heads.",
    )


class LabelAnswer(Wire):
    """One label of the task's, with the probabilities of the likeliest."""

    kind: Literal["label"] = "label"
    label: Label
    confidence: Probability
    distribution: dict[str, Probability] = Field(
        default_factory=dict,
        description="The probabilities of the 5 likeliest labels, or of all where the job asks for"
        " the whole distribution.",
    )
    rest: Probability = Field(
        default=0.0,
        description="The probability of all labels together that `distribution` leaves out.",
    )
    foreign: Probability | None = Field(
        default=None,
        description="The share of the task's examples that are nearer to another example than the"
        " text is to any; only where the step has `foreign`.",
    )
    evidence: tuple[Evidence, ...] = ()
    explanation: Explanation | None = None


class LabelsAnswer(Wire):
    """Any number of the task's labels, each judged for itself."""

    kind: Literal["labels"] = "labels"
    labels: tuple[Label, ...]
    confidence: Probability = Field(
        description="The confidence of the least sure of all the yes-or-no decisions."
    )
    distribution: dict[str, Probability] = Field(
        default_factory=dict,
        description="The labels' own probabilities: of the 5 likeliest labels and of all that are"
        " answered, or of all where the job asks for the whole distribution.",
    )
    evidence: tuple[Evidence, ...] = ()
    explanation: Explanation | None = None


class SpansAnswer(Wire):
    """Labelled stretches of the text, in order of their start, none overlapping another."""

    kind: Literal["spans"] = "spans"
    spans: tuple[Span, ...]
    confidence: Probability
    evidence: tuple[Evidence, ...] = ()


class VectorAnswer(Wire):
    """An embedding of length 1, so that a dot product is a cosine."""

    kind: Literal["vector"] = "vector"
    vector: tuple[float, ...]
    confidence: Probability = 1.0


class TextAnswer(Wire):
    """Free text."""

    kind: Literal["text"] = "text"
    text: str
    confidence: Probability
    cut: bool = Field(
        default=False,
        description="Whether the text ran into its bound, and may break off in mid-sentence.",
    )


class RecordAnswer(Wire):
    """Fields as the task's JSON schema asks for them."""

    kind: Literal["record"] = "record"
    record: dict[str, JsonValue]
    confidence: Probability


Answer = Annotated[
    LabelAnswer | LabelsAnswer | SpansAnswer | VectorAnswer | TextAnswer | RecordAnswer,
    Field(discriminator="kind"),
]
#: The kinds of answer that this version knows.
KNOWN_KINDS = frozenset(
    model.model_fields["kind"].default for model in get_args(get_args(Answer)[0])
)


def _probability_or_0(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return float(value) if 0.0 <= value <= 1.0 else 0.0


class UnknownAnswer(Wire):
    """An answer of a kind that only a newer version knows. It is written as it was read."""

    kind: Annotated[str, Field(min_length=1, max_length=MAX_VALUE_CHARS)]
    confidence: Probability = Field(default=0.0, description="Its confidence; 0 if it has none.")
    fields: dict[str, JsonValue] = Field(
        description="Every field as it stands in the JSON, the kind among them."
    )

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, found: Any, info: ValidationInfo) -> Any:
        """Take the fields together, but for those of a kind that has a form of its own."""
        if info.mode != "json" or not isinstance(found, dict):
            return found
        if found.get("kind") in KNOWN_KINDS:
            raise ValueError("is of a kind that has a form of its own")
        return {
            "kind": found.get("kind"),
            "confidence": _probability_or_0(found.get("confidence")),
            "fields": found,
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Publish it as it stands in JSON: any object that tells its kind."""
        published = super().__get_pydantic_json_schema__(schema, handler)
        kind = {"type": "string", "description": "A kind that stands in no earlier schema."}
        handler.resolve_ref_schema(published).update(
            title=cls.__name__,
            description=cls.__doc__,
            type="object",
            properties={"kind": kind},
            required=["kind"],
        )
        return published

    @model_serializer
    def _as_read(self) -> dict[str, Any]:
        return {**self.fields, "kind": self.kind}


#: An answer as a reader meets it.
AnyAnswer = Annotated[Answer | UnknownAnswer, Field(union_mode="left_to_right")]
