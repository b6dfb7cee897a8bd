"""Candidates in shadow that cannot be served: each is left out alone, and live tasks come first."""

from collections.abc import Callable, Sequence

import pytest

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.sound_shadows import blamed, serve_sound
from smallfirst.errors import CatalogueError, CatalogueProblem, ModelFilesError
from smallfirst_router.errors import RuleError, StillTraining
from smallfirst_workers.errors import ModelError, TaskError

LABELS = {"up": "Up.", "down": "Down."}
NAMES = ("one", "two", "three")
#: The errors of this test's fleet.
ERRORS = (CatalogueError, ModelFilesError, RuleError, ModelError, TaskError, StillTraining)


def catalogue() -> Catalogue:
    """Three tasks, each with a candidate that asks a model of its own and one that all ask."""
    task = {"kind": "classify", "labels": LABELS, "cascade": [{"model": "shared"}]}
    candidates = {
        f"next-{name}": {
            **task,
            "cascade": [{"model": name}, {"model": "shared"}],
            "shadow": {"of": name},
        }
        for name in NAMES
    }
    models = {name: {"source": f"/models/{name}"} for name in (*NAMES, "shared")}
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": models,
            "tasks": {**dict.fromkeys(NAMES, task), **candidates},
        }
    )


def at(where: str) -> CatalogueError:
    """An error of a place in the catalogue."""
    return CatalogueError(CatalogueProblem(None, None, where, "is wrong"))


def failing(*wrong: tuple[str, Exception]) -> Callable[[Catalogue], Sequence[str]]:
    """Serve a catalogue, or raise for the first of these tasks that it has."""

    def serve(tried: Catalogue) -> Sequence[str]:
        for name, error in wrong:
            if name in tried.tasks:
                raise error
        return tuple(tried.models)

    return serve


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (at("tasks.next-one.cascade[0].accept"), {"next-one"}),
        (at("tasks.next-one"), {"next-one"}),
        (at("models.two"), {"next-two"}),
        (at("models.shared.source"), {"next-one", "next-two", "next-three"}),
        (ModelFilesError("/models/three", "no folder", "bring it"), {"next-three"}),
        (ModelError("two", "is torn"), {"next-two"}),
        (TaskError("next-three", "is void"), {"next-three"}),
        (RuleError("up", "no argument", "next-one"), {"next-one"}),
        (RuleError("up", "no argument"), set()),
        (at("tasks.one"), set()),
        (at(""), set()),
        (ValueError("anything"), set()),
    ],
)
def test_an_error_speaks_of_those_whose_task_or_model_it_names(
    error: Exception, names: set[str]
) -> None:
    """And of no candidate, where it names none, or a live task."""
    assert blamed(catalogue(), error) == names


def test_each_broken_candidate_is_left_out_and_the_others_are_served() -> None:
    """With what is wrong with it, and without its model."""
    torn, void = ModelError("two", "is torn"), TaskError("next-three", "is void")
    served = serve_sound(
        catalogue(), failing(("next-two", torn), ("next-three", void)), errors=ERRORS
    )
    assert served.left_out == {"next-two": torn, "next-three": void}
    assert served.outcome == ("one", "shared")
    assert served.catalogue.shadows == ("next-one",)
    assert set(NAMES) <= set(served.catalogue.tasks)


def test_where_nobody_can_tell_who_is_to_blame_live_tasks_are_served() -> None:
    """Without any candidate; each is named."""
    odd = ModelFilesError("hub/three", "odd", "bring it")
    served = serve_sound(catalogue(), failing(("next-three", odd)), errors=ERRORS)
    assert served.left_out == dict.fromkeys((f"next-{name}" for name in NAMES), odd)
    assert served.catalogue.shadows == ()


def test_what_is_wrong_with_a_live_task_is_raised() -> None:
    """Whatever candidates there are; and so is what is none of the errors."""
    with pytest.raises(TaskError, match=r"tasks\.one"):
        serve_sound(catalogue(), failing(("one", TaskError("one", "is void"))), errors=ERRORS)
    with pytest.raises(KeyError):
        serve_sound(catalogue(), failing(("next-one", KeyError("a slip"))), errors=ERRORS)


def test_what_ends_by_itself_is_waited_for_but_what_is_broken_is_not() -> None:
    """A candidate's model is being trained, and another one's is torn."""
    wrong = ("next-two", ModelError("two", "is torn")), ("next-one", StillTraining(1))
    with pytest.raises(StillTraining):
        serve_sound(catalogue(), failing(*wrong), errors=ERRORS, passing=(StillTraining,))
