"""A task as a linear model serves it: which model answers, and what it says of a text."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from smallfirst.answers import (
    LabelAnswer,
    LabelsAnswer,
    Reasons,
    labels_with_likeliest,
    with_reasons,
)
from smallfirst.catalogue import Model, Task, place_text
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.model_files import content_hash
from smallfirst.catalogue.model_tasks import linear_problem
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.distributions import rounded_rows, tempered_rows
from smallfirst.linear.explaining import explain
from smallfirst.linear.features import MAX_CHARS
from smallfirst.linear.fitting import folder_of, model_key
from smallfirst.linear.label_answers import label_answers, labels_answer
from smallfirst.linear.messages import own_words
from smallfirst.linear.model import LinearModel
from smallfirst.linear.nearest import NearestExamples
from smallfirst.linear.probabilities import Floats

#: Why a text has no answer.
NOTHING_KNOWN: Final = "the text holds no word or stretch of letters that the model knows"
TOO_LONG: Final = f"the text has more than the {MAX_CHARS:,} characters that a linear model reads"


@dataclass(frozen=True)
class LinearSkill:
    """A task's model at work.

    Attributes:
        model: Which answers.
        reads_message: Whether a mail's own words are read alone; see `own_words`.
        taught_by: The task whose examples the model was made of; None where other rows made it.
    """

    model: LinearModel
    reads_message: bool = False
    taught_by: Task | None = None

    @property
    def revision(self) -> str:
        """Which version answers."""
        return self.model.key[:12]

    def answers(
        self,
        texts: Sequence[str],
        *,
        explained: Collection[int] = (),
        whole: Collection[int] = (),
        temperature: float = 1.0,
    ) -> list[LabelAnswer | LabelsAnswer | str]:
        """Answer texts, or say why there is no answer, in their order.

        Args:
            texts: What stands beside a text changes nothing about its own answer.
            explained: The numbers of those that are answered with the words that drove the answer.
            whole: The numbers of those that keep the probability of every label.
            temperature: Makes answers of one label softer (above 1) or sharper (below 1).
        """
        read = [self._read(text) for text in texts]
        judged = self.model.probabilities([text or "" for text in read])
        given = list(self._given(judged.probabilities, whole, temperature))
        for number in explained:
            if judged.is_known[number]:
                winner = int(judged.probabilities[number].argmax())
                reasons = self._reasons(read[number] or "", winner)
                given[number] = with_reasons(given[number], reasons)
        return [
            answer if is_known else TOO_LONG if text is None else NOTHING_KNOWN
            for answer, text, is_known in zip(given, read, judged.is_known, strict=True)
        ]

    def _reasons(self, text: str, winner: int) -> Reasons:
        evidence, explanation = explain(self.model, text, winner)
        alike = self._nearest.most_alike(self.model, text) if self._nearest else ()
        return Reasons(evidence, explanation.model_copy(update={"alike": alike}))

    @cached_property
    def _nearest(self) -> NearestExamples | None:
        """The examples as the model sees them: weighed when the first job asks why."""
        if self.taught_by is None:
            return None
        labels_of, examples = KINDS[self.taught_by.kind].labels_of, self.taught_by.examples
        texts = [self._read(example.text) or "" for example in examples]
        labels = [labels_of(each) for each in examples]
        keys = [text_key(each.text) for each in examples]
        return NearestExamples.of(self.model, texts, labels, keys)

    def _read(self, text: str) -> str | None:
        """What is read of a text; None of one that is too long."""
        if len(text) > MAX_CHARS:
            return None
        return own_words(text) if self.reads_message else text

    def _given(
        self, probabilities: Floats, whole: Collection[int], temperature: float
    ) -> Sequence[LabelAnswer | LabelsAnswer]:
        labels = self.model.labels
        if self.model.form is HeadForm.EACH:
            answers = [labels_answer(labels, row) for row in probabilities]
            return [a if n in whole else labels_with_likeliest(a) for n, a in enumerate(answers)]
        rows = tempered_rows(rounded_rows(probabilities.astype(np.float64)), temperature)
        return label_answers(labels, rows, whole)


def key_of(task: Task, model: Model) -> str:
    """Hash what decides the answers of the model that a task asks.

    Raises:
        ModelFilesError: When its files cannot be read.
    """
    if model.is_bundled:
        return model_key(task)
    said = [content_hash(Path(model.source)), task.kind, list(task.labels), task.reads]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def source_of(task: Task, model: Model, cache: Path) -> Path:
    """Name the folder of the model that answers a task: its own, or what its examples make."""
    return folder_of(task, cache) if model.is_bundled else Path(model.source)


def load_skill(name: str, task: Task, model: Model, cache: Path) -> LinearSkill:
    """Load the model that answers a task.

    Args:
        name: Of the task.
        task: With its examples.
        model: What the catalogue says of the model.
        cache: Folder of what was trained from examples.

    Raises:
        CatalogueError: When it was trained for something else.
        ModelFilesError: When it is not there, or broken.
    """
    found = LinearModel.load(source_of(task, model, cache))
    reads_message = task.reads == "message"
    if model.is_bundled:
        return LinearSkill(found, reads_message=reads_message, taught_by=task)
    if problem := linear_problem(task, model, model.source):
        raise CatalogueError(CatalogueProblem(None, None, place_text(("tasks", name)), problem))
    ordered = found.reordered(tuple(task.labels), key=key_of(task, model))
    return LinearSkill(ordered, reads_message=reads_message)
