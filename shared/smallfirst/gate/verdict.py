"""The verdict on a candidate: what was seen, what it had to show, and what it lacks. Pure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from scipy import stats

from smallfirst.acceptance import Acceptance
from smallfirst.audit.betting import log_won_against
from smallfirst.evaluation.alternatives import cascade
from smallfirst.evaluation.answers import answers_of
from smallfirst.evaluation.scores import ScoredRow, Scores
from smallfirst.gate.paired import Pairs, labels_missing, p_value

#: A promise counts as broken where chance alone would look so bad no more often.
_BROKEN: Final = 0.05


@dataclass(frozen=True)
class Margin:
    """What "not worse" means.

    Attributes:
        share: By how much less often than the live cascade the candidate may be right, of all rows.
        confidence: How sure it has to be, over all looks together.
    """

    share: float
    confidence: float

    def level(self, look: int) -> float:
        """What the p-value of a look, counted from 1, must not exceed.

        Each look may pass by chance, and whoever looks until one does would pass in the end. So the
        first spends half of the error that is allowed, and each later one half of what is left: all
        of them together never spend more (Bonferroni's inequality).
        """
        return (1 - self.confidence) / 2.0**look


@dataclass(frozen=True)
class Look:
    """One look at a candidate.

    Attributes:
        number: Of this candidate's looks, from 1.
        pairs: What people said.
        p_value: How likely it is where the candidate is too bad.
        level: What that must not exceed.
    """

    number: int
    pairs: Pairs
    p_value: float
    level: float

    @classmethod
    def at(cls, pairs: Pairs, margin: Margin, number: int) -> Self:
        """Take a look."""
        return cls(number, pairs, p_value(pairs, margin.share), margin.level(number))

    @property
    def is_passed(self) -> bool:
        """Whether the candidate has shown that it is not worse."""
        return self.p_value <= self.level


@dataclass(frozen=True)
class Kept:
    """Whether a promise is kept on rows that it was not made from.

    Attributes:
        target: The largest share of accepted answers that may be wrong.
        accepted: Of the rows' answers, those that stand.
        wrong: Of these.
    """

    target: float
    accepted: int
    wrong: int

    @property
    def is_broken(self) -> bool:
        """Whether so many wrong ones come of a kept promise in one of twenty draws at most."""
        return float(stats.binom.sf(self.wrong - 1, self.accepted, self.target)) <= _BROKEN

    @property
    def p_shown(self) -> float:
        """How likely it is that so few are wrong, where the promise is broken."""
        return float(stats.binom.cdf(self.wrong, self.accepted, self.target))

    @property
    def is_refuted(self) -> bool:
        """The same at every look while rows come: over all looks in one of twenty streams at most.

        It takes more wrong answers than one look alone would.
        """
        won = log_won_against(self.target, self.accepted - self.wrong, self.wrong)
        return won >= -math.log(_BROKEN)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a candidate.

    Attributes:
        task: Its name.
        margin: What was asked of it.
        look: What was seen.
        kept: What the same labels say of its promise; None where it has none.
        labels_missing: How many more labels would do; None where it has enough, or none would.
        must_show: Whether the labels have to show that the promise is kept: it was made on answers
            of machines, and says how often the candidate answers as they did.
        of_jobs: Whether live jobs were compared, each for itself; else texts, each once.
    """

    task: str
    margin: Margin
    look: Look
    kept: Kept | None
    labels_missing: int | None
    must_show: bool = False
    of_jobs: bool = False

    @classmethod
    def of(
        cls,
        task: str,
        margin: Margin,
        look: Look,
        kept: Kept | None = None,
        *,
        must_show: bool = False,
        of_jobs: bool = False,
    ) -> Self:
        """Put together what a look came to, and whether the promise is kept."""
        missing = None
        if not look.is_passed:
            next_level = margin.level(look.number + 1)
            missing = labels_missing(look.pairs, margin.share, next_level)
        return cls(task, margin, look, kept, missing, must_show, of_jobs)

    @property
    def is_passed(self) -> bool:
        """Whether the candidate may take the live cascade's place."""
        return self.look.is_passed and not self.is_promise_broken and not self.is_promise_open

    @property
    def is_promise_broken(self) -> bool:
        """Whether the labels speak against the candidate's promise."""
        return self.kept is not None and self.kept.is_broken

    @property
    def is_promise_open(self) -> bool:
        """Whether the labels would have to show that the promise is kept, and do not yet.

        At the level of the look: a bad candidate would have to pass both tests, which happens no
        more often than that it passes either (an intersection-union test: Berger, 1982).
        """
        return self.must_show and (self.kept is None or self.kept.p_shown > self.look.level)

    def as_json(self) -> dict[str, Any]:
        """Lay it out for programs."""
        return {
            "task": self.task,
            "is_passed": self.is_passed,
            **seen(self.look.pairs, self.margin, self.kept),
            "difference": self.look.pairs.difference,
            "look": self.look.number,
            "p_value": self.look.p_value,
            "level": self.look.level,
            "is_promise_broken": self.is_promise_broken,
            "is_promise_open": self.is_promise_open,
            "labels_missing": self.labels_missing,
        }


def seen(pairs: Pairs, margin: Margin, kept: Kept | None) -> dict[str, Any]:
    """Lay out what a look sees: where it is the same again, nobody is let in by it anew."""
    return {
        "rows": pairs.rows,
        "live_alone_right": pairs.lost,
        "candidate_alone_right": pairs.won,
        "margin": margin.share,
        "confidence": margin.confidence,
        "promise": None if kept is None else asdict(kept),
    }


def pairs_of(
    live: tuple[Scores, Sequence[Acceptance]], candidate: tuple[Scores, Sequence[Acceptance]]
) -> Pairs:
    """Compare two cascades on the same rows, each text once, and of texts that are alike one.

    A cascade is right on a row where the answer that stands is. Where none does it is not: who
    answers less has to make up for it. Rows that no label fits are told apart by `foreign`, and
    count here where either answers them: as not right.

    Args:
        live: What its steps said, and when their answers stand.
        candidate: The same, of the same rows in the same order.
    """
    is_first = _one_of_each(live[0].rows)
    was = _is_right(*live)[is_first]
    would_be = _is_right(*candidate)[is_first]
    lost, won = int((was & ~would_be).sum()), int((would_be & ~was).sum())
    return Pairs(int(is_first.sum()), lost, won)


def kept_by(scores: Scores, acceptances: Sequence[Acceptance], target: float) -> Kept:
    """Count what stands of a cascade's answers, and what of it is wrong; each text once."""
    answers = answers_of(scores, acceptances)
    answered = cascade(answers).answered[_one_of_each(scores.rows)]
    right = (answered * answers.is_right[_one_of_each(scores.rows)]).sum()
    accepted = round(float(answered.sum()))
    return Kept(target, accepted, accepted - round(float(right)))


def _is_right(scores: Scores, acceptances: Sequence[Acceptance]) -> Any:
    answers = answers_of(scores, acceptances)
    return (cascade(answers).answered * answers.is_right).sum(axis=1) > 0


def _one_of_each(rows: Sequence[ScoredRow]) -> Any:
    """Which rows are the first of their text, and of the texts that are alike."""
    seen: set[object] = set()
    kept = np.zeros(len(rows), np.bool_)
    for number, row in enumerate(rows):
        mark = row.key if row.cluster is None else row.cluster
        kept[number] = mark not in seen
        seen.add(mark)
    return kept


def sentences(verdict: Verdict) -> list[str]:
    """Say the verdict, what it rests on, and what is missing."""
    pairs, margin, look = verdict.look.pairs, verdict.margin, verdict.look
    passes = "may take the live cascade's place" if verdict.is_passed else "stays where it is"
    noun = "jobs" if verdict.of_jobs else "texts"
    seen = (
        f"Of {pairs.rows:,} {noun} that people answered, the live cascade alone is right on"
        f" {pairs.lost:,}, the candidate alone on {pairs.won:,}: {pairs.difference:+.2%} of all."
    )
    shown = (
        f"That it is not worse by {margin.share:.2%} or more has p = {look.p_value:.4f}, and look"
        f" {look.number} at it asks for {look.level:.4f} or less (of {1 - margin.confidence:.2%}"
        " over all looks)."
    )
    said = [f"{verdict.task}: the candidate {passes}.", seen, shown]
    if not look.is_passed:
        said.append(_missing(verdict))
    if verdict.kept is not None:
        said.append(_about_promise(verdict, verdict.kept))
    return said


def _about_promise(verdict: Verdict, kept: Kept) -> str:
    word = "broken" if kept.is_broken else "kept, as far as these labels tell"
    said = (
        f"Its promise of {kept.target:.2%} is {word}: {kept.wrong:,} of {kept.accepted:,} answers"
        " that stand are wrong."
    )
    if not verdict.must_show or kept.is_broken:
        return said
    shown = "which is shown" if not verdict.is_promise_open else "which more labels have to show"
    return (
        f"{said} It was made on answers of machines, so people's have to show that it is kept:"
        f" p = {kept.p_shown:.4f}, {shown}."
    )


def _missing(verdict: Verdict) -> str:
    if verdict.labels_missing is not None:
        return (
            f"{verdict.labels_missing:,} more labels would show it, if it is as good as it looks."
        )
    return "It looks worse than the margin allows: no number of labels would show otherwise."
