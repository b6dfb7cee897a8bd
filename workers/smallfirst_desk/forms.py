"""Forms: how a person answers a task of each kind, and what is read of that. Pure.

Every form works without a script. What a script does besides, it writes into the same fields.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from smallfirst.answers import (
    Answer,
    AnyAnswer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    Span,
    SpansAnswer,
    TextAnswer,
)
from smallfirst.catalogue import Kind, RecordField, Task
from smallfirst.jobs import MAX_TEXT_CHARS
from smallfirst.kinds.judge import VERDICTS
from smallfirst.kinds.quotes import find_quote
from smallfirst.kinds.records import fits_field
from smallfirst.wording import did_you_mean
from smallfirst_desk.errors import FormError

#: A person's answer is taken as certain.
SURE: Final = 1.0
#: The most spans of an answer.
MAX_SPANS: Final = 2000
#: The most characters of a number.
MAX_NUMBER_CHARS: Final = 40
#: The place of a span's words, at the end of its line.
_PLACE = re.compile(r"(?:^|\s)@(\d{1,7})$")


#: What a form was filled in with: the values of each field.
Entered = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class AnswerForm:
    """How tasks of one kind are answered.

    Attributes:
        template: What shows the form.
        read: Reads what was entered for a text.
        hint: What the keys do, in a line.
    """

    template: str
    read: Callable[[Task, str, Entered], Answer]
    hint: str


def _words(entered: Entered, field: str) -> str:
    """One value as text, line breaks as Unix has them: browsers send the others."""
    values = entered.get(field, ())
    return values[0].replace("\r\n", "\n") if values else ""


def _label(task: Task, label: str) -> str:
    if label not in task.labels:
        # A foreign word is not repeated: it may be a stranger's.
        near = did_you_mean(label[:128], task.labels)
        raise FormError(f"Choose one of the task's labels{near}.")
    return label


def _read_label(task: Task, _text: str, entered: Entered) -> Answer:
    label = _words(entered, "label")
    if not label:
        raise FormError("Choose a label.")
    return LabelAnswer(label=_label(task, label), confidence=SURE)


def _read_labels(task: Task, _text: str, entered: Entered) -> Answer:
    chosen = {_label(task, value) for value in entered.get("label", ())}
    labels = tuple(label for label in task.labels if label in chosen)
    return LabelsAnswer(labels=labels, confidence=SURE)


def _read_spans(task: Task, text: str, entered: Entered) -> Answer:
    lines = [line for line in _words(entered, "spans").split("\n") if line.strip()]
    if len(lines) > MAX_SPANS:
        raise FormError(f"There may be {MAX_SPANS:,} lines at most.")
    spans: list[Span] = []
    for number, line in enumerate(lines, start=1):
        spans.append(_span(task, text, line, number, spans))
    spans.sort(key=lambda span: span.start)
    return SpansAnswer(spans=tuple(spans), confidence=SURE)


def _span(task: Task, text: str, line: str, number: int, others: Sequence[Span]) -> Span:
    """Read one line, `label: words` or `label: words @place`: the first such words that are free.

    Blanks and line breaks between words are as good as each other.
    """
    line = line.strip()
    # A label may hold a colon itself: the longest that is one of the task's wins.
    label = max((each for each in task.labels if line.startswith(f"{each}:")), key=len, default="")
    if not label:
        raise FormError(f"Line {number}: write a label of the task, a colon, and the words.")
    rest = line[len(label) + 1 :]
    place = _PLACE.search(rest)
    words = rest[: place.start() if place else None].split()
    if not words:
        raise FormError(f"Line {number}: the words are missing.")
    places = _places(text, words, int(place[1]) if place else None)
    if not places:
        where = " at that place" if place else ""
        raise FormError(f"Line {number}: these words do not stand in the text{where}.")
    taken = [(span.start, span.end) for span in others]
    free = next((p for p in places if all(p[1] <= s or e <= p[0] for s, e in taken)), None)
    if free is None:
        raise FormError(f"Line {number}: another line has these words already.")
    return Span(start=free[0], end=free[1], label=label, confidence=SURE)


def _places(text: str, words: Sequence[str], at: int | None) -> list[tuple[int, int]]:
    """Where words stand in a text, one after the other; or whether they do at a certain place."""
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    found = pattern.finditer(text) if at is None else filter(None, (pattern.match(text, at),))
    return [match.span() for match in found]


def _read_record(task: Task, _text: str, entered: Entered) -> Answer:
    record = {
        name: _value(name, field, _words(entered, f"field.{name}"))
        for name, field in task.fields.items()
    }
    return RecordAnswer(record=record, confidence=SURE)


def _value(name: str, field: RecordField, written: str) -> JsonValue:
    """Read one field of a record; an empty one is not there, where that may be."""
    stripped = written.strip()
    if not stripped:
        if field.optional:
            return None
        raise FormError(f"{name}: is required.")
    value = _typed(field, stripped)
    if value is None or not fits_field(field, value):
        raise FormError(f"{name}: must be {_FORMS_OF_VALUES[field.type]}.")
    return value


def _typed(field: RecordField, written: str) -> JsonValue:
    # Python reads more as a number than people write: 1_0, or five thousand digits.
    is_number = field.type in {"integer", "number"}
    if is_number and ("_" in written or len(written) > MAX_NUMBER_CHARS):
        return None
    try:
        if field.type == "integer":
            return int(written)
        if field.type == "number":
            number = float(written)
            return number if abs(number) < float("inf") else None
    except ValueError:
        return None
    if field.type == "boolean":
        return {"yes": True, "no": False}.get(written)
    return written


_FORMS_OF_VALUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": "text",
        "number": "a number, such as 12.50",
        "integer": "a whole number",
        "boolean": "yes or no",
        "date": "a date such as 2026-11-23",
    }
)


def _read_verdict(_task: Task, text: str, entered: Entered) -> Answer:
    verdict, quote = _words(entered, "verdict"), _words(entered, "quote").strip()
    if verdict not in VERDICTS:
        raise FormError("Choose yes, no or unsure.")
    found = find_quote(quote, text) if quote else ""
    if found is None:
        raise FormError("The quote does not stand in the text, or is too short to be one.")
    return RecordAnswer(record={"verdict": verdict, "quote": found}, confidence=SURE)


def _read_text(_task: Task, _text: str, entered: Entered) -> Answer:
    text = _words(entered, "text").strip()
    if not text:
        raise FormError("Write an answer.")
    if len(text) > MAX_TEXT_CHARS:
        raise FormError(f"The answer has more than {MAX_TEXT_CHARS:,} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FormError("The answer holds characters that are no text.") from None
    return TextAnswer(text=text, confidence=SURE)


FORMS: Final[Mapping[Kind, AnswerForm]] = MappingProxyType(
    {
        Kind.CLASSIFY: AnswerForm(
            "answer_label.html.j2", _read_label, "1-9 answers; Enter takes what is suggested"
        ),
        Kind.MULTILABEL: AnswerForm(
            "answer_labels.html.j2", _read_labels, "1-9 turns a label on and off; Enter answers"
        ),
        Kind.TAG: AnswerForm(
            "answer_spans.html.j2",
            _read_spans,
            "arrows choose words, 1-9 labels them, Delete removes; Enter answers",
        ),
        Kind.EXTRACT: AnswerForm(
            "answer_record.html.j2", _read_record, "Tab moves between fields; Enter answers"
        ),
        Kind.JUDGE: AnswerForm(
            "answer_verdict.html.j2", _read_verdict, "1 yes, 2 no, 3 unsure; q goes to the quote"
        ),
        Kind.GENERATE: AnswerForm(
            "answer_text.html.j2", _read_text, "Escape leaves the text; then Enter answers"
        ),
    }
)


def read_answer(task: Task, text: str, entered: Entered) -> Answer:
    """Read what a person entered.

    Raises:
        FormError: When it is no answer of the task.
    """
    return FORMS[task.kind].read(task, text, entered)


def lines_of(text: str, spans: Sequence[Span]) -> str:
    """Write spans as the form has them, a line each, with their places."""
    lines = (
        f"{span.label}: {' '.join(text[span.start : span.end].split())} @{span.start}"
        for span in spans
        if text[span.start : span.end].strip()
    )
    return "\n".join(lines)


def suggestion_of(answer: AnyAnswer | None, task: Task) -> AnyAnswer | None:
    """What the form is filled in with before: a machine's answer, where it is of the kind."""
    forms: Mapping[Kind, type] = {
        Kind.CLASSIFY: LabelAnswer,
        Kind.MULTILABEL: LabelsAnswer,
        Kind.TAG: SpansAnswer,
        Kind.EXTRACT: RecordAnswer,
        Kind.JUDGE: RecordAnswer,
        Kind.GENERATE: TextAnswer,
    }
    return answer if isinstance(answer, forms[task.kind]) else None
