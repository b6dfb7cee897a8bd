"""A GGUF file becomes plain safetensors once, and whatever vLLM can serve stays where it is."""

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from transformers import AutoTokenizer

from smallfirst.catalogue.model_files import count_parameters
from smallfirst_workers.errors import ModelError
from smallfirst_workers.llm.vllm.unpacking import served_folder

HIDDEN, INNER, CONTEXT = 32, 64, 128
TOKENS = [chr(code) for code in range(33, 127)] + ["Ġ", "ab", "<|end|>"]
SHAPES = {
    "token_embd": (len(TOKENS), HIDDEN),
    "output_norm": (HIDDEN,),
    "blk.0.attn_norm": (HIDDEN,),
    "blk.0.attn_q": (HIDDEN, HIDDEN),
    "blk.0.attn_k": (HIDDEN, HIDDEN),
    "blk.0.attn_v": (HIDDEN, HIDDEN),
    "blk.0.attn_output": (HIDDEN, HIDDEN),
    "blk.0.ffn_norm": (HIDDEN,),
    "blk.0.ffn_gate": (INNER, HIDDEN),
    "blk.0.ffn_up": (INNER, HIDDEN),
    "blk.0.ffn_down": (HIDDEN, INNER),
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the GGUF file of a Llama of one layer, with a tokenizer of single characters."""
    folder = tmp_path_factory.mktemp("packed")
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_vocab_size(len(TOKENS))
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.NORMAL] * (len(TOKENS) - 1) + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(len(TOKENS) - 1)
    writer.add_eos_token_id(len(TOKENS) - 1)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    values = np.random.default_rng(7)
    for name, shape in SHAPES.items():
        writer.add_tensor(f"{name}.weight", values.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


@pytest.fixture(scope="module")
def unpacked(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Unpack it; the cache, and the folder that is to be served."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, served_folder("tiny", packed, cache)


def test_all_weights_and_the_tokenizer_are_there(unpacked: tuple[Path, Path]) -> None:
    """What is served has each parameter of the file, its architecture and its chat template."""
    folder = unpacked[1]

    assert count_parameters(folder) == sum(int(np.prod(shape)) for shape in SHAPES.values())
    about = json.loads((folder / "config.json").read_text())
    assert about["architectures"] == ["LlamaForCausalLM"]
    assert about["hidden_size"] == HIDDEN
    assert AutoTokenizer.from_pretrained(folder).chat_template


def test_it_is_unpacked_once(packed: Path, unpacked: tuple[Path, Path]) -> None:
    """A later start finds what an earlier one made, though another model's folder is new."""
    cache, folder = unpacked
    stamp = folder.stat().st_mtime_ns

    assert served_folder("tiny", packed, cache) == folder
    assert folder.stat().st_mtime_ns == stamp


def test_a_torn_file_leaves_nothing(packed: Path, tmp_path: Path) -> None:
    """A file that was cut short is refused by name, and the cache has no half a model."""
    (tmp_path / "torn").mkdir()
    shutil.copy(packed / "tiny.gguf", tmp_path / "torn")
    with (tmp_path / "torn" / "tiny.gguf").open("r+b") as file:
        file.truncate(900)

    with pytest.raises(ModelError, match=r"torn\.model|tiny\.gguf"):
        served_folder("torn", tmp_path / "torn", tmp_path / "cache")

    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()
                and path.name != ".lock"]  # fmt: skip


def test_safetensors_are_served_where_they_lie(unpacked: tuple[Path, Path], tmp_path: Path) -> None:
    """A folder that vLLM can load is not copied."""
    assert served_folder("plain", unpacked[1], tmp_path) == unpacked[1]
    assert not list(tmp_path.iterdir())
