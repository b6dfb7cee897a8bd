"""Laws of training heads and of keeping them."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smallfirst.answers import LabelAnswer, LabelsAnswer
from smallfirst.catalogue import Example, Kind, ModelStep, Task
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import TaskError
from smallfirst_workers.slm.engine import SlmEngine

Load = Callable[..., SlmEngine]
CASCADE = (ModelStep(model="minilm"),)
TEXTS = (
    "my card has not arrived",
    "where is the card I ordered",
    "please refund the payment",
    "when do I get my refund",
    "I cannot log in",
    "the app says wrong password",
    "it is snowing",
    "call me back",
)
MODEL_ONLY = ("openvino", "tokenizers")


@pytest.fixture
def own_cache(engine: SlmEngine, cache: Path, tmp_path: Path) -> Path:
    """A cache that knows the model and no head."""
    assert engine.revision
    for folder in MODEL_ONLY:
        (tmp_path / folder).symlink_to(cache / folder)
    return tmp_path


def stamps(cache: Path) -> dict[str, int]:
    """When each file of each head was written."""
    files = (cache / "heads").glob("*/*")
    return {f"{path.parent.name}/{path.name}": path.stat().st_mtime_ns for path in files}


def test_a_head_is_trained_once(load: Load, tasks: Mapping[str, Task], own_cache: Path) -> None:
    """A second process finds the heads of the first and answers as it does."""
    first = load(cache=own_cache)
    first.prepare(tasks)
    before = stamps(own_cache)

    second = load(cache=own_cache)
    second.prepare(tasks)

    assert len(before) == 10
    assert stamps(own_cache) == before
    asked = [EngineRequest("my card is gone", task) for task in tasks]
    assert second.run(asked).answers == first.run(asked).answers


def test_only_what_changed_is_trained_again(
    load: Load, tasks: Mapping[str, Task], own_cache: Path
) -> None:
    """Another description changes nothing; another example trains that one task's head."""
    engine = load(cache=own_cache)
    engine.prepare(tasks)
    before = stamps(own_cache)
    topic = tasks["topic"]

    engine.prepare({**tasks, "topic": topic.model_copy(update={"description": "other"})})
    assert stamps(own_cache) == before

    more = (*topic.examples, Example(text="the new card never came", label="card"))
    engine.prepare({**tasks, "topic": topic.model_copy(update={"examples": more})})
    after = stamps(own_cache)
    assert len(after) == len(before) + 4
    assert {name: after[name] for name in before} == before


def test_training_twice_gives_the_same_head(
    load: Load, tasks: Mapping[str, Task], own_cache: Path, engine: SlmEngine
) -> None:
    """Nothing about training is left to chance."""
    again = load(cache=own_cache)
    again.prepare(tasks)

    asked = [EngineRequest("is there a refund for Ada Lovelace", task) for task in tasks]
    assert again.run(asked).answers == engine.run(asked).answers


def test_examples_that_come_again_make_no_head_surer(load: Load, own_cache: Path) -> None:
    """Labels that the texts do not tell, each text three times: nothing to be sure of is found.

    Were a text learned from in one fold and left out in another, the head would know it by heart.
    """
    rows = [(text, ("good", "bad")[place % 2]) for place, text in enumerate(TEXTS)]
    again = [Example(text=form, label=label) for text, label in rows for form in forms_of(text)]
    labels = {"good": "", "bad": ""}
    engine = load(cache=own_cache)

    engine.prepare(
        {"mood": Task(kind=Kind.CLASSIFY, labels=labels, examples=again, cascade=CASCADE)}
    )

    (head,) = (own_cache / "heads").glob("*/head.json")
    facts = json.loads(head.read_text())
    assert facts["strength"] < 10
    assert facts["left_out_log_loss"] > 0.6


def forms_of(text: str) -> tuple[str, str, str]:
    """One text as three people type it."""
    return text, text.upper(), f"{text} !"


def test_processes_that_start_together_train_once(minilm: Path, own_cache: Path) -> None:
    """The first trains, the others wait and find its head."""
    script = f"""
from pathlib import Path
from smallfirst.catalogue import Example, Kind, Model, ModelStep, Task
from smallfirst_workers.slm.engine import SlmEngine
engine = SlmEngine.load("minilm", Model(source="./m"), Path({str(minilm)!r}),
                        cache=Path({str(own_cache)!r}), threads=1)
examples = [Example(text=f"{{way}} {{n}}", label=way) for way in ("up", "down") for n in range(4)]
engine.prepare({{"move": Task(kind=Kind.CLASSIFY, labels={{"up": "", "down": ""}},
                              examples=examples, cascade=(ModelStep(model="minilm"),))}})
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    logs = [child.communicate(timeout=90)[0] for child in children]

    assert [child.returncode for child in children] == [0, 0, 0]
    assert sum(log.count("head.trained") for log in logs) == 1


def test_several_labels_are_judged_each_for_itself(engine: SlmEngine) -> None:
    """A text about two things bears both labels, and one about neither bears none."""
    done = engine.run(
        [
            EngineRequest("my card is lost and I want a refund", "about"),
            EngineRequest("it is snowing", "about"),
        ]
    )

    both, neither = done.answers
    assert isinstance(both, LabelsAnswer)
    assert isinstance(neither, LabelsAnswer)
    assert set(both.labels) >= {"card", "refund"} - {"login"}
    assert neither.labels == ()


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ((), "tasks.mood has no examples; its head needs at least 2 per label"),
        (
            ({"text": "fine", "label": "good"}, {"text": "nice", "label": "good"}),
            "tasks.mood has 0 examples of 'bad'; its head needs at least 2",
        ),
    ],
)
def test_too_few_examples_are_refused_by_name(
    engine: SlmEngine, examples: tuple[dict[str, str], ...], message: str
) -> None:
    """The error names task, label and number, and what was served before is still served."""
    task = Task(
        kind=Kind.CLASSIFY,
        labels={"good": "", "bad": ""},
        examples=tuple(Example(**one) for one in examples),
        cascade=CASCADE,
    )

    with pytest.raises(TaskError) as caught:
        engine.prepare({"mood": task})

    assert str(caught.value) == message
    assert isinstance(
        engine.run([EngineRequest("a refund, please", "about")]).answers[0], LabelsAnswer
    )


def test_a_revision_names_model_and_head(engine: SlmEngine) -> None:
    """A head of other examples is another revision; an embedding has the model's alone."""
    assert engine.revision == engine.folder.content_hash[:12]
    assert engine.revision_of("similar") == engine.revision_of("absent") == engine.revision
    assert engine.revision_of("topic") != engine.revision_of("about")
    assert engine.revision_of("topic").startswith(engine.revision)


def test_a_text_is_as_foreign_as_its_nearest_example_is_far(
    load: Load, tasks: Mapping[str, Task]
) -> None:
    """An example is not foreign at all, and a text about something else more than all of them."""
    step = ModelStep(model="minilm", foreign=0.95)
    task = tasks["topic"]
    more = tuple(
        Example(text=f"{row.text}, since last {day}", label=row.label)
        for row in task.examples
        for day in ("Monday", "summer")
    )
    task = task.model_copy(update={"examples": (*task.examples, *more), "cascade": (step,)})
    engine = load()
    engine.prepare({"topic": task})
    texts = (task.examples[0].text, "Gold futures fell by two per cent in early trading")
    done = engine.run([EngineRequest(text, "topic") for text in texts])
    near, far = done.answers
    assert isinstance(near, LabelAnswer)
    assert isinstance(far, LabelAnswer)
    assert (near.foreign, far.foreign) == (0.0, 1.0)
