"""`generate`: free text."""

from pydantic import Field

from smallfirst.answers import TextAnswer, rounded
from smallfirst.kinds.completions import Completion, InvalidAnswer
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.spec import KindSpec, LabelledText, Prompting, surely
from smallfirst.kinds.votes import middle_text


class GenerateExample(LabelledText):
    """An example's answer to a `generate` task."""

    reply: str | None = Field(default=None, description="The answer of a `generate` task.")


def _in_words(answer: TextAnswer) -> str:
    return surely(f"{answer.text} (cut off)" if answer.cut else answer.text, answer.confidence)


def _read_answer(_task: Entry, _text: str, writing: Completion) -> TextAnswer:
    # Half a character, which JSON can carry and the wire cannot, becomes a question mark.
    text = writing.text.encode(errors="replace").decode().strip()
    if not text:
        raise InvalidAnswer("the model wrote nothing")
    return TextAnswer(
        text=text, confidence=rounded(writing.mean_probability), cut=not writing.is_whole
    )


GENERATE = KindSpec[Entry, GenerateExample, TextAnswer](
    answer=TextAnswer,
    in_words=_in_words,
    example_key="reply",
    unscored="free text is not right or wrong by comparison with another text",
    prompting=Prompting(
        order="Read the text and write the answer to it, and nothing else.",
        cue="Answer?",
        max_tokens=256,
        write=lambda _task, example: example.reply,
        read=_read_answer,
        vote=middle_text,
        is_json=False,
        may_be_cut=True,
    ),
)
