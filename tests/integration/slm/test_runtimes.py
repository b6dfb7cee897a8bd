"""Laws of the runtimes: they agree, and a start costs no more than it must."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from smallfirst.catalogue import Kind, Model, ModelStep, Task
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.int8 import TOLERANCE, check_near
from smallfirst_workers.encoding.runtimes.loading import load_runtime
from smallfirst_workers.encoding.runtimes.openvino_runtime import OpenVinoRuntime
from smallfirst_workers.encoding.runtimes.torch_runtime import TorchRuntime
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import ConversionError
from smallfirst_workers.slm.engine import SlmEngine

TEXTS = [
    "where is my card",
    "I would like to have the money for the chair back, please, it came broken",
    "hello",
    "\u00a1Hola! \U0001f600 la tarjeta no lleg\u00f3",
    "my password does not work " * 60,
] * 4

#: How far a vector's numbers, and its direction, may be from torch float32.
TOLERANCES = {
    ("openvino", "float32"): (1e-4, 0.999999),
    ("torch", "bfloat16"): (1e-2, 0.999),
    ("openvino", "bfloat16"): (1e-2, 0.999),
    ("openvino", "int8"): (5e-2, 0.97),
}
Load = Callable[..., SlmEngine]


def vectors(engine: SlmEngine) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """The embeddings of the texts: `(texts, hidden)`."""
    engine.prepare({"similar": Task(kind=Kind.EMBED, cascade=(ModelStep(model="minilm"),))})
    done = engine.run([EngineRequest(text, "similar") for text in TEXTS])
    return np.array([getattr(answer, "vector", ()) for answer in done.answers])


def save_random(config: Any, folder: Path) -> None:
    """Write a model with random weights."""
    architectures: Any = transformers.AutoModel
    architectures.from_config(config).save_pretrained(folder)


@pytest.fixture(scope="session")
def reference(load: Load) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """The embeddings according to torch in float32."""
    return vectors(load(runtime="torch", precision="float32"))


@pytest.mark.parametrize(("runtime", "precision"), TOLERANCES)
def test_every_runtime_agrees_with_the_reference(
    load: Load,
    reference: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
    runtime: str,
    precision: str,
) -> None:
    """Short, long and padded texts get the vector that torch gives them in float32."""
    found = vectors(load(runtime=runtime, precision=precision))

    furthest, direction = TOLERANCES[runtime, precision]
    assert np.abs(found - reference).max() < furthest
    assert (found * reference).sum(axis=1).min() > direction


def test_a_warm_start_imports_neither_torch_nor_transformers(
    engine: SlmEngine, minilm: Path, cache: Path
) -> None:
    """Once the model is converted and the heads are trained, a worker starts without them."""
    assert engine.revision
    script = f"""
import sys
from pathlib import Path
from typing import Any
from smallfirst.catalogue import Model
from smallfirst_workers.slm.engine import SlmEngine
SlmEngine.load("minilm", Model(source="./m"), Path({str(minilm)!r}), cache=Path({str(cache)!r}),
               threads=1)
heavy = {{"torch", "transformers", "sklearn"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_nothing_is_told_to_the_makers_of_openvino(tmp_path: Path) -> None:
    """Importing the runtime loads no telemetry and writes nothing into the home directory."""
    script = """
import sys
from smallfirst_workers.encoding.runtimes.openvino_runtime import import_openvino
import_openvino().Core()
sys.exit("telemetry" if sys.modules.get("openvino_telemetry") else 0)
"""
    home = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=home)

    assert not list(tmp_path.iterdir())


def test_quantising_a_model_tells_nobody_and_logs_nothing(
    load: Load, minilm: Path, cache: Path, tmp_path: Path
) -> None:
    """A process that makes a graph of eight bits writes no report, no bar and no file at home."""
    made = load(runtime="openvino", precision="float32").folder.content_hash[:16]
    script = f"""
import sys
from pathlib import Path
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.int8 import quantise
from smallfirst_workers.encoding.runtimes.openvino_runtime import import_openvino
[graph] = Path({str(cache)!r}).glob("openvino/{made}-*/model.xml")
folder = ModelFolder.open("minilm", Path({str(minilm)!r}))
quantise(folder, import_openvino().Core().read_model(graph), cache=Path({str(cache)!r}))
sys.exit("telemetry" if sys.modules.get("openvino_telemetry") else 0)
"""
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=120, env=home, capture_output=True
    )

    assert (done.stdout, done.stderr) == (b"", b"")
    assert not list(tmp_path.iterdir())


def test_a_model_that_does_not_survive_eight_bits_is_refused(minilm: Path) -> None:
    """What answers differently in int8 is not served so; the share that it is off by is told."""
    folder = ModelFolder.open("minilm", minilm)
    states = [np.ones((1, 4, 8), np.float32), np.full((1, 9, 8), 2, np.float32)]

    check_near(folder, states, [each * (1 + 0.9 * TOLERANCE) for each in states])
    with pytest.raises(ConversionError, match="off by 30%"):
        check_near(folder, states, [each * (1 + 1.2 * TOLERANCE) for each in states])
    with pytest.raises(ConversionError):
        check_near(folder, states, [each * np.float32(np.nan) for each in states])


def test_a_model_that_cannot_be_converted_runs_in_torch(tmp_path: Path) -> None:
    """Slower is better than not at all; nothing of the failed attempt is kept."""
    config = transformers.LongformerConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=80,
        attention_window=8,
    )
    save_random(config, tmp_path / "model")
    folder = ModelFolder.open("long", tmp_path / "model")

    for precision in ("auto", "int8"):
        model = Model(source="./x", precision=precision)
        runtime = load_runtime(folder, model, cache=tmp_path / "cache", threads=1)

        assert runtime.name.startswith(("torch-bfloat16", "torch-float32"))
    assert {path.name for path in (tmp_path / "cache" / "openvino").iterdir()} == {".lock"}


@pytest.mark.parametrize("family", ["Roberta", "DebertaV2", "ModernBert", "MPNet", "Electra"])
def test_encoders_of_every_family_are_converted(tmp_path: Path, family: str) -> None:
    """Other positions, other attention, other padding: the converted model is the model."""
    config = getattr(transformers, f"{family}Config")(
        vocab_size=120,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
    )
    save_random(config, tmp_path / "model")
    folder = ModelFolder.open("any", tmp_path / "model")
    ids = np.random.default_rng(0).integers(5, 119, (3, 29))
    mask = (np.arange(29) < np.array([[29], [11], [4]])).astype(np.int64)
    ids[mask == 0] = 1

    reference = TorchRuntime.load(folder, precision="float32", threads=1).forward(ids, mask)
    converted = OpenVinoRuntime.load(folder, precision="float32", cache=tmp_path, threads=1)

    found = converted.forward(ids, mask)
    np.testing.assert_allclose(found[mask > 0], reference[mask > 0], atol=1e-4)


def test_a_conversion_is_kept_for_the_next_process(engine: SlmEngine, cache: Path) -> None:
    """The graph lies in the cache under the model's hash and the versions that made it."""
    (graph,) = (cache / "openvino").glob(f"{engine.folder.content_hash[:16]}-*/model.xml")

    assert graph.with_suffix(".bin").stat().st_size > 80_000_000
    facts = cache / "tokenizers" / f"{engine.folder.content_hash[:16]}-2" / "reader.json"
    assert json.loads(facts.read_text())["max_tokens"] == 256
