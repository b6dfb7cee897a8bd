"""Placing texts by what they mean: the vectors of the small model, through a real fleet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smallfirst.answers import VectorAnswer
from smallfirst.catalogue.engines import ENGINES
from smallfirst.client import Client
from smallfirst.evaluation.scoring_run import MAX_IN_FLIGHT, MAX_WORKERS, ProgressObserver
from smallfirst.evaluation.single_step_catalogue import as_yaml
from smallfirst.fitting.asking import temporary_folder
from smallfirst.fitting.candidates import Offer
from smallfirst.fitting.drafting import Written
from smallfirst.fitting.to_label import by_words
from smallfirst.jobs import Job, Tier
from smallfirst.linear.probabilities import Floats, normalise
from smallfirst.local import LocalFleet
from smallfirst.local.cores import usable_cores

_TASK = "vectors"


@dataclass(frozen=True)
class Placing:
    """Gives vectors of texts: the encoder's where one is installed, else of words and letters.

    Attributes:
        offer: Its small model is the encoder.
        onlooker: Who watches the fleet at it.
        slm_processes: Workers; one a core, up to four, where None.
    """

    offer: Offer
    onlooker: ProgressObserver
    slm_processes: int | None = None

    def __call__(self, texts: Sequence[str]) -> Any:
        """Place texts: `(texts, width)`, each vector of length 1.

        Raises:
            LocalFleetError: When the fleet does not come up.
        """
        if ENGINES["encoder"].implementation.missing_packages():
            return by_words(texts)
        with temporary_folder() as folder:
            path = folder / "catalogue.yaml"
            path.write_text(as_yaml(_served(self.offer)), encoding="utf-8")
            fleet = LocalFleet(
                path,
                folder / "fleet",
                slm_processes=self.slm_processes or min(MAX_WORKERS, usable_cores()),
                flower=False,
                persistent=False,
            )
            with self.onlooker.around(fleet), fleet, self.onlooker.asking(fleet) as advance:
                return _vectors(fleet, texts, advance)


def _served(offer: Offer) -> Written:
    small = next(each for each in offer.candidates if each.tier is Tier.SLM)
    [name] = small.models
    model: Mapping[str, Any] = offer.base["models"][name]
    pools = {key: pool for key, pool in offer.base["pools"].items() if pool["tier"] == Tier.SLM}
    tasks = {_TASK: {"kind": "embed", "cascade": [{"model": name}]}}
    return {**offer.base, "pools": pools, "models": {name: model}, "tasks": tasks}


def _vectors(fleet: LocalFleet, texts: Sequence[str], advance: Any) -> Floats:
    """Ask for all; what has none, such as a text without a word, is like nothing."""
    found: list[Any] = []
    jobs = (Job(id=f"text-{at}", task=_TASK, text=text) for at, text in enumerate(texts))
    with Client(fleet.redis_url) as client:
        for result in client.map(jobs, max_in_flight=MAX_IN_FLIGHT):
            fleet.check()
            answer = result.answer
            found.append(answer.vector if isinstance(answer, VectorAnswer) else None)
            advance(len(found), len(texts))
    width = max((len(each) for each in found if each is not None), default=1)
    return normalise(np.array([each or (0.0,) * width for each in found], np.float32))
