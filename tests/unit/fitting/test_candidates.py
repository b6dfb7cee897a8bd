"""Laws of the candidates: every way in which a large model says something of its own."""

import json

import pytest

from smallfirst.catalogue import Catalogue, Kind, Model
from smallfirst.fitting.candidates import large_candidates, task_of

WRITTEN = {"labels": {"a": "", "b": ""}}
#: A large model that a worker runs, and one behind an endpoint, each with its pool.
LARGE = {
    "local": (
        {"tier": "llm", "max_parameters": "10B"},
        {"tier": "llm", "source": "/models/large", "parameters": "8B"},
    ),
    "hosted": (
        {"tier": "llm", "remote": True},
        {"tier": "llm", "source": "large", "endpoint": "http://127.0.0.1:9/v1"},
    ),
}
PLAIN = {"few-shot", "zero-shot"}
THINKING = {"thinking", "thinking, voting"}


@pytest.mark.parametrize(
    ("name", "kind", "asked"),
    [
        ("hosted", Kind.CLASSIFY, PLAIN | {"voting"}),
        ("hosted", Kind.MULTILABEL, PLAIN | {"voting"}),
        # Where the probability of each label is found, every vote is the same but for the thought.
        ("local", Kind.CLASSIFY, PLAIN | THINKING),
        ("local", Kind.MULTILABEL, PLAIN | {"thinking", "voting"}),
    ],
)
def test_a_large_model_is_asked_in_every_way_that_a_catalogue_allows(
    name: str, kind: Kind, asked: set[str]
) -> None:
    """Each says something else than the others, and is right by the catalogue's own rules."""
    pool, model = LARGE[name]
    base = {"version": 1, "pools": {"own": pool}, "models": {name: model}}
    large = list(large_candidates(name, Model.model_validate(model).engine_spec, kind))
    assert {each.name.removeprefix(f"{name}, ") for each in large} == asked
    for each in large:
        task = task_of({"kind": kind.value, **WRITTEN}, (each,))
        Catalogue.model_validate_json(json.dumps({**base, "tasks": {"topic": task}}))
