"""The tuned candidate: the small model trained as a whole on what is learned from, if time allows.

It is trained twice at most: on what the first fold has learned from, whose judges choose, and,
where it was chosen, on all learning rows. Everyone else is asked by whom they were asked before.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from smallfirst.evaluation.scoring_run import ProgressObserver
from smallfirst.fitting.asking import Asking, Part, example_of
from smallfirst.fitting.candidates import Candidate, Offer
from smallfirst.fitting.drafting import Written
from smallfirst.fitting.fitting import FEWEST_OF_DEAR, PROMISING
from smallfirst.fitting.measured import Measurements, Told
from smallfirst.fitting.training import Failed, TooLong, trained
from smallfirst.fitting.writing import Destination
from smallfirst.jobs import Tier
from smallfirst.local.cores import usable_cores
from smallfirst.process.training_plan import TrainingPlan
from smallfirst.wording import counted

#: Passes over the rows. With no row held out the last one stands, after rates that fell to nothing.
_EPOCHS: Final = 4
#: What teaching a row once takes at least, in times of answering it: forward and backward in
#: float32 with dropout, where answering is one pass in bfloat16 (measured: 20 to 70 times).
_TEACHING: Final = 15
#: The share of what is left that the first training may take: the second has a quarter more rows.
_FIRST_SHARE: Final = 0.4
#: Seconds that a training takes beside its steps: imports, and the head that it begins with.
_BESIDE: Final = 25.0
#: Seconds that are kept for asking what was trained: a fleet starts, and answers some hundred rows.
_ASKING: Final = 30.0
_PACKAGES: Final = ("smallfirst_workers", "torch", "transformers", "accelerate")


def with_tuned(offer: Offer, to: Destination, parts: Sequence[Part]) -> Offer:
    """The offer of the tuned candidates alone: by itself, and in the mean with the linear model.

    Args:
        offer: All others.
        to: Where the model is put that will serve.
        parts: What is asked; the last one promises.
    """
    name = f"{to.task}-tuned-{_digest(parts[-1])[:8]}"
    small = next(each for each in offer.candidates if each.tier is Tier.SLM).models[-1]
    linear = next(each for each in offer.candidates if each.tier is Tier.LINEAR).models[-1]
    base = offer.base["models"]
    source = {"source": str(to.catalogue.parent / "models" / name)}
    models = {linear: base[linear], small: base[small], name: source}
    alone = Candidate(
        "tuned", Tier.SLM, {"model": name}, is_dear=True, spoken="a tuned small model"
    )
    mean = Candidate(
        "linear and tuned",
        Tier.SLM,
        {"models": [linear, name]},
        is_dear=True,
        spoken="the mean of a linear and a tuned model",
    )
    return Offer({**offer.base, "models": models}, (alone, mean))


@dataclass
class TunedAsking:
    """Asks tuned candidates; others are asked by `others`.

    Attributes:
        others: Asks everyone else.
        offer: Of the tuned candidates.
        written: The task, without cascade and examples.
        parts: What is asked: first the first fold, last the promising rows.
        kept: What was said before.
        to: Where it is written.
        until: The time of `time.monotonic` at which all is to be done.
        began: The time at which the budget began.
        tell: Gets each sentence that a person should know meanwhile.
        why_not: Why there is no tuned model; None where there is one.
    """

    others: Asking
    offer: Offer
    written: Written
    parts: Sequence[Part]
    kept: Measurements
    to: Destination
    until: float
    began: float
    tell: Callable[[str], None]
    onlooker: ProgressObserver
    slm_processes: int | None = None
    why_not: str | None = None
    _asking: dict[str, Asking] = field(default_factory=dict)
    _resources: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.__exit__(kind, error, trace)

    def ask(
        self, candidate: Candidate, part: str, *, until: float | None = None
    ) -> tuple[Told, ...]:
        """Ask a candidate about the rows of a part; see `Asking.ask`.

        A tuned one says nothing of a part that no model is trained for, and where time is short.
        """
        if candidate not in self.offer.candidates:
            return self.others.ask(candidate, part, until=until)
        if part not in {self.parts[0].name, PROMISING}:
            return ()
        asking = self._asked(part)
        known = asking.ask(candidate, part, until=0.0)
        if len(known) == len(self._part(part).rows):
            return known
        return asking.ask(candidate, part) if self.make(part) else ()

    def make(self, name: str) -> bool:
        """Train the model of a part, if it is not there yet; return whether it is there now."""
        part, folder = self._part(name), self._folder(name)
        if folder.is_dir():
            return True
        if self.why_not is None:
            self.why_not = self._hindrance(part)
        if self.why_not is not None:
            return False
        self.tell(f"tuning a model on {len(part.taught):,} rows")
        outcome = trained(self._plan(part, folder), self._taught(part), self._allowed(name))
        match outcome:
            case TooLong(needed):
                self.why_not = self._too_long(part, needed)
            case Failed(reason):
                self.why_not = f"A tuned model is left out, since its training failed: {reason}"
        if self.why_not is not None:
            _remove(folder)
        return self.why_not is None

    def forget(self, *, keeps_model: bool) -> None:
        """Take away what was made to choose by, and the model too where it does not serve."""
        _remove(self._folder(self.parts[0].name))
        if not keeps_model:
            _remove(self._folder(PROMISING))

    def _hindrance(self, part: Part) -> str | None:
        """Why a training is not worth beginning."""
        if missing := [name for name in _PACKAGES if find_spec(name) is None]:
            return (
                f"A tuned model is not tried, since {missing[0]} is not installed: pip install"
                " 'smallfirst[train]'."
            )
        num_judges = len(self.parts[0].rows)
        if num_judges < FEWEST_OF_DEAR:
            return (
                f"A tuned model is not tried: {num_judges} rows would judge it, and fewer than"
                f" {FEWEST_OF_DEAR} say too little."
            )
        least = len(part.taught) * _EPOCHS * _TEACHING * self._seconds_a_row() / usable_cores()
        if least > self._allowed(part.name) - _BESIDE:
            return self._too_long(part, least)
        return None

    def _seconds_a_row(self) -> float:
        """What answering a row took the small model, where it was asked."""
        small = next(each for each in self.others.candidates if each.tier is Tier.SLM)
        told = self.others.ask(small, self.parts[0].name, until=0.0)
        return sum(each.said.seconds for each in told) / max(1, len(told))

    def _allowed(self, name: str) -> float:
        """Seconds that the training of a part may take."""
        left = max(0.0, self.until - monotonic() - _ASKING)
        return left if name == PROMISING else left * _FIRST_SHARE

    def _too_long(self, part: Part, needed: float) -> str:
        used = monotonic() - self.began
        budget = ceil((used + _ASKING + (needed + _BESIDE) / _FIRST_SHARE) / 60) + 1
        return (
            f"A tuned model is left out: training it on {len(part.taught):,} rows takes some"
            f" {counted(ceil(needed / 60), 'minute')} here, once to choose and once more to serve,"
            f" and the budget does not last so long. --budget {budget}m tries it."
        )

    def _plan(self, part: Part, folder: Path) -> TrainingPlan:
        small = next(each for each in self.others.candidates if each.tier is Tier.SLM)
        return TrainingPlan(
            # Both are files that `trained` writes for the process.
            catalogue=Path("catalogue.yaml"),
            data=Path("rows.jsonl"),
            task=self.to.task,
            out=folder,
            model=small.models[-1],
            held_out=0.0,
            epochs=_EPOCHS,
            threads=usable_cores(),
            time_limit=max(1.0, self._allowed(part.name) - _BESIDE),
        )

    def _taught(self, part: Part) -> tuple[Written, Sequence[Mapping[str, Any]]]:
        """The catalogue that a training takes, and its rows."""
        small = next(each for each in self.others.candidates if each.tier is Tier.SLM)
        task = {**self.written, "cascade": [small.step]}
        models = {small.models[-1]: self.offer.base["models"][small.models[-1]]}
        pools = {n: p for n, p in self.offer.base["pools"].items() if p["tier"] == Tier.SLM}
        base = {**self.offer.base, "pools": pools, "models": models, "tasks": {self.to.task: task}}
        return base, [example_of(row) for row in part.taught]

    def _asked(self, name: str) -> Asking:
        """Whoever asks the model of a part, which lies in a folder of its own."""
        if name not in self._asking:
            model = self.offer.candidates[0].models[-1]
            models = {**self.offer.base["models"], model: {"source": str(self._folder(name))}}
            asking = Asking(
                replace(self.offer, base={**self.offer.base, "models": models}),
                self.written,
                [self._part(name)],
                self.kept,
                onlooker=self.onlooker,
                slm_processes=self.slm_processes,
            )
            self._asking[name] = self._resources.enter_context(asking)
        return self._asking[name]

    def _part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def _folder(self, name: str) -> Path:
        """Where the model of a part is put: the one that will serve stands beside the catalogue."""
        if name == PROMISING:
            return Path(self.offer.base["models"][self.offer.candidates[0].models[-1]]["source"])
        return self.to.beside / f".{self.to.task}-tuned-{_digest(self._part(name))[:8]}"


def _digest(part: Part) -> str:
    taught = [example_of(row) for row in part.taught]
    return hashlib.sha256(json.dumps([_EPOCHS, taught], sort_keys=True).encode()).hexdigest()


def _remove(folder: Path) -> None:
    """Take a model's folder away, and what its training left."""
    shutil.rmtree(folder, ignore_errors=True)
    for work in folder.parent.glob(f".{folder.name}.training-*"):
        shutil.rmtree(work, ignore_errors=True)
