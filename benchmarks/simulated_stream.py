"""A stream that sinks, without a fleet: its jobs, its rounds, and the candidates that come of them.

The large model is an oracle that is right in a stated share of texts. Distilling, fitting and the
gate are the product's own code.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Final

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue import Example, Kind, Task
from smallfirst.catalogue.likeness import clusters_of, text_key
from smallfirst.distilling.deciding import Labelled, Roles, Rules, roles, settled, unlike_test
from smallfirst.distilling.distilling import unrefused
from smallfirst.evaluation.alternatives import cascade
from smallfirst.evaluation.answers import answers_of
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.thresholds import Aim
from smallfirst.fitting.asking import catalogue_of
from smallfirst.fitting.candidates import Candidate, Offer, task_of
from smallfirst.fitting.dealing import dealt, with_teaching
from smallfirst.fitting.drafting import placeholder
from smallfirst.fitting.fitting import PROMISING, Fitting, parts_of
from smallfirst.fitting.from_rows import fewest_rows
from smallfirst.fitting.measured import Told
from smallfirst.gate.verdict import Look, Margin, Verdict, kept_by, pairs_of
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS
from smallfirst.linear.fitting import fitted
from smallfirst.linear.model import LinearModel
from smallfirst.provenance.record import Provenance, Source

#: What a job costs whom it is asked of, in dollars.
COST: Final = {Tier.LINEAR: 1e-7, Tier.LLM: 2e-3}
#: The share of texts on which the large model is wrong, and of jobs that people answer blind.
WRONG, CHECKED = 0.1, 0.08
AIM = Aim(0.1, 0.95)
RULES = Rules(min_confidence=0.8)
LINEAR = Candidate("linear", Tier.LINEAR, {"model": "words"})
LARGE = Candidate("large", Tier.LLM, {"model": "large"})
OFFER = Offer(
    {
        "version": 1,
        "currency": "USD",
        "pools": {"far": {"tier": "llm", "remote": True}},
        "models": {
            "words": {"tier": "linear", "source": "bundled:words"},
            "large": {"tier": "llm", "source": "a", "endpoint": "http://127.0.0.1:9/v1"},
        },
    },
    (LINEAR, LARGE),
)
PERSON = Provenance(source=Source.HUMAN, tier="human", blind=True)


@dataclass(frozen=True)
class Stream:
    """What comes, and what is known of it.

    Attributes:
        labels: Of the task.
        jobs: The texts with their right labels, in the order in which they come.
        test: Rows that people labelled for the gate; none of their texts comes.
        ends: How many jobs have come when a round ends: then all so far are distilled.
        seed: Of everything that is left to chance.
    """

    labels: tuple[str, ...]
    jobs: tuple[Example, ...]
    test: tuple[Example, ...]
    ends: tuple[int, ...]
    seed: int

    def rounds(self) -> Iterator[Sequence[Example]]:
        """The jobs of each round."""
        for start, end in pairwise((0, *self.ends)):
            yield self.jobs[start:end]


@dataclass(frozen=True)
class Live:
    """The cascade that answers.

    Attributes:
        steps: Whom it asks.
        acceptances: When their answers stand.
        target: What is promised of its answers; None where nothing is.
        model: The linear one; None where it asks none.
        learned: The keys of the texts that it has learned from.
        by_machines: Whether machines' answers had a part in the promise.
    """

    steps: tuple[Candidate, ...] = (LARGE,)
    acceptances: tuple[Acceptance, ...] = (Acceptance(),)
    target: float | None = None
    model: LinearModel | None = None
    learned: frozenset[str] = frozenset()
    by_machines: bool = False


@dataclass(frozen=True)
class Round:
    """What a round came to.

    Attributes:
        steps: Of the cascade that was live in it.
        target: What was promised of its answers; None where nothing was.
        jobs: How many came.
        large_calls: How often the large model was asked.
        cost: In dollars.
        answered: How many jobs have an answer.
        wrong: Of these.
        new: Jobs whose texts the cascade had not learned from, and that have an answer.
        new_wrong: Of these.
        people: Labels of people so far, but for the gate's.
        outcome: What became of the candidate afterwards.
    """

    steps: str
    target: float | None
    jobs: int
    large_calls: int
    cost: float
    answered: int
    wrong: int
    new: int
    new_wrong: int
    people: int
    outcome: str


@dataclass(frozen=True)
class World:
    """The task, and what is right of each text that may come.

    Attributes:
        labels: Of the task.
        right: The right label, by text.
        seed: Of the large model's mistakes.
    """

    labels: tuple[str, ...]
    right: Mapping[str, str]
    seed: int

    @property
    def written(self) -> dict[str, object]:
        """The task as a catalogue has it, without a cascade."""
        return {"kind": "classify", "labels": dict.fromkeys(self.labels, "")}

    @property
    def task(self) -> Task:
        """The same, as a task."""
        return placeholder(self.written)

    def large(self, text: str) -> tuple[str, float]:
        """What the large model says of a text: the same each time, wrong in a stated share."""
        draw = random.Random(hashlib.sha256(f"{self.seed} {text}".encode()).digest())
        right = self.right[text]
        if draw.random() < WRONG:
            others = [label for label in self.labels if label != right]
            return draw.choice(others), draw.uniform(0.5, 1.0)
        return right, draw.uniform(0.75, 1.0)

    def says(
        self, candidate: Candidate, model: LinearModel | None, rows: Sequence[Example]
    ) -> list[Said]:
        """What a model says of texts, compared with their labels."""
        if candidate.tier is Tier.LLM:
            told = [self.large(row.text) for row in rows]
            return [
                _said(label, sure, {}, row, Tier.LLM)
                for (label, sure), row in zip(told, rows, strict=True)
            ]
        assert model is not None, "it was made"
        found = model.probabilities([row.text for row in rows]).probabilities
        spread = [dict(zip(self.labels, map(float, each), strict=True)) for each in found]
        likeliest = [max(each, key=each.__getitem__) for each in spread]
        return [
            _said(label, each[label], each, row, Tier.LINEAR)
            for label, each, row in zip(likeliest, spread, rows, strict=True)
        ]

    def scores(self, live: Live, rows: Sequence[Example]) -> Scores:
        """Ask every step of a cascade about rows."""
        spec = KINDS[Kind.CLASSIFY]
        said = [self.says(step, live.model, rows) for step in live.steps]
        clusters = clusters_of([row.text for row in rows])
        about = tuple(
            StepAbout(at, step.tier, step.step_name, "1") for at, step in enumerate(live.steps)
        )
        scored = tuple(
            ScoredRow(
                key=text_key(row.text),
                right=str(row.label),
                said=tuple(of_step[at] for of_step in said),
                cluster=clusters[at],
                parts=spec.parts_of(row.label),
                answer=row.label,
                line=at + 1,
            )
            for at, row in enumerate(rows)
        )
        return Scores("topic", "USD", about, scored)


def _said(label: str, sure: float, spread: Mapping[str, float], row: Example, tier: Tier) -> Said:
    return Said(
        confidence=sure,
        is_right=label == row.label,
        said=label,
        distribution=spread,
        cost=COST[tier],
        parts=KINDS[Kind.CLASSIFY].parts_of(label),
        answer=label,
    )


@dataclass
class Asking:
    """Asks models in this process; each part's linear model is made once.

    Attributes:
        world: The task.
        parts: What each model learns from, and is asked, by name.
        models: The linear models, by part.
    """

    world: World
    parts: Mapping[str, tuple[Sequence[Row], Sequence[Row]]]
    models: dict[str, LinearModel] = field(default_factory=dict)

    def ask(
        self,
        candidate: Candidate,
        part: str,
        *,
        until: float | None = None,  # noqa: ARG002 - nobody here takes long
    ) -> tuple[Told, ...]:
        """What a candidate says of the rows of a part."""
        taught, rows = self.parts[part]
        if candidate.tier is Tier.LINEAR and part not in self.models:
            learned = tuple(row.example for row in taught)
            task = self.world.task.model_copy(update={"examples": learned})
            self.models[part] = fitted(task).model
        said = self.world.says(candidate, self.models.get(part), [row.example for row in rows])
        return tuple(Told(each, "1") for each in said)


@dataclass
class Sinking:
    """A fleet's life, round by round.

    Attributes:
        stream: What comes.
        margin: Of the gate.
        live: The cascade that answers now.
        labelled: What the large model answered, by text.
        checked: What people answered.
    """

    stream: Stream
    margin: Margin
    live: Live = field(default_factory=Live)
    labelled: dict[str, Labelled] = field(default_factory=dict)
    checked: list[Labelled] = field(default_factory=list)

    @cached_property
    def world(self) -> World:
        """The task, and what is right."""
        everything = (*self.stream.jobs, *self.stream.test)
        right = {each.text: str(each.label) for each in everything}
        return World(self.stream.labels, right, self.stream.seed)

    def rounds(self) -> Iterator[Round]:
        """Answer the jobs of each round, distil, and let the candidate in where it passes."""
        for number, jobs in enumerate(self.stream.rounds()):
            found = self._answered(jobs, random.Random(f"{self.stream.seed} {number}"))
            yield replace(found, people=len(self.checked), outcome=self._distilled())

    def _answered(self, jobs: Sequence[Example], draw: random.Random) -> Round:
        """Answer jobs, keep what the large model said, and have people check some blind."""
        scores = self.world.scores(self.live, jobs)
        answers = answers_of(scores, self.live.acceptances)
        plan = cascade(answers)
        stands = plan.answered.sum(axis=1) > 0
        is_wrong = stands & ~((plan.answered * answers.is_right).sum(axis=1) > 0)
        is_new = stands & [row.key not in self.live.learned for row in scores.rows]
        large = [at for at, step in enumerate(self.live.steps) if step is LARGE]
        asked = plan.asked[:, large].sum(axis=1) > 0
        self._keep(jobs, [at for at, was in enumerate(asked) if was], draw)
        return Round(
            steps=" → ".join(step.name for step in self.live.steps),
            target=self.live.target,
            jobs=len(jobs),
            large_calls=int(asked.sum()),
            cost=float((plan.asked * answers.costs).sum()),
            answered=int(stands.sum()),
            wrong=int(is_wrong.sum()),
            new=int(is_new.sum()),
            new_wrong=int((is_new & is_wrong).sum()),
            people=0,
            outcome="",
        )

    def _keep(self, jobs: Sequence[Example], asked: Sequence[int], draw: random.Random) -> None:
        world = self.world
        for at in asked:
            label, sure = world.large(jobs[at].text)
            by = Provenance(source=Source.LLM, tier="llm", model="large", confidence=sure)
            row = Row(len(self.labelled) + 1, Example(text=jobs[at].text, label=label))
            self.labelled.setdefault(row.key, Labelled(row, by, "labelled"))
        for job in draw.sample(jobs, round(CHECKED * len(jobs))):
            self.checked.append(Labelled(Row(len(self.checked) + 1, job), PERSON, "people"))

    def _distilled(self) -> str:
        """Make a candidate of all answers so far, and promote it where it passes."""
        test = [Row(at, row) for at, row in enumerate(self.stream.test, start=1)]
        rows = [*self.labelled.values(), *self.checked]
        kept = unrefused(rows, test, frozenset({"words"}), drops_refused=True)
        unlike = unlike_test(kept, [row.example.text for row in test])
        found = settled(unlike, self.world.task, RULES)
        chosen = roles(found, self.world.task, RULES, fewest_rows(len(self.stream.labels)))
        candidate = self._fitted(chosen)
        if candidate is None:
            return "too few rows for a promise"
        verdict = self._judged(candidate)
        said = f"p = {verdict.look.p_value:.4f}, promises {candidate.target:.0%}"
        if not verdict.is_passed:
            return f"stays outside: {said}{_about_promise(verdict)}"
        self.live = candidate
        return f"promoted: {said}"

    def _fitted(self, chosen: Roles) -> Live | None:
        """Fit a cascade to rows; None where they bear no promise."""
        judging = [each.row for each in chosen.judging]
        parts = dealt(judging, self.world.task)
        if not parts.folds:
            return None
        if chosen.teaching:
            parts = with_teaching(parts, [each.row for each in chosen.teaching], self.world.task)
        by_name = {each.name: (each.taught, each.rows) for each in parts_of(parts)}
        asking, world = Asking(self.world, by_name), self.world
        until = monotonic() + 3600.0
        fitting = Fitting("topic", world.task, world.written, parts, OFFER, AIM, until)
        selection = fitting.selected(asking)
        steps = tuple(OFFER.candidates[at] for at in selection.choice.places)
        served = catalogue_of(OFFER, "topic", task_of(self.world.written, steps))
        made = fitting.promised(asking, selection, served)
        if made.promise is None:
            return None
        acceptances = tuple(step.acceptance for step in made.promise.steps)
        learned = frozenset(row.key for row in parts.learning)
        model = asking.models.get(PROMISING) if LINEAR in steps else None
        by_machines = not chosen.is_by_people
        return Live(steps, acceptances, made.promise.target, model, learned, by_machines)

    def _judged(self, candidate: Live) -> Verdict:
        """Hold a candidate against the live cascade on the rows of people."""
        both = [
            (self.world.scores(each, self.stream.test), each.acceptances)
            for each in (self.live, candidate)
        ]
        look = Look.at(pairs_of(both[0], both[1]), self.margin, 1)
        assert candidate.target is not None, "a candidate promises something"
        kept = kept_by(*both[1], candidate.target)
        return Verdict.of("topic", self.margin, look, kept, must_show=candidate.by_machines)


def _about_promise(verdict: Verdict) -> str:
    if verdict.is_promise_broken:
        return ", which is broken"
    return ", which is not shown" if verdict.is_promise_open else ""


def stream_of(examples: Sequence[Example], ends: Sequence[int], test: int, seed: int = 7) -> Stream:
    """Make a stream of rows: until the last round ends, each text again once all have come."""
    labels = tuple(sorted({str(each.label) for each in examples}))
    draw = random.Random(seed)
    order = draw.sample(list(examples), len(examples))
    held, rest = order[:test], order[test:]
    cycles = -(-ends[-1] // len(rest))
    again = [each for _ in range(cycles) for each in draw.sample(rest, len(rest))]
    return Stream(labels, tuple(again[: ends[-1]]), tuple(held), tuple(ends), seed)


def banking(data: Path, num_labels: int, seed: int = 7) -> list[Example]:
    """The training rows of BANKING77 that have one of so many of its labels, drawn by chance."""
    lines = (data / "banking77" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [Example(text=row["text"], label=row["label"]) for row in map(json.loads, lines)]
    drawn = random.Random(seed).sample(sorted({str(row.label) for row in rows}), num_labels)
    return [row for row in rows if row.label in drawn]
