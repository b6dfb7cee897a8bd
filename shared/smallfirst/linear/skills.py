"""A task as a linear model serves it: which model answers, and what it says of a text."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smallfirst.answers import LabelAnswer, LabelsAnswer
from smallfirst.catalogue import Model, Task, place_text
from smallfirst.catalogue.model_files import content_hash
from smallfirst.catalogue.model_tasks import linear_problem
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.kinds import HeadForm
from smallfirst.linear.explaining import evidence
from smallfirst.linear.features import MAX_CHARS
from smallfirst.linear.fitting import folder_of, model_key
from smallfirst.linear.label_answers import label_answer, labels_answer
from smallfirst.linear.messages import own_words
from smallfirst.linear.model import LinearModel

#: Why a text has no answer.
NOTHING_KNOWN: Final = "the text holds no word or stretch of letters that the model knows"
TOO_LONG: Final = f"the text has more than the {MAX_CHARS:,} characters that a linear model reads"


@dataclass(frozen=True)
class LinearSkill:
    """A task's model at work.

    Attributes:
        model: Which answers.
        reads_message: Whether a mail's own words are read alone; see `own_words`.
    """

    model: LinearModel
    reads_message: bool = False

    @property
    def revision(self) -> str:
        """Which version answers."""
        return self.model.key[:12]

    def answer(self, text: str, *, explains: bool = False) -> LabelAnswer | LabelsAnswer | str:
        """Answer a text, or say why there is no answer."""
        if len(text) > MAX_CHARS:
            return TOO_LONG
        read = own_words(text) if self.reads_message else text
        probabilities = self.model.probabilities(read)
        if probabilities is None:
            return NOTHING_KNOWN
        winner = int(probabilities.argmax())
        words = evidence(self.model, read, winner) if explains else ()
        if self.model.form is HeadForm.EACH:
            return labels_answer(self.model.labels, probabilities, words)
        return label_answer(self.model.labels, probabilities, words)


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
        return LinearSkill(found, reads_message=reads_message)
    if problem := linear_problem(task, model, model.source):
        raise CatalogueError(CatalogueProblem(None, None, place_text(("tasks", name)), problem))
    ordered = found.reordered(tuple(task.labels), key=key_of(task, model))
    return LinearSkill(ordered, reads_message=reads_message)
