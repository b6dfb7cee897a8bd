"""Laws of the candidates: every way in which a large model says something of its own."""

import json
from pathlib import Path

import pytest

from smallfirst.catalogue import Catalogue, Kind, Model
from smallfirst.fitting.asking import Part
from smallfirst.fitting.candidates import joined, large_candidates, offer_of, task_of
from smallfirst.fitting.tuned import with_tuned
from smallfirst.fitting.writing import Destination, beside

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


def test_a_tuned_model_answers_alone_and_beside_the_linear_one(tmp_path: Path) -> None:
    """Both are right by the catalogue's rules, come after all others, and are of one model."""
    to = Destination(tmp_path / "catalogue.yaml", "topic")
    offer = offer_of(None, "topic", Kind.CLASSIFY, with_large=False)
    tuned = with_tuned(offer, to, [Part("promising", (), ())])
    both = joined(offer, tuned)
    assert both.candidates == (*offer.candidates, *tuned.candidates)
    assert len({each.models[-1] for each in tuned.candidates}) == 1
    for each in tuned.candidates:
        task = task_of({"kind": "classify", **WRITTEN}, (each,))
        Catalogue.model_validate_json(json.dumps({**both.base, "tasks": {"topic": task}}))


def test_a_model_beside_the_catalogue_is_named_from_there(tmp_path: Path) -> None:
    """So that the folder may be moved; what lies elsewhere, or is bundled, keeps its name."""
    to = Destination(tmp_path / "catalogue.yaml", "topic")
    sources = {
        "own": str(tmp_path / "models" / "own"),
        "far": "/far/away",
        "words": "bundled:words",
    }
    added = {"models": {name: {"source": source} for name, source in sources.items()}}
    found = beside(to, added)["models"]
    assert {name: each["source"] for name, each in found.items()} == {
        **sources,
        "own": "./models/own",
    }
