"""One fitting: ask every candidate, choose a cascade, promise it. Knows no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Protocol

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue import Catalogue, Promise, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.evaluation.alternatives import Alternative, alone, cascade, outcome
from smallfirst.evaluation.answers import answers_of
from smallfirst.evaluation.calibrating import FEWEST_ROWS, Origin, calibrate
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scores import ScoredRow, Scores
from smallfirst.evaluation.thresholds import Aim, Unsupported
from smallfirst.fitting.asking import Part, catalogue_of
from smallfirst.fitting.candidates import Candidate, Offer, task_of
from smallfirst.fitting.choosing import Choice, about, choose, part_of, targets_from
from smallfirst.fitting.dealing import Dealt
from smallfirst.fitting.drafting import Written
from smallfirst.fitting.measured import Told
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS

#: The part whose models have learned from all learning rows, and which is promised on.
PROMISING: Final = "promising"
#: Of fewer rows a dear candidate says too little to be chosen.
FEWEST_OF_DEAR: Final = 40
#: The share of the budget that the choice may take; the rest is for the promise.
_CHOICE_SHARE: Final = 0.5


class AsksCandidates(Protocol):
    """Whoever gets candidates' answers; `Asking` is one."""

    def ask(
        self, candidate: Candidate, part: str, *, until: float | None = None
    ) -> tuple[Told, ...]:
        """Ask a candidate about the rows of a part, the first of them where time runs out."""


@dataclass(frozen=True)
class Standing:
    """How good a candidate is, alone, and what it costs.

    Attributes:
        candidate: Which it is.
        alone: What asking it alone comes to, every answer standing.
        share_at_target: Of rows that it answers alone at the target; None where it bears none.
        is_on_promising: Whether that was seen on rows that nothing was chosen on; a dear one is
            asked about a sample of those that chose.
    """

    candidate: Candidate
    alone: Alternative
    share_at_target: float | None
    is_on_promising: bool


@dataclass(frozen=True)
class Selection:
    """A choice, and what it was made from.

    Attributes:
        choice: The cascade.
        tried: Every cascade that it was chosen from.
        num_judges: The rows that chose.
        samples: What each dear candidate said, by its place, of its sample of them.
    """

    choice: Choice
    tried: tuple[Choice, ...]
    num_judges: int
    samples: Mapping[int, Scores]


@dataclass(frozen=True)
class Found:
    """What a fitting came to.

    Attributes:
        task: Its name.
        currency: Of costs.
        aim: What was asked for.
        dealt: Who learned, chose and promised.
        standings: Of every candidate that was asked.
        selection: The cascade, and what it was chosen from.
        names: Of all candidates, by place.
        chosen: The steps of the cascade.
        promise: Of the smallest target that the rows bear; None where they bear none.
        unsupported: Why not the one that was asked for; None where they bear it.
        cascade: What the cascade comes to by the promise, on the promising rows.
        notes: What else is to be said, in sentences: who was not tried, and why.
    """

    task: str
    currency: str
    aim: Aim
    dealt: Dealt
    standings: tuple[Standing, ...]
    selection: Selection
    names: tuple[str, ...]
    chosen: tuple[Candidate, ...]
    promise: Promise | None
    unsupported: Unsupported | None
    cascade: Alternative | None
    notes: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether the target that was asked for is promised."""
        return self.promise is not None and self.unsupported is None


def parts_of(dealt: Dealt) -> list[Part]:
    """Everything that is asked: the folds, and the promising rows."""
    folds = [Part(fold.name, fold.taught, fold.judges) for fold in dealt.folds]
    return [*folds, Part(PROMISING, dealt.learning, dealt.promising)]


@dataclass(frozen=True)
class Fitting:
    """What is fitted.

    Attributes:
        name: Of the task.
        task: Its kind and labels; nobody answers it yet.
        written: The same as a catalogue has it.
        dealt: The rows.
        offer: The candidates.
        aim: What is to be promised.
        until: The time of `time.monotonic` at which no dear candidate is asked any more.
    """

    name: str
    task: Task
    written: Written
    dealt: Dealt
    offer: Offer
    aim: Aim
    until: float

    def selected(self, asking: AsksCandidates) -> Selection:
        """Choose a cascade by cross-validation on the learning rows.

        Large models are asked about a sample; they are chosen where a cascade with one wins there.
        """
        cheap = [n for n, each in enumerate(self.offer.candidates) if not each.is_dear]
        judges = [row for fold in self.dealt.folds for row in fold.judges]
        told = {n: self._crossed(asking, n) for n in cheap}
        best = self._selection(judges, told)
        for number, until in self._dear(cheap):
            told[number] = self._crossed(asking, number, until=until)
        dear = [n for n in told if n not in cheap and len(told[n]) >= FEWEST_OF_DEAR]
        if not dear:
            return best
        size = min(len(told[n]) for n in dear)
        sampled = {n: told[n][:size] for n in [*cheap, *dear]}
        with_dear = self._selection(judges[:size], sampled, of_sample=dear)
        if set(with_dear.choice.places) & set(dear):
            return with_dear
        return replace(best, samples=with_dear.samples)

    def _selection(
        self,
        rows: Sequence[Row],
        told: Mapping[int, Sequence[Told]],
        *,
        of_sample: Sequence[int] = (),
    ) -> Selection:
        """Choose among the candidates that were asked about rows."""
        places = sorted(told)
        scores, offer = self._asked(rows, told)
        choice, tried = choose(scores, offer, self.written, self.aim.target)
        return Selection(
            choice.among(places),
            tuple(each.among(places) for each in tried),
            len(rows),
            {n: part_of(scores, [places.index(n)]) for n in of_sample},
        )

    def _dear(self, cheap: Sequence[int]) -> list[tuple[int, float]]:
        """Each dear candidate with the time until which it is asked.

        Large models have equal shares; who is tuned comes last, with what is left.
        """
        dear = [n for n in range(len(self.offer.candidates)) if n not in cheap]
        large = [n for n in dear if self.offer.candidates[n].tier is Tier.LLM]
        now = monotonic()
        share = max(0.0, self.until - now) * _CHOICE_SHARE / max(1, len(large))
        shares = [(n, now + share * place) for place, n in enumerate(large, start=1)]
        return [*shares, *((n, self.until) for n in dear if n not in large)]

    def _crossed(
        self, asking: AsksCandidates, number: int, *, until: float | None = None
    ) -> tuple[Told, ...]:
        """What a candidate says of every judge, each time not having learned from it."""
        told: list[Told] = []
        for fold in self.dealt.folds:
            found = asking.ask(self.offer.candidates[number], fold.name, until=until)
            told += found
            if len(found) < len(fold.judges):
                break
        return tuple(told)

    def promised(self, asking: AsksCandidates, selection: Selection, catalogue: Catalogue) -> Found:
        """Promise the cascade on the promising rows, and say how every candidate does there.

        Args:
            asking: Whom to ask.
            selection: The cascade, and what dear candidates said where it was chosen.
            catalogue: With the task as it will be served.
        """
        choice = selection.choice
        wanted = [
            n
            for n, each in enumerate(self.offer.candidates)
            if not each.is_dear or n in choice.places
        ]
        told = {
            n: asking.ask(each, PROMISING, until=self.until if each.is_dear else None)
            for n, each in enumerate(self.offer.candidates)
            if n in wanted
        }
        size = min(map(len, told.values()))
        scores, offer = self._asked(
            self.dealt.promising[:size], {n: said[:size] for n, said in told.items()}
        )
        of_cascade = part_of(scores, [wanted.index(n) for n in choice.places])
        promise, unsupported = promise_of(of_cascade, self.aim, catalogue)
        target = promise.target if promise else self.aim.target
        aim = replace(self.aim, target=target)
        standings = [
            self._standing(part_of(scores, [at]), offer.candidates[at], aim, on_promising=True)
            for at in range(len(wanted))
        ]
        standings += [
            self._standing(found, self.offer.candidates[n], aim, on_promising=False)
            for n, found in selection.samples.items()
            if n not in wanted
        ]
        return Found(
            task=self.name,
            currency=scores.currency,
            aim=self.aim,
            dealt=self.dealt,
            standings=tuple(standings),
            selection=selection,
            names=tuple(each.name for each in self.offer.candidates),
            chosen=tuple(self.offer.candidates[n] for n in choice.places),
            promise=promise,
            unsupported=unsupported,
            cascade=_by_promise(of_cascade, promise),
        )

    def _asked(
        self, rows: Sequence[Row], told: Mapping[int, Sequence[Told]]
    ) -> tuple[Scores, Offer]:
        """Lay what candidates said of rows side by side, with the offer of these alone."""
        places = sorted(told)
        offer = replace(self.offer, candidates=tuple(self.offer.candidates[n] for n in places))
        scored = _scored(self.task, rows, [told[n] for n in places])
        revisions = [told[n][0].revision if told[n] else "" for n in places]
        currency = str(self.offer.base.get("currency", "USD"))
        return Scores(self.name, currency, about(offer, revisions), scored), offer

    def _standing(
        self, scores: Scores, candidate: Candidate, aim: Aim, *, on_promising: bool
    ) -> Standing:
        answers = answers_of(scores, [Acceptance()])
        whole = outcome(alone(answers, 0, candidate.name), answers)
        share = self._share_at(scores, candidate, aim)
        return Standing(candidate, whole, share, is_on_promising=on_promising)

    def _share_at(self, scores: Scores, candidate: Candidate, aim: Aim) -> float | None:
        """The share that a candidate answers alone at a target; a rule has no threshold."""
        if candidate.tier is Tier.RULE or len(scores.rows) < FEWEST_ROWS:
            return None
        task = task_of(self.written, (candidate,))
        origin = Origin(catalogue_of(self.offer, self.name, task), _now())
        found = calibrate(scores, aim, origin)
        return found.share_answered if isinstance(found, Promise) else None


def _scored(
    task: Task, rows: Sequence[Row], told: Sequence[Sequence[Told]]
) -> tuple[ScoredRow, ...]:
    spec = KINDS[task.kind]
    clusters = clusters_of([row.example.text for row in rows])
    golds = [spec.gold_of(row.example) for row in rows]
    return tuple(
        ScoredRow(
            key=row.key,
            right=spec.in_a_word(gold),
            said=tuple(of_step[at].said for of_step in told),
            cluster=clusters[at],
            parts=spec.parts_of(gold),
            answer=spec.as_json(gold),
            line=row.line,
            num_chars=len(row.example.text),
        )
        for at, (row, gold) in enumerate(zip(rows, golds, strict=True))
    )


def promise_of(
    scores: Scores, aim: Aim, catalogue: Catalogue
) -> tuple[Promise | None, Unsupported | None]:
    """Promise the smallest target that the rows bear, down to the one that is asked for.

    The targets are tried in an order that was fixed before the rows were seen, the largest first,
    and the first that fails ends it: so the chance that what is promised does not hold is still at
    most 1 - confidence, however many were tried.

    Source: fixed sequence testing; see `evaluation.thresholds`.

    Returns:
        The promise, and why the target that was asked for is not borne, where it is not.
    """
    if len(scores.rows) < FEWEST_ROWS:
        return None, None
    origin = Origin(catalogue, _now())
    kept: Promise | None = None
    for target in targets_from(aim.target):
        found = calibrate(scores, replace(aim, target=target), origin)
        if isinstance(found, Unsupported):
            asked = calibrate(scores, aim, origin)
            return kept, asked if isinstance(asked, Unsupported) else found
        kept = found
    return kept, None


def _by_promise(scores: Scores, promise: Promise | None) -> Alternative | None:
    """What the cascade comes to where its answers stand by the promise."""
    if promise is None:
        return None
    answers = answers_of(scores, [step.acceptance for step in promise.steps])
    return outcome(cascade(answers), answers)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
