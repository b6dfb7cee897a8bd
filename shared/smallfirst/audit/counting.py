"""Counting: from what was answered blind to what a report says. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smallfirst.audit.reporting import MAX_WORDS_A_MINUTE, ReviewerReport
from smallfirst.audit.spending import CONFIDENCE

if TYPE_CHECKING:  # numpy, for a desk without an audit
    from smallfirst.audit.estimating import Checks, ErrorEstimate


@dataclass(frozen=True)
class Answered:
    """One text answered blind, as far as a report needs it.

    Attributes:
        person: The pseudonym of the person; of several, of the first.
        is_wrong: Whether the machine's answer is, or of a golden row the person's.
        weight: The share that is checked by the chance of this one; of a golden row nothing.
        golden: The key of the golden row; empty for none.
        seconds: Spent on it.
        num_words: Of the text.
        is_first_wrong: What the first person found, where others looked then.
        is_undecided: Whether another person has yet to look.
        share: The share of accepted answers that was checked then.
    """

    person: str
    is_wrong: bool
    weight: float = 1.0
    golden: str = ""
    seconds: float = 0.0
    num_words: int = 0
    is_first_wrong: bool = False
    is_undecided: bool = False
    share: float = 1.0

    @property
    def is_hasty(self) -> bool:
        """Whether it was answered faster than its text can be read."""
        return self.num_words * 60.0 > MAX_WORDS_A_MINUTE * self.seconds


def first_golden(answers: Iterable[Answered]) -> list[Answered]:
    """The golden rows as each person saw them first: who sees one again may remember it.

    Of several people who saw one the first counts. Who looks second may know it from before, too;
    to leave those rows out would leave out more of the wrong ones.
    """
    seen: dict[tuple[str, str], Answered] = {}
    for each in answers:
        if each.golden:
            seen.setdefault((each.person, each.golden), each)
    return list(seen.values())


def estimate_of(
    checks: Sequence[Answered],
    golden: Sequence[Answered],
    *,
    same: float,
    has_second_look: bool = False,
    confidence: float = CONFIDENCE,
) -> "ErrorEstimate | None":
    """Estimate the error of a task's accepted answers from what was answered blind."""
    from smallfirst.audit.estimating import (  # noqa: PLC0415 - see above
        Checked,
        Checks,
        estimate,
    )

    lowest, *more = _parts(checks) or [Checks(0)]
    return estimate(
        Checked(
            num_checks=lowest.num_checks,
            wrong=lowest.wrong,
            num_golden=len(golden),
            num_golden_wrong=sum(each.is_wrong and not each.is_undecided for each in golden),
            same=same,
            num_first_wrong=sum(e.is_first_wrong for e in golden) if has_second_look else None,
            mended=lowest.mended,
            undecided=lowest.undecided,
            num_golden_undecided=sum(each.is_undecided for each in golden),
            more=tuple(more),
        ),
        confidence,
    )


def _parts(checks: Sequence[Answered]) -> "list[Checks]":
    """Part checks by the share that was checked, the lowest first."""
    from smallfirst.audit.estimating import Checks  # noqa: PLC0415 - see above

    by_share: defaultdict[float, list[Answered]] = defaultdict(list)
    for each in checks:
        by_share[each.share].append(each)
    return [
        Checks(
            num_checks=len(theirs),
            wrong=[each.weight for each in theirs if each.is_wrong and not each.is_undecided],
            mended=[e.weight for e in theirs if e.is_first_wrong and not e.is_wrong],
            undecided=[each.weight for each in theirs if each.is_undecided],
            stake=min(by_share) / share,
        )
        for share, theirs in sorted(by_share.items())
    ]


def reviewers_of(answers: Sequence[Answered]) -> tuple[ReviewerReport, ...]:
    """Tell how each person answered, by pseudonym."""
    by_person: defaultdict[str, list[Answered]] = defaultdict(list)
    for each in answers:
        by_person[each.person].append(each)
    return tuple(
        ReviewerReport(
            person=person,
            num_answers=len(theirs),
            num_golden=len(golden := first_golden(theirs)),
            num_golden_wrong=sum(each.is_wrong for each in golden),
            num_hasty=sum(each.is_hasty for each in theirs),
        )
        for person, theirs in sorted(by_person.items())
    )
