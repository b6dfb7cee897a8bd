"""Sets of spans: how those of several steps become one answer."""

from collections.abc import Iterable

from smallfirst.jobs import Span


def merge_spans(kept: Iterable[Span], found: Iterable[Span]) -> tuple[Span, ...]:
    """Add spans to those that stand already; what overlaps one that stands is left out.

    The earlier step wins because it is the surer one: rules check digits, models guess.
    """
    merged = list(kept)
    for span in found:
        if not any(span.start < other.end and other.start < span.end for other in merged):
            merged.append(span)
    return tuple(sorted(merged, key=lambda span: (span.start, span.end)))
