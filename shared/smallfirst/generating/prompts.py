"""What a large model is asked, so that it writes texts of a label, and what it has written. Pure.

It is asked as for any record: its answer is an object of so many texts, by a JSON Schema, and
nothing else can come of it. Each question shows other examples, so that no two are the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from smallfirst.answers import RecordAnswer
from smallfirst.catalogue import Catalogue, Example, Task
from smallfirst.jobs import MAX_TEXT_CHARS
from smallfirst.kinds import KINDS, HeadForm

#: The task of the fleet that is asked.
WRITE: Final = "write"
#: Texts of one answer: more are more alike, fewer cost the question more often.
TEXTS_OF_ANSWER: Final = 5
#: Examples of a question, and the most characters of one.
_SHOWN, _MOST_CHARS = 4, 600
_MAX_ANSWER_TOKENS: Final = 1024
_INSTRUCTIONS: Final = (
    "You are given a label, what it is for, and texts that have it. Write new texts that people"
    " could have sent, each plainly of this label and of none of the others, in the language and"
    " the style of those shown, and each about something else than they are. Copy none of them."
)


def writing_catalogue(catalogue: Catalogue, model: str) -> dict[str, Any]:
    """Derive the catalogue of a fleet that writes texts.

    Args:
        catalogue: The team's own.
        model: The name of a large model of it that writes.

    Returns:
        As it stands in a YAML file.
    """
    written = catalogue.model_dump(mode="json", exclude_unset=True, exclude={"tasks"})
    fields = {
        f"text_{number}": {"type": "string", "description": "a new text of this label"}
        for number in range(1, TEXTS_OF_ANSWER + 1)
    }
    task = {
        "kind": "extract",
        "instructions": _INSTRUCTIONS,
        "fields": fields,
        "max_answer_tokens": _MAX_ANSWER_TOKENS,
        "cascade": [{"model": model}],
    }
    models = {model: written["models"][model]}
    return {**written, "models": models, "tasks": {WRITE: task}}


def question(task: Task, label: str, examples: Sequence[Example], number: int) -> str:
    """Ask for texts of a label.

    Args:
        task: The one that the rows are for.
        label: One of its labels.
        examples: That have the label; some of them are shown, others in each question.
        number: Of the question.
    """
    shown = Random(number).sample(list(examples), min(_SHOWN, len(examples)))  # noqa: S311
    others = [_described(name, task) for name in task.labels if name != label]
    parts = [
        *([f"Task: {task.description}"] if task.description else ()),
        f"Label: {_described(label, task)}",
        "Other labels, which must not fit:",
        *(f"- {each}" for each in others),
        *(["Texts that have the label:"] if shown else ()),
        *(f"- {each.text[:_MOST_CHARS]}" for each in shown),
        f"Question {number}: write {TEXTS_OF_ANSWER} new texts.",
    ]
    return "\n".join(parts)


def _described(label: str, task: Task) -> str:
    about = task.labels[label]
    return f"{label}: {about}" if about else label


def texts_in(answer: object) -> Iterator[str]:
    """Take the texts out of an answer; what is none is passed over."""
    if not isinstance(answer, RecordAnswer):
        return
    for value in answer.record.values():
        if isinstance(value, str) and value.strip() and len(value) <= MAX_TEXT_CHARS:
            # Half a character, which JSON can carry and a file cannot, becomes a question mark.
            yield value.strip().encode(errors="replace").decode()


def right_answer(task: Task, label: str) -> Mapping[str, Any]:
    """The keys of a row that say its label."""
    spec = KINDS[task.kind]
    is_choice = spec.head is HeadForm.CHOICE
    return {str(spec.example_key): label if is_choice else [label]}


def has_label(task: Task, example: Example, label: str) -> bool:
    """Whether an example has a label, and no other."""
    return KINDS[task.kind].labels_of(example) == (label,)


def shares(number: int, labels: Sequence[str]) -> dict[str, int]:
    """Deal a number of rows out to labels, evenly."""
    each, rest = divmod(number, len(labels))
    return {label: each + (place < rest) for place, label in enumerate(labels)}
