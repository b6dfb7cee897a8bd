"""A worker's models change under it: the one before leaves only when the new one answers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smallfirst.catalogue import Catalogue, Task
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import ModelError
from smallfirst_workers.models import Models

LABELLED = {
    "kind": "classify",
    "labels": {"good": "content", "bad": "cross"},
    "examples": [
        {"text": text, "label": label}
        for label, texts in (("good", ("thanks", "lovely")), ("bad", ("furious", "terrible")))
        for text in texts
    ],
    "cascade": [{"rule": {"patterns": [{"label": "good", "pattern": "thanks"}]}}],
}


def test_a_torn_model_is_not_taken_up(
    tmp_path: Path, tasks: Mapping[str, Task], tiny: Callable[..., Path]
) -> None:
    """A worker whose new model is torn goes on with the one it has."""
    folder = tiny()
    catalogue = _catalogue_of(folder, tasks["similar"])
    models = Models("cpu", cache=tmp_path / "cache", threads=1)
    models.serve(catalogue)
    before = models.served("minilm").engine

    weights = folder.with_name("torn") / "model.safetensors"
    folder.rename(weights.parent)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"cannot be loaded: model\.safetensors"):
        models.serve(_catalogue_of(weights.parent, tasks["similar"]))

    assert models.served("minilm").engine is before
    [portion] = before.answer([EngineRequest("paris", "similar")])
    assert portion.answers[0] is not None
    models.unload()


def test_a_broken_candidate_in_shadow_leaves_live_tasks_served(
    tmp_path: Path, tasks: Mapping[str, Task], tiny: Callable[..., Path]
) -> None:
    """Its model is torn: a worker that starts serves what jobs may name, and other candidates."""
    torn = tiny().rename(tmp_path / "torn") / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-100])
    live = _catalogue_of(tiny(), tasks["similar"])
    written = live.model_dump(mode="json", exclude_defaults=True)
    written["models"]["torn"] = {"source": str(torn.parent)}
    candidate = {**LABELLED, "cascade": [{"model": "torn"}], "shadow": {"of": "mood"}}
    sound = {**candidate, "cascade": [{"model": "minilm"}], "shadow": {"of": "tone"}}
    written["tasks"] |= {"mood": LABELLED, "tone": LABELLED, "next": candidate, "other": sound}
    models = Models("cpu", cache=tmp_path / "cache", threads=1)
    assert models.serve(Catalogue.model_validate_json(json.dumps(written))) == ["minilm"]
    [portion] = models.served("minilm").engine.answer([EngineRequest("lovely", "other")])
    assert portion.answers[0] is not None
    [portion] = models.served("minilm").engine.answer([EngineRequest("paris", "similar")])
    assert portion.answers[0] is not None
    models.unload()


def _catalogue_of(folder: Path, task: Task) -> Catalogue:
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"minilm": {"source": str(folder)}},
            "tasks": {"similar": task.model_dump(exclude_defaults=True)},
        }
    )
