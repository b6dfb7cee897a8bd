"""`judge` for a large model: a verdict, and a quote that has to stand in the text."""

from collections import Counter
from collections.abc import Sequence

from smallfirst.answers import rounded
from smallfirst.catalogue import Example, Task
from smallfirst.jobs import RecordAnswer
from smallfirst.kinds.judge import VERDICTS
from smallfirst_workers.prompting.completions import Completion, InvalidAnswer, parsed_object
from smallfirst_workers.prompting.fences import unescape
from smallfirst_workers.prompting.written_kind import (
    JsonSchema,
    WrittenKind,
    as_json,
    closed_object,
)


def _schema(_task: Task) -> JsonSchema:
    verdicts: JsonSchema = {"type": "string", "enum": list(VERDICTS)}
    return closed_object({"verdict": verdicts, "quote": {"type": "string"}})


def _write(_task: Task, example: Example) -> str | None:
    if example.verdict is None:
        return None
    return as_json({"verdict": example.verdict, "quote": example.quote or ""})


def _read(_task: Task, text: str, writing: Completion) -> RecordAnswer:
    """A verdict as sure as its word; not sure at all without a quote that stands in the text."""
    record, places = parsed_object(writing)
    verdict, quote = record.get("verdict"), record.get("quote")
    if len(record) != 2 or verdict not in VERDICTS or not isinstance(quote, str):
        raise InvalidAnswer("the model's verdict is not of the form that was asked for")
    quote = unescape(quote)
    stands = verdict != "unsure" and bool(quote.strip()) and quote in text
    confidence = writing.probability(*places["verdict"]) if stands else 0.0
    return RecordAnswer(record={"verdict": verdict, "quote": quote}, confidence=rounded(confidence))


def _vote(records: Sequence[RecordAnswer], num_asked: int) -> RecordAnswer:
    """Count verdicts, whatever they quote; those without their quote do not get sure by numbers."""
    winner = Counter(str(answer.record["verdict"]) for answer in records).most_common(1)[0][0]
    votes = [answer for answer in records if answer.record["verdict"] == winner]
    resting = sum(answer.confidence > 0 for answer in votes)
    surest = max(votes, key=lambda answer: answer.confidence)
    return surest.model_copy(update={"confidence": rounded(resting / num_asked)})


WRITTEN = WrittenKind(
    order=(
        'Answer the question about the text with a JSON object: "verdict" is yes, no or unsure,'
        ' "quote" is copied literally from the text.'
    ),
    cue="Verdict?",
    max_tokens=256,
    write=_write,
    read=_read,
    vote=_vote,
    schema=_schema,
)
