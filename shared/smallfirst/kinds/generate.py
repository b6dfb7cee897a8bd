"""`generate`: free text."""

from pydantic import Field

from smallfirst.jobs import TextAnswer
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.spec import KindSpec, LabelledText, surely


class GenerateExample(LabelledText):
    """An example's answer to a `generate` task."""

    reply: str | None = Field(default=None, description="The answer of a `generate` task.")


GENERATE = KindSpec[Entry, GenerateExample, TextAnswer](
    answer=TextAnswer,
    in_words=lambda answer: surely(answer.text, answer.confidence),
    example_key="reply",
    unscored="free text is not right or wrong by comparison with another text",
)
