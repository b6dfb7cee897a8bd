"""`judge`: yes, no or unsure, and the words of the text that say so."""

from typing import Final, Literal, get_args

from pydantic import Field

from smallfirst.jobs import RecordAnswer
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.records import record_in_words
from smallfirst.kinds.spec import Gold, GoldError, KindSpec, LabelledText, Scoring

#: What a judge may say.
Verdict = Literal["yes", "no", "unsure"]
VERDICTS: Final[tuple[str, ...]] = get_args(Verdict)


class QuestionTask(Entry):
    """What a task with a question asks."""

    question: str | None = Field(
        default=None, min_length=1, description="The question of a `judge` task: yes, no or unsure."
    )


class JudgeExample(LabelledText):
    """An example's answer to a `judge` task."""

    verdict: Verdict | None = Field(default=None, description="The answer of a `judge` task.")
    quote: str | None = Field(
        default=None,
        description="The passage the verdict rests on, literally as it stands in the text.",
    )


def _example_problem(example: JudgeExample, _task: Entry) -> str | None:
    if example.quote is not None and example.quote not in example.text:
        return "has a quote that does not stand literally in its text"
    return None


def _said(answer: RecordAnswer) -> Gold | None:
    verdict = answer.record.get("verdict")
    return verdict if isinstance(verdict, str) else None


def _read(value: object) -> str:
    if not isinstance(value, str) or value not in VERDICTS:
        raise GoldError(f"must be one of {', '.join(VERDICTS)}")
    return value


JUDGE = KindSpec[QuestionTask, JudgeExample, RecordAnswer](
    answer=RecordAnswer,
    in_words=record_in_words,
    example_key="verdict",
    scoring=Scoring(
        measure="accuracy",
        gold=lambda example: example.verdict,
        said=_said,
        is_gold=lambda gold: isinstance(gold, str),
        read=_read,
        is_one_word=True,
    ),
    needs=("question",),
    example_problem=_example_problem,
)
