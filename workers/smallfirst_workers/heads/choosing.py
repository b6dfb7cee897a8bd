"""What answers a step of an encoder: exactly its head, a mean, or what its examples choose.

Training and loading what is chosen; by what it is chosen is `choice`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import structlog

from smallfirst.catalogue import Model, Task
from smallfirst.catalogue.build_once import build_once
from smallfirst.errors import CatalogueError
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear import fitting
from smallfirst.linear.choice_cards import CARD_FILE, card_folder
from smallfirst.linear.model import LinearModel
from smallfirst.linear.regression import LeftOut, truth_of
from smallfirst.linear.skills import load_skill
from smallfirst_workers.heads.choice import Choice, Way, choose
from smallfirst_workers.heads.fitting import folder_of
from smallfirst_workers.heads.heads import Head, LinearHead
from smallfirst_workers.heads.means import MeanHead, WordsHead

#: Most examples times labels for which a linear model is trained beside a head that nobody asked to
#: be averaged: a minute of one core (BANKING77's 10,003 examples of 77 labels are 770,231).
MAX_COMPARED = 1_000_000

log = structlog.get_logger()


@dataclass(frozen=True)
class Chooser:
    """Finds what answers a task, for one encoder.

    Attributes:
        model: The encoder's name in the catalogue.
        models: Those of the catalogue.
        cache: Folder of what is made once.
    """

    model: str
    models: Mapping[str, Model]
    cache: Path

    def best(self, name: str, task: Task, head: LinearHead) -> Head:
        """What answers best of what a task's examples make: a linear model, the head, their mean.

        Where words are tagged there is the head alone, and where a comparison would take longer
        than a minute.
        """
        form = KINDS[task.kind].head
        if form is None or form not in {HeadForm.CHOICE, HeadForm.EACH}:
            return head
        if len(task.examples) * len(task.labels) > MAX_COMPARED:
            log.info("head.not_compared", task=name, examples=len(task.examples))
            return head
        try:
            choice = self._choice(name, task, head)
        except CatalogueError as error:
            log.info("head.not_compared", task=name, reason=str(error))
            return head
        if choice.way is Way.HEAD:
            return head
        words = WordsHead(LinearModel.load(fitting.folder_of(task, self.cache)))
        if choice.way is Way.LINEAR:
            return MeanHead(form, (words,), (1.0,))
        return MeanHead(form, (words, head), choice.weights)

    def mean(self, name: str, task: Task, head: Head, asked: Sequence[str]) -> Head:
        """The mean of the models that a step asks; the head, where it asks the encoder alone.

        Weighted by what was chosen on examples left out, where one linear model and the head were
        both trained from them; else all count the same.

        Raises:
            CatalogueError, ModelFilesError: When a linear model cannot be had.
        """
        form = KINDS[task.kind].head
        others = [one for one in asked if one != self.model]
        if form is None or not others:
            return head
        parts = {one: self._words(name, task, self.models[one]) for one in others}
        weights = dict.fromkeys(asked, 1 / len(asked))
        if len(others) == 1 and self.models[others[0]].is_bundled and self._is_taught(head):
            assert isinstance(head, LinearHead)
            of_linear, of_head = self._choice(name, task, head).weights
            weights = {others[0]: of_linear, self.model: of_head}
        return MeanHead(
            form, tuple(parts.get(one, head) for one in asked), tuple(weights[one] for one in asked)
        )

    def _words(self, name: str, task: Task, model: Model) -> WordsHead:
        if model.is_bundled:
            fitting.train(name, task, self.cache)
        return WordsHead(load_skill(name, task, model, self.cache).model)

    def _is_taught(self, head: Head) -> bool:
        """Whether a head was trained here from the task's examples, some of them left out."""
        return isinstance(head, LinearHead) and folder_of(head.key, self.cache).is_dir()

    def _choice(self, name: str, task: Task, head: LinearHead) -> Choice:
        """Compare what was trained from a task's examples, if no process has yet.

        Raises:
            CatalogueError: When no linear model can be trained.
        """
        fitting.train(name, task, self.cache)
        folder = card_folder(task, head.key, self.cache)
        build_once(folder, lambda to: self._compare(name, task, head, to))
        return Choice.from_json(json.loads((folder / CARD_FILE).read_text(encoding="utf-8")))

    def _compare(self, name: str, task: Task, head: LinearHead, to: Path) -> None:
        started, form = perf_counter(), KINDS[task.kind].head
        assert form is not None, "only tasks with labels are compared"
        found = choose(
            form,
            truth_of(task),
            LeftOut.load(fitting.folder_of(task, self.cache)),
            LeftOut.load(folder_of(head.key, self.cache)),
        )
        card = {"model": self.model, **found.as_json()}
        seconds = round(perf_counter() - started, 1)
        (to / CARD_FILE).write_text(json.dumps(card, indent=1), encoding="utf-8")
        log.info("head.compared", task=name, seconds=seconds, **card)
