"""Kinds of task: each is whole."""

import pytest

from smallfirst.answers import UnknownAnswer
from smallfirst.catalogue import Catalogue, Kind, Task, step_specs
from smallfirst.kinds import EXAMPLE_KEYS, KINDS, Example, TaskKeys, in_words, prompting_of


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_that_can_be_written_is_asked_and_read(kind: Kind) -> None:
    """It has words, and a reader unless its labels are scored; another is not asked in words."""
    spec = KINDS[kind]

    if spec.can_be_written:
        prompting = prompting_of(kind)
        assert prompting.order
        assert prompting.cue
        assert (prompting.read is None) == spec.is_one_label
    else:
        with pytest.raises(ValueError, match=kind):
            prompting_of(kind)


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_names_keys_that_there_are(kind: Kind) -> None:
    """Its example's key and its task's keys are fields, and its answer can be asked for."""
    spec = KINDS[kind]

    assert spec.example_key is None or spec.example_key in EXAMPLE_KEYS
    assert set(spec.needs) <= set(TaskKeys.model_fields)
    assert set(TaskKeys.model_fields) < set(Task.model_fields)
    assert spec.head is not None or spec.can_be_written


def test_every_key_of_an_example_is_some_kinds() -> None:
    """Each answer is declared by one kind; a quote goes with its verdict."""
    keys = {spec.example_key for spec in KINDS.values()} - {None}

    assert set(EXAMPLE_KEYS) - keys == {"quote"}
    assert list(Example.model_fields) == ["text", *EXAMPLE_KEYS, "id", "weight"]


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_compared_or_says_why_not(kind: Kind) -> None:
    """Answers are right or wrong by a measure, or a reason stands for people to read."""
    spec = KINDS[kind]

    assert (spec.scoring is None) == bool(spec.unscored)
    assert spec.scoring is None or spec.scoring.measure


def test_an_answer_of_a_newer_kind_is_said_in_words() -> None:
    """Whoever reads it is told that this version does not know it."""
    answer = UnknownAnswer(kind="table", confidence=0.5, fields={})

    assert in_words(answer) == "an answer of the kind 'table', which this version does not know"


class _WiderExample(Example):
    """An example as it would be with one kind more."""

    rank: int | None = None


def test_a_new_kind_breaks_no_promise() -> None:
    """A key that an example does not use changes nothing that a step was calibrated with."""
    catalogue = Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"mini": {"source": "bundled:minilm"}},
            "tasks": {
                "topic": {
                    "kind": "embed",
                    "examples": [{"text": "a"}],
                    "cascade": [{"model": "mini"}],
                }
            },
        }
    )
    task = catalogue.tasks["topic"]
    wider = task.model_copy(update={"examples": (_WiderExample(text="a"),)})

    assert step_specs(wider, catalogue.models) == step_specs(task, catalogue.models)
