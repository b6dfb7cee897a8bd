"""How often answers were right, by the measure of their kind. Pure, and of bounded size."""

from dataclasses import dataclass

from smallfirst.answers import AnyAnswer
from smallfirst.kinds import KINDS, Gold


@dataclass
class Score:
    """How often answers were right, by the measure that fits their kind.

    `right` and `total` count answers for labels and verdicts (equal), for sets of labels and for
    records (all of it right, or not). For spans they are twice the spans found, and the spans said
    plus the spans there are, so that the ratio is the F1 over all spans of all texts (micro), where
    a span counts only when its start, end and label are all right.
    """

    measure: str | None = None
    right: int = 0
    total: int = 0
    num_scored: int = 0

    def add(self, answer: AnyAnswer | None, gold: Gold | None) -> None:
        """Compare one answer with the gold of its kind; gold of another kind is left alone."""
        compared = _compare(answer, gold)
        if compared is None:
            return
        measure, right, total = compared
        self.measure = measure
        self.right += right
        self.total += total
        self.num_scored += 1

    @property
    def value(self) -> float | None:
        """Between 0 and 1; None where nothing was compared.

        To say no spans where there are none is right.
        """
        if not self.num_scored:
            return None
        return self.right / self.total if self.total else 1.0


def _compare(answer: AnyAnswer | None, gold: Gold) -> tuple[str, int, int] | None:
    """Compare by the first kind that both are of: in a file of results no task tells its kind."""
    for spec in KINDS.values():
        said = spec.said_by(answer)
        if spec.scoring is not None and said is not None and spec.scoring.is_gold(gold):
            return spec.scoring.measure, *spec.scoring.count(said, gold)
    return None
