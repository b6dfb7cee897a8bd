"""A worker's models change under it: the one before leaves only when the new one answers."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smallfirst.catalogue import Catalogue, Task
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import ModelError
from smallfirst_workers.models import Models


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


def _catalogue_of(folder: Path, task: Task) -> Catalogue:
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"minilm": {"source": str(folder)}},
            "tasks": {"similar": task.model_dump(exclude_defaults=True)},
        }
    )
