"""Laws of what is refused before any of it runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smallfirst_workers.errors import ModelError
from smallfirst_workers.slm.engine import SlmEngine

Load = Callable[..., SlmEngine]
Tiny = Callable[..., Path]


def refusal(load: Load, folder: Path, **settings: object) -> str:
    """Why a model is not loaded."""
    with pytest.raises(ModelError) as caught:
        load(folder, runtime="torch", **settings)
    return str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_model_with_code_of_its_own_is_refused(load: Load, tiny: Tiny, file: str) -> None:
    """Whatever stands in a model's folder, none of it is run as a program."""
    path = tiny() / file
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))

    assert "auto_map" in refusal(load, path.parent)


def test_pickled_weights_are_refused(load: Load, tiny: Tiny) -> None:
    """Only safetensors are read: a pickle is a program."""
    folder = tiny()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    assert "safetensors" in refusal(load, folder)


def test_a_model_without_its_weights_is_refused(load: Load, tiny: Tiny) -> None:
    """Weights that are not in the file are not made up."""
    folder = tiny()
    config = json.loads((folder / "config.json").read_text())
    more = {**config, "architectures": ["BertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(more))

    assert "lacks 2 of its weights" in refusal(load, folder)


def test_a_window_longer_than_the_model_takes_is_refused(load: Load, tiny: Tiny) -> None:
    """The error says what the model's limit is."""
    assert refusal(load, tiny(), max_tokens=64).endswith(
        "has max_tokens 64, but it reads at most 32"
    )


def test_a_shorter_window_is_a_choice(load: Load, tiny: Tiny) -> None:
    """The catalogue may have texts read in shorter windows than the model takes."""
    engine = load(tiny(), runtime="torch", max_tokens=16)

    assert engine.encoder.reader.max_tokens == 16


def test_a_folder_without_a_model_is_refused(load: Load, tmp_path: Path) -> None:
    """An empty folder is no model, and the error names the model meant."""
    assert refusal(load, tmp_path).startswith("models.minilm has no weights")


def test_a_tokenizer_without_offsets_is_refused(load: Load, tiny: Tiny) -> None:
    """A tokenizer that cannot tell where its tokens stand is of no use here."""
    folder = tiny()
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CanineTokenizer"})
    )

    assert "tokenizer" in refusal(load, folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [("model.safetensors", None), ("model.safetensors", b""), ("config.json", b'{"model_type"')],
)
def test_a_torn_file_is_named(load: Load, tiny: Tiny, file: str, content: bytes | None) -> None:
    """A download that broke off is refused, and the error says which file to fetch again."""
    path = tiny() / file
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)

    assert f"models.minilm cannot be loaded: {file}: " in refusal(load, path.parent)
