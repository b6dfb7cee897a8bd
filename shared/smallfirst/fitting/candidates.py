"""The candidates: every single step that could answer the task, each of some tier. Pure.

Each is one step of a cascade, with the models that it asks and what it wants of the task besides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smallfirst.catalogue import Catalogue, Kind, RuleStep, Task
from smallfirst.catalogue.engines import EngineSpec
from smallfirst.catalogue.pools import WORDS
from smallfirst.fitting.drafting import Written
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS
from smallfirst.step_options import mean_name

_MINILM: Final = "bundled:minilm"
#: The pool of a catalogue that has none; what a small worker costs on a public cloud.
_POOL: Final = {"cpu-small": {"tier": "slm", "max_parameters": "50M", "price_per_hour": 0.05}}
#: What a core of a router costs beside it.
_ROUTER: Final = {"price_per_hour": 0.05}
#: How a large model can be asked, by name: keys of the task, and of the step. Five votes cost five
#: answers, and most of what more would give (Wang et al. 2022, Self-Consistency, figure 2).
_VARIANTS: Final[Mapping[str, tuple[Written, Written]]] = {
    "few-shot": ({}, {}),
    "zero-shot": ({"shots": 0}, {}),
    "thinking": ({}, {"think": {"tokens": 256}}),
    "voting": ({}, {"vote": 5}),
    "thinking, voting": ({}, {"think": {"tokens": 256}, "vote": 5}),
}


@dataclass(frozen=True)
class Candidate:
    """One step that could answer.

    Attributes:
        name: For people: `linear`, `minilm`, `large, zero-shot`.
        tier: Of the model; rules have one too.
        step: As a catalogue has it, without `accept`.
        task: Keys of the task that it wants to be otherwise.
        is_dear: Whether it is asked about a sample only, and within the budget.
        spoken: What sentences call it; by its name where empty.
    """

    name: str
    tier: Tier
    step: Written
    task: Written = field(default_factory=dict)
    is_dear: bool = False
    spoken: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it asks, the largest last; none for a rule."""
        return (self.step["model"],) if "model" in self.step else tuple(self.step.get("models", ()))

    @property
    def step_name(self) -> str:
        """What trails and promises call the step."""
        return mean_name(self.models) if self.models else "rules"


@dataclass(frozen=True)
class Offer:
    """What there is to choose from.

    Attributes:
        base: The catalogue as written, without tasks: pools, and the models of all candidates.
        candidates: At least one.
    """

    base: Written
    candidates: tuple[Candidate, ...]


def offer_of(catalogue: Catalogue | None, name: str, kind: Kind, *, with_large: bool) -> Offer:
    """List the candidates for a task.

    Args:
        catalogue: The team's own, if there is one; its models are taken where they do.
        name: Of the task.
        kind: The same.
        with_large: Whether large models may be asked.
    """
    base = _base(catalogue)
    words = _model(base, "words", {"tier": "linear", "source": WORDS})
    small = _model(base, "minilm", {"source": _MINILM})
    _pool(base)
    found = [
        *_rules(catalogue.tasks.get(name) if catalogue else None),
        Candidate("linear", Tier.LINEAR, {"model": words}),
        Candidate(small, Tier.SLM, {"model": small}),
        *(_large(catalogue, kind) if catalogue and with_large else ()),
    ]
    asked = {model for each in found for model in each.models}
    base["models"] = {name: model for name, model in base["models"].items() if name in asked}
    return Offer(base, tuple(found))


def joined(offer: Offer, more: Offer) -> Offer:
    """One offer of two: those of the second come after all of the first."""
    models = {**offer.base["models"], **more.base["models"]}
    return Offer({**offer.base, "models": models}, (*offer.candidates, *more.candidates))


def _base(catalogue: Catalogue | None) -> Written:
    if catalogue is None:
        return {"version": 1, "currency": "USD", "router": dict(_ROUTER), "pools": {}, "models": {}}
    written = catalogue.model_dump(mode="json", exclude_unset=True, exclude={"tasks"})
    return {"pools": {}, "models": {}, **written}


def _model(base: Written, name: str, model: Written) -> str:
    """Name the catalogue's own model of that source, or add it under a name that is free."""
    for own, said in base["models"].items():
        is_plain = set(said) <= {"tier", "source"}
        if said["source"] == model["source"] and is_plain:
            return str(own)
    free = name if name not in base["models"] else f"{name}-of-fit"
    base["models"][free] = model
    return free


def _pool(base: Written) -> None:
    if any(pool["tier"] == "slm" and not pool.get("remote") for pool in base["pools"].values()):
        return
    base["pools"] = {**base["pools"], **_POOL}


def _rules(task: Task | None) -> Iterator[Candidate]:
    """The rules that a task's cascade has already, as one step each."""
    rules = [step for step in task.cascade if isinstance(step, RuleStep)] if task else []
    for number, step in enumerate(rules):
        name = "rules" if len(rules) == 1 else f"rules {number}"
        written = step.model_dump(mode="json", exclude_unset=True)
        yield Candidate(name, Tier.RULE, written)


def _large(catalogue: Catalogue, kind: Kind) -> Iterator[Candidate]:
    for name in writers(catalogue):
        yield from large_candidates(name, catalogue.models[name].engine_spec, kind)


def large_candidates(name: str, can: EngineSpec, kind: Kind) -> Iterator[Candidate]:
    """A large model, once for each way in which it can be asked."""
    for variant, (task, step) in _VARIANTS.items():
        if _suits(step, can, kind):
            full = f"{name}, {variant}"
            yield Candidate(full, Tier.LLM, {"model": name, **step}, task, is_dear=True)


def writers(catalogue: Catalogue) -> list[str]:
    """Name the large models that write, and that a fleet on this machine would serve."""
    return [
        name
        for name, model in catalogue.models.items()
        if model.tier is Tier.LLM
        and model.engine_spec.generates
        and not model.engine_spec.is_left_out
    ]


def _suits(step: Written, can: EngineSpec, kind: Kind) -> bool:
    """Whether an engine can be asked so, and says something else than when it is asked plainly."""
    if "think" in step:
        # Who thinks where labels are scored draws a thought each time, and votes on these alone.
        return can.thinks and ("vote" not in step or _is_scored(can, kind))
    return "vote" not in step or not _is_scored(can, kind)


def _is_scored(can: EngineSpec, kind: Kind) -> bool:
    """Whether a model is asked for the probability of each label: every vote would be the same."""
    return can.scores_labels and KINDS[kind].is_one_label


def cascade_of(candidates: tuple[Candidate, ...]) -> list[dict[str, Any]]:
    """Write candidates as the steps of a cascade whose thresholds are calibrated."""
    return [
        each.step if each.tier is Tier.RULE else {**each.step, "accept": "calibrated"}
        for each in candidates
    ]


def task_of(written: Written, candidates: tuple[Candidate, ...]) -> Written:
    """The task that a cascade of candidates serves, without examples."""
    wanted: Written = {}
    for each in candidates:
        wanted |= each.task
    return {**written, **wanted, "cascade": cascade_of(candidates)}


def with_people(served: Written, there: Catalogue | None, name: str) -> Written:
    """Keep the step that asks a person, where the task has one already: it comes last."""
    task = there.tasks.get(name) if there else None
    if task is None or task.person_step is None:
        return served
    step = task.person_step.model_dump(mode="json", exclude_unset=True)
    return {**served, "cascade": [*served["cascade"], step]}
