"""`judge`: yes, no or unsure, and the words of the text that say so."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal, get_args

from pydantic import Field, JsonValue

from smallfirst.answers import RecordAnswer, rounded
from smallfirst.kinds.completions import Completion, InvalidAnswer, as_json, parsed_object
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.fences import unescape
from smallfirst.kinds.quotes import find_quote
from smallfirst.kinds.records import record_in_words
from smallfirst.kinds.schemas import JsonSchema, closed_object
from smallfirst.kinds.spec import Gold, GoldError, KindSpec, LabelledText, Prompting, Scoring

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


def _read_gold(value: object) -> str:
    if not isinstance(value, str) or value not in VERDICTS:
        raise GoldError(f"must be one of {', '.join(VERDICTS)}")
    return value


def described_question(task: QuestionTask) -> list[str]:
    """Tell a large model what is asked."""
    return [f"Question: {task.question}"]


def _schema(_task: Entry) -> JsonSchema:
    verdicts: JsonSchema = {"type": "string", "enum": list(VERDICTS)}
    return closed_object({"verdict": verdicts, "quote": {"type": "string"}})


def _write(_task: Entry, example: JudgeExample) -> str | None:
    if example.verdict is None:
        return None
    return as_json({"verdict": example.verdict, "quote": example.quote or ""})


def _read_answer(_task: Entry, text: str, writing: Completion) -> RecordAnswer:
    """A verdict as sure as its word; not sure at all without a quote that stands in the text.

    The answer carries the text's own stretch, where there is one.
    """
    record, places = parsed_object(writing)
    verdict, quote = record.get("verdict"), record.get("quote")
    if len(record) != 2 or verdict not in VERDICTS or not isinstance(quote, str):
        raise InvalidAnswer("the model's verdict is not of the form that was asked for")
    quote = unescape(quote)
    found = find_quote(quote, text)
    stands = verdict != "unsure" and found is not None
    confidence = writing.probability(*places["verdict"]) if stands else 0.0
    said: dict[str, JsonValue] = {"verdict": verdict, "quote": quote if found is None else found}
    return RecordAnswer(record=said, confidence=rounded(confidence))


def _vote(records: Sequence[RecordAnswer], num_asked: int) -> RecordAnswer:
    """Count verdicts, whatever they quote; those without their quote do not get sure by numbers."""
    winner = Counter(str(answer.record["verdict"]) for answer in records).most_common(1)[0][0]
    votes = [answer for answer in records if answer.record["verdict"] == winner]
    resting = sum(answer.confidence > 0 for answer in votes)
    surest = max(votes, key=lambda answer: answer.confidence)
    return surest.model_copy(update={"confidence": rounded(resting / num_asked)})


JUDGE = KindSpec[QuestionTask, JudgeExample, RecordAnswer](
    answer=RecordAnswer,
    in_words=record_in_words,
    example_key="verdict",
    scoring=Scoring(
        measure="accuracy",
        gold=lambda example: example.verdict,
        said=_said,
        is_gold=lambda gold: isinstance(gold, str),
        read=_read_gold,
        is_one_word=True,
    ),
    prompting=Prompting(
        order=(
            'Answer the question about the text with a JSON object: "verdict" is yes, no or unsure,'
            ' "quote" is copied literally from the text.'
        ),
        cue="Verdict?",
        max_tokens=256,
        write=_write,
        read=_read_answer,
        vote=_vote,
        describe=described_question,
        schema=_schema,
    ),
    needs=("question",),
    example_problem=_example_problem,
)
