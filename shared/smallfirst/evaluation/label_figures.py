"""Figures by label: how often what a cascade calls so is so, and how much of it it finds. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from smallfirst.evaluation.intervals import Interval, of_share
from smallfirst.kinds.spec import Part


@dataclass(frozen=True)
class LabelFigures:
    """How a cascade does on one label: of whole texts, of spans, or of a record's field.

    Attributes:
        label: The label, or the name of the field.
        num_there: How often it is right to say it.
        num_said: How often an accepted answer says it.
        num_right: How often that is right.
    """

    label: str
    num_there: int
    num_said: int
    num_right: int

    @property
    def precision(self) -> float | None:
        """Share of what was said that is right; None where nothing was said."""
        return self.num_right / self.num_said if self.num_said else None

    @property
    def precision_interval(self) -> Interval | None:
        """Of `precision`."""
        return of_share(self.num_right, self.num_said) if self.num_said else None

    @property
    def recall(self) -> float | None:
        """Share of what is there that was said; None where there is nothing."""
        return self.num_right / self.num_there if self.num_there else None

    @property
    def recall_interval(self) -> Interval | None:
        """Of `recall`."""
        return of_share(self.num_right, self.num_there) if self.num_there else None


def label_figures(
    right: Sequence[frozenset[Part]], said: Sequence[frozenset[Part]], labels: Sequence[str]
) -> tuple[LabelFigures, ...]:
    """Count by label.

    Args:
        right: Of each row, what is right to say.
        said: Of each row, what the accepted answer says; nothing where none was accepted.
        labels: In the order to show them; those that only rows know follow.
    """
    there = Counter(label for parts in right for label, _ in parts)
    given = Counter(label for parts in said for label, _ in parts)
    pairs = zip(right, said, strict=True)
    both = Counter(label for of_row, parts in pairs for label, _ in of_row & parts)
    known = dict.fromkeys([*labels, *sorted({*there, *given})])
    return tuple(LabelFigures(each, there[each], given[each], both[each]) for each in known)
