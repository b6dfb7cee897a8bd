"""Whether a model can answer a task by what both say of themselves. Pure.

Workers refuse by these words what they cannot serve, and so does whoever checks a catalogue: what
is approved there is accepted here.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import Kind, Model, Task
from smallfirst.catalogue.encoder_config import HEAD_FILE, EncoderConfig
from smallfirst.catalogue.encoder_files import pooling_of
from smallfirst.catalogue.model_files import model_folder
from smallfirst.catalogue.output_names import OUTSIDE, names_several_parts, without_prefix
from smallfirst.errors import ModelFilesError
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.wording import counted, did_you_mean

#: Fewest examples a label needs: one to learn from while the other is left out.
MIN_EXAMPLES_PER_LABEL = 2
#: How the vectors came about that a head beside its encoder was trained on.
TRAINED_POOLING = "mean"
#: What a linear model says of itself, in its folder.
LINEAR_FILE = "linear.json"
#: How transformers begins the name of an output that nobody named.
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
    own = {label_of(output, serves) for output in config.own_labels} - _unlabelled(serves)
    if own == set(task.labels) - _unlabelled(serves):
        return None
    rule = f"must have the labels of models.{name}, which are: {', '.join(sorted(own))}"
    return rule + _about_labels(task, config, name)


def _about_labels(task: Task, config: EncoderConfig, name: str) -> str:
    """What to do where the outputs of a model are not called as the task's labels are."""
    form = form_of(config)
    own = [label_of(output, form) for output in config.own_labels]
    given = [label_of(output, form) for output in config.given_labels]
    known = {*task.labels, *_unlabelled(form)}
    foreign = [old for old, label in zip(given, own, strict=True) if label not in known]
    if not foreign:
        return ""
    remedy = f"say in models.{name}.outputs which label each is, {{{foreign[0]}: …}}"
    if any(label.startswith(_PLACEHOLDER) for label in own):
        why = f"; {_PLACEHOLDER}n stands for a name that was not given"
        return f"{why}: {remedy}, in the order in which the model was trained"
    is_case = {label.casefold() for label in own} == {label.casefold() for label in task.labels}
    return f"{'; upper and lower case count' if is_case else ''}; or {remedy}"


def renaming_problem(config: EncoderConfig) -> str | None:
    """Say why a model's outputs cannot be called as the catalogue does; None where they can."""
    return next(_renaming_problems(config), None)


def _renaming_problems(config: EncoderConfig) -> Iterator[str]:
    names, given = config.renaming, config.given_labels
    if names and (config.classifier is None or config.is_number):
        yield "names the labels of a classifier, and the model is none; leave it out"
    known = {*given, *(label_of(output, form_of(config)) for output in given)}
    for name in names:
        if name not in known:
            listed = ", ".join(given)
            near = did_you_mean(name, known)
            yield f"has {name!r}, which is none of the model's outputs ({listed}){near}"
    for name, new in names_several_parts(given, names):
        yield f"calls every part of {name!r} {new!r}; leave the prefix out, or name each part"
    if config.is_multilabel:
        # The probabilities of labels that exclude each other add up; those of others do not.
        for name in (name for name, count in Counter(config.own_labels).items() if count > 1):
            yield f"must tell apart the outputs that are called {name!r}: each is judged for itself"


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
    return without_prefix(output) if form is HeadForm.WORDS else output


def _unlabelled(form: HeadForm) -> frozenset[str]:
    """What a classifier says of that which has no label; one of whole texts gives each a label."""
    return frozenset({OUTSIDE}) if form is HeadForm.WORDS else frozenset()


def is_of_pairs(config: EncoderConfig) -> bool:
    """Whether a model's classifier judges, by its labels, how two texts go together."""
    if config.classifier != "sequence":
        return False
    return bool(_OF_PAIRS & {label.lower() for label in config.given_labels})


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
