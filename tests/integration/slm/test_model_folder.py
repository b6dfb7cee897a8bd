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


def test_a_model_without_its_tokenizer_is_refused(load: Load, tiny: Tiny) -> None:
    """One that was saved without it would read every text as unknown words, and answer."""
    folder = tiny()
    for path in [*folder.glob("*token*"), *folder.glob("vocab*")]:
        path.unlink()

    assert "has no tokenizer" in refusal(load, folder)
    assert "tokenizer.save_pretrained" in refusal(load, folder)


@pytest.mark.parametrize("vocab_size", [12, 400])
def test_a_tokenizer_of_another_model_is_refused(load: Load, tiny: Tiny, vocab_size: int) -> None:
    """More tokens than embeddings, or far fewer: the error says how many there are of each."""
    folder = tiny(vocab_size=vocab_size)

    assert f"a tokenizer of 17 tokens and {vocab_size} embeddings" in refusal(load, folder)


@pytest.mark.parametrize(
    ("said", "settings", "pooled"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, {}, "mean"),
        ({"pooling_mode_max_tokens": True}, {"pooling": "mean"}, "mean"),
        ({}, {}, "mean"),
    ],
)
def test_a_model_is_pooled_as_its_files_say(
    load: Load, tiny: Tiny, said: dict[str, bool], settings: dict[str, str], pooled: str
) -> None:
    """The catalogue goes first, then the model's own file, then the mean."""
    folder = tiny()
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))

    assert load(folder, runtime="torch", **settings).encoder.pooling == pooled


def test_a_way_of_pooling_that_is_not_served_is_refused(load: Load, tiny: Tiny) -> None:
    """It is named, with what the catalogue can say instead; and it is another model's hash."""
    folder = tiny()
    before = load(folder, runtime="torch").folder.content_hash
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')

    assert "wants to be pooled by pooling_mode_max_tokens" in refusal(load, folder)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert load(folder, runtime="torch").folder.content_hash != before


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
