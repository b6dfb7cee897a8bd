"""Models of a fleet that is stepped by hand, and the catalogues that name them.

A text says what a model makes of it. Before each answer a model stops until it is told to go on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import yaml

from smallfirst.answers import Answer, LabelAnswer, RecordAnswer
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.placement import pools_of
from smallfirst.jobs import Problem
from smallfirst_workers.engines import EngineRequest, EngineResult
from smallfirst_workers.errors import EndpointDown
from smallfirst_workers.problems import MODEL_ERROR, NOT_LOADED

_RULE = {"find": ["card"]}
_MINILM = {"model": "minilm", "accept": 0.8}
_LARGE = {"model": "large", "accept": 0.8}
_TASKS: dict[str, Any] = {
    "ids": {
        "kind": "tag",
        "labels": {"card": "a card"},
        "cascade": [{"rule": _RULE, "accept": "always"}],
    },
    "topic": {
        "kind": "classify",
        "labels": {"a": "one", "b": "two"},
        "cascade": [_MINILM, _LARGE],
    },
    "fields": {
        "kind": "extract",
        "fields": {"status": {}, "fingerprint": {}},
        "cascade": [{"model": "large", "accept": 0.8}],
    },
}
_SLM_POOL = {"tier": "slm", "max_parameters": "50M", "batch_jobs": 2}
_LLM_POOL = {"tier": "llm", "remote": True, "batch_jobs": 2}
_MODELS: dict[str, Any] = {
    "minilm": {"source": "bundled:minilm"},
    "large": {"tier": "llm", "source": "large", "endpoint": "http://nowhere:8000/v1"},
}
_WHOLE = {
    "version": 1,
    "pools": {"cpu": _SLM_POOL, "gpu": _LLM_POOL},
    "models": _MODELS,
    "tasks": _TASKS,
}
_WHOLES: dict[str, dict[str, Any]] = {
    "whole": _WHOLE,
    "without a task": _WHOLE | {"tasks": {n: t for n, t in _TASKS.items() if n != "topic"}},
    "a pool renamed": _WHOLE | {"pools": {"cpu-b": _SLM_POOL, "gpu": _LLM_POOL}},
    "without the large model": {
        "version": 1,
        "pools": {"cpu": _SLM_POOL},
        "models": {"minilm": _MODELS["minilm"]},
        "tasks": {"ids": _TASKS["ids"], "topic": _TASKS["topic"] | {"cascade": [_MINILM]}},
    },
    "the large model alone": _WHOLE
    | {"tasks": _TASKS | {"topic": _TASKS["topic"] | {"cascade": [_LARGE]}}},
}
#: What an operator may make of the catalogue, by name.
CATALOGUES: Mapping[str, str] = {name: yaml.safe_dump(whole) for name, whole in _WHOLES.items()}
#: Every pool of any of them.
POOLS = ("cpu", "gpu", "cpu-b")
#: How a text begins that kills its worker's process, that ends its batch, on which the model alone
#: raises, and of which it is not sure.
KILLS, EXHAUSTS, RAISES, UNSURE = "kills", "exhausts", "raises", "unsure"


def is_deadly(text: str) -> bool:
    """Whether a text ends whoever reads it: its worker's process, or at least its batch."""
    return text.startswith((KILLS, EXHAUSTS))


def answer_to(task: str, text: str) -> Answer | Problem:
    """Say what either model makes of a text."""
    digest = sha256(text.encode()).hexdigest()
    if text.startswith(RAISES):
        return Problem(code=MODEL_ERROR, message="the model raised")
    sure = 0.1 if text.startswith(UNSURE) else 0.99
    if task == "fields":
        record: dict[str, Any] = {"status": "refused", "fingerprint": digest, "origin": "0-1"}
        return RecordAnswer(record=record, confidence=sure)
    return LabelAnswer(label="ab"[int(digest, 16) % 2], confidence=sure)


@dataclass
class Engine:
    """A model that answers by what the text says, and stops before each answer.

    Args:
        wait: Returns what the model is told to do.
        die: Ends its process.
        note_deadly: Is told before a text ends the process or the batch.
        tasks: What the model was made ready for.
    """

    wait: Callable[[], str]
    die: Callable[[], None]
    note_deadly: Callable[[], None]
    tasks: frozenset[str]

    def revision_of(self, task: str, options: object = None) -> str:  # noqa: ARG002 - of every engine
        return "1"

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer one text after the other, each when told how."""
        for place, request in enumerate(asked):
            said = self.wait()
            if said == "die":
                self.die()
            if said == "down" and not request.text.startswith(KILLS):
                raise EndpointDown("large")
            if is_deadly(request.text):
                self._end_by(request.text)
            yield EngineResult([self._answer(request)], [1], 1, 0.01).at(place)

    def _end_by(self, text: str) -> None:
        self.note_deadly()
        if text.startswith(KILLS):
            self.die()
        raise MemoryError

    def _answer(self, request: EngineRequest) -> Answer | Problem:
        return answer_to(request.task, request.text) if request.task in self.tasks else NOT_LOADED


def tasks_of(catalogue: Catalogue, model: str) -> frozenset[str]:
    """Name the tasks for which a worker has made its model ready."""
    if model not in pools_of(catalogue):
        return frozenset()
    tasks = catalogue.tasks.items()
    return frozenset(n for n, task in tasks for step in task.cascade if model in step.asks)
