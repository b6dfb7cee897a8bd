"""What a large model wrote, as an answer of the contract: parsed, checked, never executed. Pure.

Everything here is data from outside. What does not fit is a `Problem`, with the reason and without
a word of what was written.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from smallfirst.catalogue import Kind, Task, fits_field
from smallfirst.jobs import (
    Answer,
    LabelsAnswer,
    Problem,
    RecordAnswer,
    Span,
    SpansAnswer,
    TextAnswer,
)
from smallfirst_workers.problems import INVALID
from smallfirst_workers.prompting.prompts import unescape
from smallfirst_workers.prompting.votes import vote

_DECODER: Final = json.JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
VERDICTS: Final = ("yes", "no", "unsure")


@dataclass(frozen=True)
class Completion:
    """One thing a model wrote.

    Attributes:
        text: All of it.
        pieces: Of the text, one a token, in order.
        logprobs: Natural, of each token.
        is_whole: Whether the model ended it; else it ran into its bound.
    """

    text: str
    pieces: tuple[str, ...]
    logprobs: tuple[float, ...]
    is_whole: bool

    @property
    def mean_probability(self) -> float:
        """Geometric mean of the tokens' probabilities."""
        return math.exp(sum(self.logprobs) / len(self.logprobs)) if self.logprobs else 0.0

    def probability(self, start: int, end: int) -> float:
        """How likely the tokens were that touch `text[start:end]`, all together."""
        total, place = 0.0, 0
        for piece, logprob in zip(self.pieces, self.logprobs, strict=True):
            if place < end and place + len(piece) > start:
                total += logprob
            place += len(piece)
        return min(1.0, math.exp(total))


class InvalidAnswer(ValueError):
    """Raised when a writing is no answer of its task; its message says why, and quotes nothing."""


def read_writings(task: Task, text: str, writings: Sequence[Completion]) -> Answer | Problem:
    """Read one or several answers to the same question; several vote."""
    answers, reasons = [], []
    for writing in writings:
        try:
            answers.append(read_writing(task, text, writing))
        except InvalidAnswer as err:
            reasons.append(str(err))
    if not answers:
        return Problem(code=INVALID, message=reasons[0])
    return answers[0] if len(writings) == 1 else vote(task.kind, answers, num_asked=len(writings))


def read_writing(task: Task, text: str, writing: Completion) -> Answer:
    """Read one answer.

    Raises:
        Unfit: When it is none, though its form was constrained: cut off, or untrue to the text.
    """
    if task.kind is Kind.GENERATE:
        return _read_text(writing)
    if not writing.is_whole:
        raise InvalidAnswer("the model's answer was longer than it may be")
    if task.kind is Kind.EXTRACT:
        return _read_record(task, writing)
    if task.kind is Kind.JUDGE:
        return _read_verdict(text, writing)
    if task.kind is Kind.MULTILABEL:
        return _read_labels(task, writing)
    return _read_spans(task, text, writing)


def places_of_values(text: str) -> dict[str, tuple[int, int]]:
    """Find where each value of a JSON object, one that can be read, stands in its text."""
    places: dict[str, tuple[int, int]] = {}
    place = _skip(text, 0, "{")
    while not text.startswith("}", place):
        name, place = _DECODER.raw_decode(text, place)
        start = _skip(text, place, ":")
        _, end = _DECODER.raw_decode(text, start)
        places[name] = (start, end)
        place = _skip(text, end, "")
        place = _skip(text, place, ",") if text.startswith(",", place) else place
    return places


def _skip(text: str, place: int, wanted: str) -> int:
    """Step over blanks, then what is wanted, then blanks."""
    place = _past_blanks(text, place)
    if not text.startswith(wanted, place):
        raise ValueError(f"expected {wanted!r}")
    return _past_blanks(text, place + len(wanted))


def _past_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def _parsed(writing: Completion) -> JsonValue:
    """Read JSON as the wire has it: no NaN, no infinity, no half a character, no key twice."""
    try:
        found: JsonValue = json.loads(writing.text, object_pairs_hook=_without_repeats)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise InvalidAnswer("the model's answer is not the JSON that was asked for") from None
    return found


def _without_repeats(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _object(writing: Completion) -> tuple[dict[str, JsonValue], dict[str, tuple[int, int]]]:
    found = _parsed(writing)
    if not isinstance(found, dict):
        raise InvalidAnswer("the model's answer is no JSON object")
    return found, places_of_values(writing.text)


def _list(writing: Completion) -> list[JsonValue]:
    found = _parsed(writing)
    if not isinstance(found, list):
        raise InvalidAnswer("the model's answer is no JSON list")
    return found


def _read_record(task: Task, writing: Completion) -> RecordAnswer:
    """A record as sure as its weakest field, whose probability is that of its value's tokens."""
    record, places = _object(writing)
    if set(record) != set(task.fields):
        raise InvalidAnswer("the model's record has other fields than the task's")
    for name, field in task.fields.items():
        if not fits_field(field, record[name]):
            raise InvalidAnswer(f"the model's {name!r} is no {field.type}")
    weakest = min(writing.probability(*places[name]) for name in task.fields)
    return RecordAnswer(record=record, confidence=_rounded(weakest))


def _read_verdict(text: str, writing: Completion) -> RecordAnswer:
    """A verdict as sure as its word; not sure at all without a quote that stands in the text."""
    record, places = _object(writing)
    verdict, quote = record.get("verdict"), record.get("quote")
    if len(record) != 2 or verdict not in VERDICTS or not isinstance(quote, str):
        raise InvalidAnswer("the model's verdict is not of the form that was asked for")
    quote = unescape(quote)
    stands = verdict != "unsure" and bool(quote.strip()) and quote in text
    confidence = writing.probability(*places["verdict"]) if stands else 0.0
    return RecordAnswer(
        record={"verdict": verdict, "quote": quote}, confidence=_rounded(confidence)
    )


def _read_labels(task: Task, writing: Completion) -> LabelsAnswer:
    found = _list(writing)
    labels = tuple(dict.fromkeys(label for label in found if isinstance(label, str)))
    if len(labels) != len(found) or not set(labels) <= set(task.labels):
        raise InvalidAnswer("the model's labels are not the task's")
    return LabelsAnswer(labels=labels, confidence=_rounded(writing.mean_probability))


def _read_spans(task: Task, text: str, writing: Completion) -> SpansAnswer:
    """Spans, each where its words first stand in the text after the span before."""
    spans: list[Span] = []
    for item in _list(writing):
        found = item if isinstance(item, Mapping) else {}
        words, label = found.get("text"), found.get("label")
        if not isinstance(words, str) or not isinstance(label, str) or len(found) != 2:
            raise InvalidAnswer("the model's spans are not of the form that was asked for")
        if not words or label not in task.labels:
            raise InvalidAnswer("the model's spans are of no words, or of no label of the task's")
        words = unescape(words)
        start = text.find(words, spans[-1].end if spans else 0)
        if start < 0:
            raise InvalidAnswer("the model found words that do not stand in the text")
        spans.append(Span(start=start, end=start + len(words), label=label))
    return SpansAnswer(spans=tuple(spans), confidence=_rounded(writing.mean_probability))


def _read_text(writing: Completion) -> TextAnswer:
    # Half a character, which JSON can carry and the wire cannot, becomes a question mark.
    text = writing.text.encode(errors="replace").decode().strip()
    if not text:
        raise InvalidAnswer("the model wrote nothing")
    return TextAnswer(text=text, confidence=_rounded(writing.mean_probability))


def _rounded(probability: float) -> float:
    return round(min(1.0, max(0.0, probability)), 6)
