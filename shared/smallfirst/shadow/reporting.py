"""What a shadow tells: how often two cascades agree, what each costs, what people said. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from smallfirst.shadow.judging import Cell, Cells
from smallfirst.shadow.pairing import Ending, Judged

_CELLS: Final = tuple(product(Judged, Judged))


@dataclass(frozen=True)
class ShadowReport:
    """What was counted of a candidate in shadow.

    Attributes:
        task: The live task.
        candidate: Its name.
        share: Of the task's jobs that are asked of it.
        counts: By field, over all slices.
        texts: What both cascades are by a person's answer, by the hashes of texts: of equal ones
            the first that was judged.
        currency: Of costs.
    """

    task: str
    candidate: str
    share: float
    counts: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    currency: str = "USD"

    @property
    def num_pairs(self) -> int:
        """How many jobs ended in both cascades."""
        return sum(self.num(live, said) for live in Ending for said in Ending)

    def num(self, live: Ending, candidate: Ending) -> int:
        """How many jobs ended so."""
        return self._count(f"{live}:{candidate}")

    def num_live(self, ending: Ending) -> int:
        """How many jobs the live cascade left so."""
        return sum(self.num(ending, each) for each in Ending)

    def num_candidate(self, ending: Ending) -> int:
        """How many jobs the candidate left so."""
        return sum(self.num(each, ending) for each in Ending)

    @property
    def num_alike(self) -> int:
        """Of how many jobs both answers stand, and are the same."""
        return self._count("alike")

    @property
    def num_unlike(self) -> int:
        """Of how many both stand, and differ."""
        return self._count("unlike")

    @property
    def live_cost(self) -> float | None:
        """What a thousand of these jobs cost in the live cascade, people aside; None for none."""
        return self._per_thousand("live_cost")

    @property
    def candidate_cost(self) -> float | None:
        """The same in the candidate."""
        return self._per_thousand("candidate_cost")

    @property
    def judged(self) -> Cells:
        """How many jobs people judged, by what both cascades are."""
        return Cells({cell: self._count(f"judged:{_name(cell)}") for cell in _CELLS})

    @property
    def judged_texts(self) -> Cells:
        """The same of texts, each once."""
        said = Counter(self.texts.values())
        return Cells({cell: said[_name(cell)] for cell in _CELLS})

    @property
    def drawn(self) -> dict[Ending, int]:
        """How many of the jobs that were compared people are to judge, by kind."""
        kinds = (Ending.ANSWERED, Ending.PERSON)
        return {kind: self._count(f"to_judge:{kind}") for kind in kinds}

    @property
    def num_unjudged(self) -> int:
        """How many jobs the candidate answers of which nobody will ever say what is right."""
        unjudged = (Ending.ABSTAINED, Ending.FAILED)
        return sum(self.num(live, Ending.ANSWERED) for live in unjudged)

    def as_json(self) -> dict[str, Any]:
        """Lay it out for programs."""
        return {
            "task": self.task,
            "candidate": self.candidate,
            "share": self.share,
            "copied": self._count("copied"),
            "left_out": self._count("left_out"),
            "dropped": self._count("dropped"),
            "repeated": self._count("repeated"),
            "pairs": self.num_pairs,
            "alike": self.num_alike,
            "unlike": self.num_unlike,
            "live": {str(each): self.num_live(each) for each in Ending},
            "shadow": {str(each): self.num_candidate(each) for each in Ending},
            "cost_per_thousand": {"live": self.live_cost, "shadow": self.candidate_cost},
            "currency": self.currency,
            "to_judge": {str(kind): number for kind, number in self.drawn.items()},
            "judged": {str(kind): self.judged.by_kind()[kind] for kind in self.drawn},
        }

    def _count(self, name: str) -> int:
        return round(self.counts.get(name, 0))

    def _per_thousand(self, name: str) -> float | None:
        return 1000 * self.counts.get(name, 0.0) / self.num_pairs if self.num_pairs else None


def sentences(report: ShadowReport) -> list[str]:
    """Say what a shadow tells, and what it cannot."""
    head = f"{report.task}: {report.candidate} runs in shadow on {report.share:.2%} of its jobs."
    if not report.num_pairs:
        return [head, _nothing_yet(report)]
    live, candidate = _left(report, of_live=True), _left(report, of_live=False)
    left = f"The live cascade left {live}; the candidate {candidate}."
    found = [head, _agreement(report), left, _costs(report), _judged(report)]
    if num_left_out := round(report.counts.get("left_out", 0)):
        found.append(
            f"{num_left_out:,} more were drawn while the fleet had no capacity to spare, and have"
            " no copy."
        )
    if num_dropped := round(report.counts.get("dropped", 0)):
        found.append(
            f"Of {num_dropped:,} more nothing is counted: they were cancelled, are gone, or were"
            " copied for a candidate that was stopped."
        )
    return found


def _agreement(report: ShadowReport) -> str:
    both = report.num_alike + report.num_unlike
    same = (
        f"; in {report.num_alike:,} ({report.num_alike / both:.1%}) it is the same" if both else ""
    )
    return (
        f"Of {report.num_pairs:,} jobs that ended in both, both have an answer that stands in"
        f" {both:,}{same}."
    )


def _costs(report: ShadowReport) -> str:
    live, candidate = _money(report.live_cost), _money(report.candidate_cost)
    return (
        f"A thousand of them cost {live} {report.currency} live and {candidate} in shadow, people"
        " aside."
    )


def _nothing_yet(report: ShadowReport) -> str:
    num_left_out = round(report.counts.get("left_out", 0))
    if num_left_out:
        return (
            f"No pair is counted yet: {num_left_out:,} jobs were drawn while the fleet had no"
            " capacity to spare. See whether its pools have workers, and jobs that wait."
        )
    return "No pair is counted yet: none of its jobs was drawn, or the copies are on their way."


def _left(report: ShadowReport, *, of_live: bool) -> str:
    count = report.num_live if of_live else report.num_candidate
    words = {
        Ending.ANSWERED: "answered",
        Ending.PERSON: "for people",
        Ending.ABSTAINED: "without an answer",
        Ending.FAILED: "failed",
        Ending.LATE: "too late",
    }
    told = [f"{count(each):,} {word}" for each, word in words.items() if count(each)]
    return ", ".join(told)


def _money(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:.4g}"


def _judged(report: ShadowReport) -> str:
    if not report.judged.total:
        return (
            "No person's answer is known of any yet: blind checks bring them, where the task has"
            " an `audit` and people at the desk."
        )
    said, drawn = report.judged.by_kind(), report.drawn
    checked, asked = Ending.ANSWERED, Ending.PERSON
    return (
        f"People have answered {said[checked]:,} of {drawn[checked]:,} that they are to check, and"
        f" {said[asked]:,} of {drawn[asked]:,} that they were given; `smallfirst promote"
        f" {report.task} --from-shadow --dry-run` judges by these."
    )


def _name(cell: Cell) -> str:
    return ":".join(cell)
