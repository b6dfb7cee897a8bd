"""Pages: what a job's page shows, worked out before it is written as HTML. Pure."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from smallfirst import results
from smallfirst.answers import (
    AnyAnswer,
    Evidence,
    LabelAnswer,
    LabelsAnswer,
    LikeExample,
    RecordAnswer,
    Span,
    SpansAnswer,
    TextAnswer,
    VectorAnswer,
    merge_spans,
    spans_of,
    with_spans,
)
from smallfirst.catalogue import Kind, Task
from smallfirst.jobs import Attempt, Outcome
from smallfirst.kinds import KINDS, in_words
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.review import TaskLoad, Waiting
from smallfirst_desk.forms import FORMS, lines_of, suggestion_of

#: Colours of labels: a task of more labels uses them again.
NUM_COLOURS: Final = 8
#: Keys that choose a label.
NUM_KEYS: Final = 9
#: Shades of the words that drove an answer.
NUM_SHADES: Final = 4
#: Characters of a row that a text is like.
_CHARS_OF_ROW: Final = 300
#: Gets the key of a row; gives its text, or nothing where it is not here.
RowText = Callable[[str | None], str]
#: What became of an attempt, in a reviewer's words.
_OUTCOMES: Final[Mapping[str, str]] = {
    Outcome.ACCEPTED: "sure enough",
    Outcome.ESCALATED: "not sure enough",
    Outcome.ABSTAINED: "not sure enough",
    Outcome.FAILED: "failed",
}


@dataclass(frozen=True)
class Stretch:
    """A stretch of the text that is shown in one way.

    Attributes:
        text: Its words.
        start: Its place in the text, in code points.
        label: Of the span that it is in.
        colour: Of that label, from 0.
        shade: How much it drove the answer, from 1 to `NUM_SHADES`; negative where against it.
    """

    text: str
    start: int
    label: str = ""
    colour: int = 0
    shade: int = 0


@dataclass(frozen=True)
class Choice:
    """One label to choose.

    Attributes:
        label: Its name.
        description: What it means.
        key: The digit that chooses it; empty beyond `NUM_KEYS`.
        colour: From 0.
        is_suggested: Whether a machine gave it.
        share: How sure the machines' surest step was of it, in per cent; None where it did not say.
    """

    label: str
    description: str
    key: str
    colour: int
    is_suggested: bool
    share: int | None


@dataclass(frozen=True)
class StepSaid:
    """What one step said.

    Attributes:
        name: Of the model.
        tier: Of the step.
        said: Its answer in words; empty where it gave none.
        confidence: In per cent.
        threshold: That it had to reach, in per cent.
        outcome: In words.
        reason: Why it failed or was passed over.
        seconds: What it took, in words.
    """

    name: str
    tier: str
    said: str
    confidence: str
    threshold: str
    outcome: str
    reason: str
    seconds: str


@dataclass(frozen=True)
class LikeRow:
    """A row that the suggesting model learned from and that the job's text is like.

    Attributes:
        number: Of the row.
        labels: Its right answer, in words.
        likeness: In per cent.
        text: Its beginning; empty where the task's examples do not hold it.
        is_cut: Whether more of the text is left out.
    """

    number: int
    labels: str
    likeness: int
    text: str
    is_cut: bool


def stretches_of(
    text: str, spans: Sequence[Span], evidence: Sequence[Evidence], labels: Sequence[str]
) -> list[Stretch]:
    """Cut a text where anything begins or ends that is shown.

    Args:
        text: The job's.
        spans: None overlapping another.
        evidence: What drove the answer; may overlap.
        labels: Of the task, in order, by which they are coloured.
    """
    marks = [mark for mark in (*spans, *evidence) if mark.end <= len(text)]
    cuts = sorted({0, len(text), *(mark.start for mark in marks), *(mark.end for mark in marks)})
    heaviest = max((abs(each.weight) for each in evidence), default=0.0)
    # What begins and ends at each place: a long text may have thousands of marks.
    changes: defaultdict[int, float] = defaultdict(float)
    for each in evidence:
        changes[each.start] += each.weight
        changes[each.end] -= each.weight
    waiting = deque(sorted(spans, key=lambda span: span.start))
    found, weight = [], 0.0
    for start, end in pairwise(cuts):
        while waiting and waiting[0].end <= start:
            waiting.popleft()
        span = waiting[0] if waiting and waiting[0].start <= start else None
        weight += changes[start]
        found.append(
            Stretch(
                text=text[start:end],
                start=start,
                label=span.label if span else "",
                colour=colour_of(span.label, labels) if span else 0,
                shade=_shade(weight, heaviest),
            )
        )
    return found


def _shade(weight: float, heaviest: float) -> int:
    if not heaviest or abs(weight) < heaviest / 20:
        return 0
    shade = min(NUM_SHADES, max(1, round(abs(weight) / heaviest * NUM_SHADES)))
    return shade if weight > 0 else -shade


def colour_of(label: str, labels: Sequence[str]) -> int:
    """The colour of a label: by its place among the task's."""
    return labels.index(label) % NUM_COLOURS if label in labels else 0


def suggested(held: HeldJob, task: Task) -> AnyAnswer | None:
    """The surest answer of a machine, with the spans that earlier steps were sure of."""
    trail = held.slip.trail
    place = results.surest(trail)
    answer = None if place is None else trail[place].answer
    kept = held.slip.kept_spans
    if answer is not None and kept:
        answer = with_spans(answer, merge_spans(kept, spans_of(answer)))
    return suggestion_of(answer, task)


def choices_of(task: Task, answer: AnyAnswer | None) -> list[Choice]:
    """The labels of a task, always in the catalogue's order: who answers by key relies on it."""
    chosen = _chosen(answer)
    distribution: Mapping[str, float] = getattr(answer, "distribution", {})
    return [
        Choice(
            label=label,
            description=described,
            key=str(number + 1) if number < NUM_KEYS else "",
            colour=number % NUM_COLOURS,
            is_suggested=label in chosen,
            share=round(distribution[label] * 100) if label in distribution else None,
        )
        for number, (label, described) in enumerate(task.labels.items())
    ]


def _chosen(answer: AnyAnswer | None) -> frozenset[str]:
    if isinstance(answer, LabelAnswer):
        return frozenset({answer.label})
    return frozenset(answer.labels) if isinstance(answer, LabelsAnswer) else frozenset()


def rows_alike(answer: AnyAnswer | None, row_text: RowText) -> list[LikeRow]:
    """The rows that a text is like, with their texts where these are here."""
    explanation = getattr(answer, "explanation", None)
    found = explanation.alike if explanation else ()
    return [_row_alike(each, row_text(each.key)) for each in found]


def _row_alike(like: LikeExample, text: str) -> LikeRow:
    return LikeRow(
        number=like.number,
        labels=", ".join(like.labels) or "none of the labels",
        likeness=round(like.likeness * 100),
        text=text[:_CHARS_OF_ROW],
        is_cut=len(text) > _CHARS_OF_ROW,
    )


def steps_said(trail: Sequence[Attempt], text: str) -> list[StepSaid]:
    """What each step said, in order."""
    return [
        StepSaid(
            name=attempt.model,
            tier=str(attempt.tier),
            said=_said(attempt.answer, text),
            confidence=_percent(attempt.confidence),
            threshold=_percent(attempt.threshold),
            outcome=_outcome_of(attempt),
            reason=attempt.reason or "",
            seconds=took_in_words(attempt.seconds),
        )
        for attempt in trail
    ]


def _outcome_of(attempt: Attempt) -> str:
    """What became of it; a rule that matched nowhere was not unsure, it found nothing."""
    if attempt.outcome is Outcome.ESCALATED and attempt.answer is None and not attempt.reason:
        return "found nothing"
    return _OUTCOMES.get(attempt.outcome, str(attempt.outcome))


def took_in_words(seconds: float) -> str:
    """What a step took: `under 1 ms`, `23 ms`, `1.4 s`."""
    if seconds < 0.001:
        return "under 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"


def _said(answer: AnyAnswer | None, text: str) -> str:
    """An answer for people who see how sure it is beside it."""
    if answer is None:
        return ""
    if isinstance(answer, SpansAnswer):
        words = (f"{each.label}: {text[each.start : each.end]}" for each in answer.spans)
        return "; ".join(words) or "nothing found"
    write = _IN_PLAIN_WORDS.get(type(answer), in_words)
    return write(answer)


#: How an answer is written by its form.
_IN_PLAIN_WORDS: Final[Mapping[type, Callable[[Any], str]]] = {
    LabelAnswer: lambda answer: answer.label,
    LabelsAnswer: lambda answer: ", ".join(answer.labels) or "none of the labels",
    RecordAnswer: lambda answer: ", ".join(
        f"{name}: {_plain(each)}" for name, each in answer.record.items()
    ),
    TextAnswer: lambda answer: answer.text,
    VectorAnswer: lambda _answer: "a vector",
}


def _plain(value: object) -> str:
    return "none" if value is None else str(value)


def do_differ(trail: Sequence[Attempt], task: Task) -> bool:
    """Whether two steps that answered gave different answers."""
    spec = KINDS[task.kind]
    said = [spec.said_by(each.answer) for each in trail if each.answer is not None]
    given = [each for each in said if each is not None]
    return any(each != given[0] for each in given[1:])


def page_of(
    held: HeldJob,
    task: Task,
    entered: Mapping[str, Any] | None = None,
    *,
    row_text: RowText = lambda _key: "",
) -> dict[str, Any]:
    """Everything that a job's page shows of the job.

    Args:
        held: The job.
        task: Its task.
        entered: What a person entered before and could not be read: nothing of it is lost.
        row_text: Finds the text of a row that the job's text is like.
    """
    answer = suggested(held, task)
    text, labels = held.job.text, list(task.labels)
    evidence = getattr(answer, "evidence", ()) or ()
    spans = spans_of(answer) if task.kind is Kind.TAG else held.slip.kept_spans
    return {
        "job": held.job,
        "producer": held.slip.producer,
        "stretches": stretches_of(text, spans, evidence, labels),
        "has_evidence": bool(evidence),
        "alike": rows_alike(answer, row_text),
        "steps": steps_said(held.slip.trail, text),
        "differ": do_differ(held.slip.trail, task),
        "choices": choices_of(task, answer),
        "has_suggestion": answer is not None,
        "record": answer.record if isinstance(answer, RecordAnswer) else {},
        "lines": lines_of(text, spans_of(answer)),
        "written": answer.text if isinstance(answer, TextAnswer) else "",
        "form": FORMS[task.kind],
        "entered": entered,
    }


def ages(load: TaskLoad) -> dict[str, str]:
    """The counts of a task in words: how old, and until when."""
    oldest = None if load.oldest_ms is None else load.now_ms - load.oldest_ms
    first = None if load.first_due_ms is None else load.first_due_ms - load.now_ms
    return {"oldest": span_in_words(oldest), "first": span_in_words(first)}


def row_of(waiting: Waiting, now_ms: int) -> dict[str, Any]:
    """One line of a task's list, without a word of the text."""
    slip = waiting.slip
    last = slip.trail[-1] if slip.trail else None
    return {
        "id": waiting.job_id,
        "age": span_in_words(now_ms - slip.parked_ms),
        "left": span_in_words(waiting.due_ms - now_ms),
        "is_late": waiting.due_ms <= now_ms,
        "num_chars": slip.num_chars,
        "asked": ", ".join(attempt.model for attempt in slip.trail),
        "confidence": _percent(last.confidence) if last else "",
        "person": waiting.person,
        "priority": waiting.place.stream.rpartition(":")[2],
    }


def span_in_words(ms: int | None) -> str:
    """A span of time as people say it: `3 min`, `2 h 10 min`, `4 d`."""
    if ms is None:
        return ""
    seconds = max(0, ms) // 1000
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} d"
