"""The rows whose accepted answers are wrong, as the page shows them: the surest first. Pure.

From these there is most to learn: what was missed, what drove the wrong answer, and which rows
taught it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smallfirst.answers import Evidence, Explanation, Reasons
from smallfirst.evaluation.asking_why import AnswerPlace
from smallfirst.evaluation.evaluating import Evaluation
from smallfirst.kinds.spec import Part

#: Rows whose answers are wrong that are listed, the surest first.
NUM_WRONG_ROWS: Final = 50
#: Shades of the words that drove an answer.
NUM_SHADES: Final = 4
#: The characters that are shown of a text.
_TEXT_CHARS: Final = 400
#: A word of less weight than this share of the heaviest is not shaded.
_LEAST_SHARE: Final = 0.05


@dataclass(frozen=True)
class Shaded:
    """A stretch of a text.

    Attributes:
        text: Its words.
        shade: How much it drove the answer, from 1 to `NUM_SHADES`; negative where it spoke
            against it, 0 where it did not count.
    """

    text: str
    shade: int = 0


@dataclass(frozen=True)
class WrongRow:
    """A row whose accepted answer is wrong; `missed` and `amiss` are labels, or a record's fields.

    Attributes:
        where: Its line, and its id where it has one.
        missed: What was right to say, and was not said.
        amiss: What was said, and is not right.
        step: Who said it.
        confidence: How surely.
        text: Its beginning, in stretches; empty where texts are not shown.
        why: What the shades are about, and which rows taught it; empty where nothing tells.
    """

    where: str
    missed: str
    amiss: str
    step: str
    confidence: float
    text: tuple[Shaded, ...]
    why: str


def surest_wrong(found: Evaluation) -> list[AnswerPlace]:
    """Name the wrong answers that are listed, the surest first."""
    wrong = [
        AnswerPlace(row, end.step)
        for row, end in enumerate(found.ends)
        if end.is_wrong and end.step is not None
    ]
    wrong.sort(key=lambda place: -found.ends[place.row].confidence)
    return wrong[:NUM_WRONG_ROWS]


def wrong_rows(
    found: Evaluation, texts: Sequence[str] | None, reasons: Mapping[AnswerPlace, Reasons]
) -> list[WrongRow]:
    """Lay out the wrong answers that are listed.

    Args:
        found: The evaluation.
        texts: Of all rows, where they are shown.
        reasons: Why steps said what they said, where they tell.
    """
    return [
        _wrong_row(found, place, None if texts is None else texts[place.row], reasons.get(place))
        for place in surest_wrong(found)
    ]


def _wrong_row(
    found: Evaluation, place: AnswerPlace, text: str | None, reasons: Reasons | None
) -> WrongRow:
    end = found.ends[place.row]
    right, said = end.row.parts, end.parts
    return WrongRow(
        where=f"{end.row.line}{f', {end.row.id}' if end.row.id else ''}",
        missed=_listed(right - said),
        amiss=_listed(said - right),
        step=found.steps[place.step].name,
        confidence=end.confidence,
        text=() if text is None else tuple(shaded(text, reasons.evidence if reasons else ())),
        why=_why(reasons.explanation) if text is not None and reasons else "",
    )


def _listed(parts: Iterable[Part]) -> str:
    counts = Counter(label for label, _ in parts)
    named = (f"{label} ×{count}" if count > 1 else label for label, count in sorted(counts.items()))  # noqa: RUF001
    return ", ".join(named) or "-"


def shaded(text: str, evidence: Sequence[Evidence]) -> Iterator[Shaded]:
    """Cut the beginning of a text where shades begin and end; what overlaps is shaded once."""
    heaviest = max((abs(each.weight) for each in evidence), default=0.0)
    shown, at = text[:_TEXT_CHARS], 0
    for each in sorted(evidence, key=lambda one: one.start):
        if each.start < at or each.start >= min(each.end, len(shown)):
            continue
        yield Shaded(shown[at : each.start])
        yield Shaded(shown[each.start : each.end], _shade(each.weight, heaviest))
        at = min(each.end, len(shown))
    yield Shaded(shown[at:] + ("…" if len(text) > _TEXT_CHARS else ""))


def _shade(weight: float, heaviest: float) -> int:
    if abs(weight) < heaviest * _LEAST_SHARE:
        return 0
    shade = max(1, round(abs(weight) / heaviest * NUM_SHADES)) if heaviest else 0
    return shade if weight > 0 else -shade


def _why(explanation: Explanation) -> str:
    """For which label words are shaded, and like which rows the text is."""
    alike = ", ".join(
        f"{each.number:,} ({', '.join(each.labels) or 'none of the labels'})"
        for each in explanation.alike
    )
    learned = f"; like these rows that it learned from: {alike}" if alike else ""
    return f"shaded for {explanation.label}{learned}"
