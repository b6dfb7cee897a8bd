"""Whether a model can answer a task by what both say of themselves. Pure.

Workers refuse by these words what they cannot serve, and so does whoever checks a catalogue: what
is approved there is accepted here.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import Kind, Model, Task
from smallfirst.catalogue.encoder_config import HEAD_FILE, EncoderConfig
from smallfirst.catalogue.encoder_files import pooling_of
from smallfirst.catalogue.model_files import model_folder
from smallfirst.errors import ModelFilesError
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.wording import counted

#: Fewest examples a label needs: one to learn from while the other is left out.
MIN_EXAMPLES_PER_LABEL = 2
#: How the vectors came about that a head beside its encoder was trained on.
TRAINED_POOLING = "mean"
#: What a linear model says of itself, in its folder.
LINEAR_FILE = "linear.json"
#: The tag of a word outside every span, in token classifiers of every school.
OUTSIDE = "O"
#: What schools of tagging put before a label.
_PREFIXES = ("B-", "I-", "E-", "L-", "S-", "U-")
_PLACEHOLDER = "LABEL_"
#: What classifiers of two texts say of them: the first follows from the second, or is the same.
_OF_PAIRS = frozenset({"entailment", "contradiction", "not_entailment", "paraphrase"})


@dataclass(frozen=True)
class TrainedFor:
    """What the head beside an encoder was trained for."""

    kind: Kind
    labels: tuple[str, ...]


def encoder_problem(task: Task, model: Model, name: str, config: EncoderConfig) -> str | None:
    """Say why a small model cannot answer a task; None where it can.

    Args:
        task: Of the catalogue.
        model: What the catalogue says of the model.
        name: The model's.
        config: What its files say of it.

    Raises:
        ModelFilesError: When its files cannot be read.
    """
    if config.classifier is not None:
        return classifier_problem(task, config, name)
    if KINDS[task.kind].head is HeadForm.VECTOR:
        return None
    if not config.has_head:
        return examples_problem(task)
    pooling = pooling_of(model, config.folder)
    return head_problem(task, read_trained_for(config.folder), pooling, name)


def linear_problem(task: Task, model: Model, name: str) -> str | None:
    """Say why a linear model cannot answer a task; None where it can.

    Args:
        task: Of the catalogue.
        model: What the catalogue says of the model.
        name: The model's.

    Raises:
        ModelFilesError: When its files cannot be read.
    """
    if model.is_bundled:
        return examples_problem(task)
    trained = read_trained_for(model_folder(model), LINEAR_FILE)
    return head_problem(task, trained, TRAINED_POOLING, name)


def classifier_problem(task: Task, config: EncoderConfig, name: str) -> str | None:
    """Say why a model's own classifier cannot answer a task; None where it can."""
    form = KINDS[task.kind].head
    if form is HeadForm.VECTOR:
        return f"wants vectors, but models.{name} only classifies"
    if config.is_number:
        return (
            f"cannot be answered by models.{name}: its one output is a number (a regression, or a"
            " score of two texts), and no kind of task asks for one"
        )
    serves = form_of(config)
    if form is not serves:
        kinds = " or ".join(kind for kind, spec in KINDS.items() if spec.head is serves)
        return f"is of kind {task.kind}, but models.{name} can only {kinds}"
    own = {label_of(output, serves) for output in config.own_labels} - {OUTSIDE}
    if own == set(task.labels) - {OUTSIDE}:
        return None
    return f"must have the labels of models.{name}, which are: {', '.join(sorted(own))}" + (
        _about_labels(own, task.labels)
    )


def _about_labels(own: set[str], wanted: Iterable[str]) -> str:
    """What to do where a model's labels are nobody's words, or the task's but for their case."""
    if all(label.startswith(_PLACEHOLDER) for label in own):
        example = '{"0": "…", "1": "…"}'
        return (
            "; they stand for names that were not given: write these into id2label of its"
            f" config.json, {example}, in the order in which it was trained"
        )
    is_case = {label.casefold() for label in own} == {label.casefold() for label in wanted}
    return "; upper and lower case count" if is_case else ""


def head_problem(task: Task, trained: TrainedFor, pooling: str, name: str) -> str | None:
    """Say why the head beside an encoder cannot answer a task; None where it can."""
    if task.kind is not trained.kind:
        return f"is of kind {task.kind}, but models.{name} is trained to {trained.kind}"
    if set(task.labels) != set(trained.labels):
        labels = ", ".join(sorted(trained.labels))
        return f"must have the labels of models.{name}, which are: {labels}"
    if pooling != TRAINED_POOLING:
        return f"needs models.{name} to have pooling {TRAINED_POOLING}"
    return None


def examples_problem(task: Task) -> str | None:
    """Say why a head cannot be trained from a task's examples; None where it can."""
    if not task.examples:
        return f"has no examples; its head needs at least {MIN_EXAMPLES_PER_LABEL} per label"
    labels_of = KINDS[task.kind].labels_of
    counts = Counter(label for example in task.examples for label in labels_of(example))
    label, count = min(((label, counts[label]) for label in task.labels), key=lambda pair: pair[1])
    if count >= MIN_EXAMPLES_PER_LABEL:
        return None
    has = counted(count, "example")
    return f"has {has} of {label!r}; its head needs at least {MIN_EXAMPLES_PER_LABEL}"


def form_of(config: EncoderConfig) -> HeadForm:
    """How a model's own classifier answers."""
    if config.classifier == "token":
        return HeadForm.WORDS
    return HeadForm.EACH if config.is_multilabel else HeadForm.CHOICE


def label_of(output: str, form: HeadForm) -> str:
    """The label that an output of a classifier speaks for: `B-person` for `person`."""
    is_prefixed = form is HeadForm.WORDS and output.startswith(_PREFIXES)
    return output[2:] if is_prefixed else output


def is_of_pairs(config: EncoderConfig) -> bool:
    """Whether a model's classifier judges, by its labels, how two texts go together."""
    if config.classifier != "sequence":
        return False
    return bool(_OF_PAIRS & {label.lower() for label in config.own_labels})


def read_trained_for(folder: Path, file: str = HEAD_FILE) -> TrainedFor:
    """Read what a head, or a linear model, was trained for.

    Raises:
        ModelFilesError: When its file is torn.
    """
    try:
        about = json.loads((folder / file).read_text(encoding="utf-8"))
        return TrainedFor(Kind(about["kind"]), tuple(about["labels"]))
    except (OSError, ValueError, LookupError, TypeError) as err:
        reason = f"cannot be loaded: {file}: {err}"
        raise ModelFilesError(str(folder), reason, "train it again") from err
