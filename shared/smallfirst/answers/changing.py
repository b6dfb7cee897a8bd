"""Operations on answers that every tier shares: rounding, temperature, spans. Pure."""

from bisect import bisect, bisect_left
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter, sub
from typing import Final, TypeVar

from smallfirst.answers.forms import (
    Answer,
    AnyAnswer,
    LabelAnswer,
    LabelsAnswer,
    Span,
    SpansAnswer,
    Stretch,
)

StretchT = TypeVar("StretchT", bound=Stretch)

#: Digits after the point of every probability and coordinate: more than any model is sure of.
DIGITS: Final = 6
#: The labels whose probabilities an answer keeps unless its job asks for all: enough to see what it
#: was torn between. Those of 77 labels are four fifths of a result's bytes.
LIKELIEST: Final = 5
_UNITS: Final = 10**DIGITS


def rounded(probability: float) -> float:
    """Write a probability as answers carry it; what arithmetic put outside of 0 to 1 is inside."""
    return round(min(1.0, max(0.0, probability)), DIGITS)


def rounded_distribution(distribution: Mapping[str, float]) -> dict[str, float]:
    """Write a distribution as answers carry it: it still sums to 1, and the order stays.

    All are rounded down, and those that lost most by it are rounded up until the sum is right: of
    labels that are equally likely, some are so by their last digit more.

    Args:
        distribution: Probability by label; they sum to 1.
    """
    probabilities = list(distribution.values())
    exact = [probability * _UNITS for probability in probabilities]
    units = list(map(int, exact))
    losses = list(map(sub, units, exact))
    # The likelier first among those that lost the same: both sorts are stable, and keys without a
    # function of ours take a third of the time for 77 labels.
    by_loss = sorted(range(len(exact)), key=probabilities.__getitem__, reverse=True)
    by_loss.sort(key=losses.__getitem__)
    for place in by_loss[: max(0, _UNITS - sum(units))]:
        units[place] += 1
    return {label: number / _UNITS for label, number in zip(distribution, units, strict=True)}


def tempered(distribution: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Soften (above 1) or sharpen (below 1) a distribution; the order of the labels stays.

    Args:
        distribution: Probability by label; not all 0.
        temperature: Above 0: softmax(log p / temperature).

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    if temperature == 1.0:
        return dict(distribution)
    highest = max(distribution.values())
    powers = {label: (p / highest) ** (1.0 / temperature) for label, p in distribution.items()}
    total = sum(powers.values())
    # Where two are the same by now, the one that was likelier is rounded up first.
    ranked = sorted(powers, key=distribution.__getitem__, reverse=True)
    found = rounded_distribution({label: powers[label] / total for label in ranked})
    return {label: found[label] for label in distribution}


def tempered_answer(answer: LabelAnswer, temperature: float) -> LabelAnswer:
    """The same label, as sure as the temperature makes it; without a distribution, the same."""
    if temperature == 1.0 or answer.label not in answer.distribution:
        return answer
    distribution = tempered(answer.distribution, temperature)
    update = {"distribution": distribution, "confidence": distribution[answer.label]}
    return answer.model_copy(update=update)


def with_likeliest(answer: Answer) -> Answer:
    """The same answer with the probabilities of its likeliest labels alone, these in order.

    Once its temperature is applied, not before: that needs the whole distribution.
    """
    if isinstance(answer, LabelsAnswer):
        return labels_with_likeliest(answer)
    if not isinstance(answer, LabelAnswer) or not answer.distribution:
        return answer
    ranked = _ranked(answer.distribution)
    rest = rounded(answer.rest + sum(chance for _, chance in ranked[LIKELIEST:]))
    return answer.model_copy(update={"distribution": dict(ranked[:LIKELIEST]), "rest": rest})


def labels_with_likeliest(answer: LabelsAnswer) -> LabelsAnswer:
    """The same; every label that is answered keeps its probability, too."""
    ranked = _ranked(answer.distribution)
    others = ((label, p) for label, p in ranked[LIKELIEST:] if label in answer.labels)
    return answer.model_copy(update={"distribution": dict([*ranked[:LIKELIEST], *others])})


def _ranked(distribution: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(distribution.items(), key=itemgetter(1), reverse=True)


def merge_spans(kept: Iterable[Span], found: Iterable[Span]) -> tuple[Span, ...]:
    """Add spans to those that stand already; what overlaps one that stands is left out.

    The earlier step wins because it is the surer one: rules check digits, models guess.

    Args:
        kept: Spans none of which overlaps another.
        found: Spans of any order.
    """
    merged = sorted(kept, key=_start)
    for span in found:
        place = bisect(merged, span.start, key=_start)
        is_free_before = place == 0 or merged[place - 1].end <= span.start
        if is_free_before and (place == len(merged) or span.end <= merged[place].start):
            merged.insert(place, span)
    return tuple(merged)


def _start(span: Span) -> int:
    return span.start


def spans_of(answer: AnyAnswer | None) -> tuple[Span, ...]:
    """The spans that an answer found; none in an answer of another form."""
    return answer.spans if isinstance(answer, SpansAnswer) else ()


def with_spans(answer: AnyAnswer, spans: tuple[Span, ...]) -> AnyAnswer:
    """The same answer with other spans; one of another form stays as it is."""
    if not isinstance(answer, SpansAnswer):
        return answer
    return answer.model_copy(update={"spans": spans})


def with_utf16(answer: AnyAnswer, text: str) -> AnyAnswer:
    """The same answer, its stretches told in UTF-16 code units, too, where these differ.

    A character beyond U+FFFF is two units: what stands behind it stands one unit later.
    """
    if not isinstance(answer, LabelAnswer | LabelsAnswer | SpansAnswer) or text.isascii():
        return answer
    double = [place for place, character in enumerate(text) if character > "\uffff"]
    if not double:
        return answer
    update: dict[str, object] = {
        "evidence": tuple(_in_units(each, double) for each in answer.evidence)
    }
    if isinstance(answer, SpansAnswer):
        update["spans"] = tuple(_in_units(span, double) for span in answer.spans)
    return answer.model_copy(update=update)


def _in_units(stretch: StretchT, double: Sequence[int]) -> StretchT:
    units = (at + bisect_left(double, at) for at in (stretch.start, stretch.end))
    return stretch.model_copy(update=dict(zip(("start_utf16", "end_utf16"), units, strict=True)))


def found_something(answer: AnyAnswer) -> bool:
    """Whether a rule that answers so found something."""
    return not isinstance(answer, SpansAnswer) or bool(answer.spans)
