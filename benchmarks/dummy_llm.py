"""A model of Llama 3.1 8B's size, with random weights and the pocket LLM's tokenizer.

What it answers means nothing; how fast it answers is what a real model of its size would show. The
sizes are those of the model's published `config.json`. Tokens that the tokenizer lacks are never
written: their rows are nought, and of thousands of random logits some are always larger.

    python benchmarks/dummy_llm.py build/dummy-8b
    python benchmarks/llm_throughput.py --model build/dummy-8b --memory-share 0.4
"""

import argparse
import shutil
from pathlib import Path

import torch
from pocket_jobs import POCKET
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def write_dummy(folder: Path, config: LlamaConfig) -> None:
    """Write a model folder as vLLM loads it: random weights in bfloat16, safetensors."""
    folder.mkdir(parents=True)
    for name in _TOKENIZER:
        shutil.copy(POCKET / "model" / name, folder)
    num_known = len(AutoTokenizer.from_pretrained(folder))
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[num_known:] = 0
    model.save_pretrained(folder)
    print(f"{folder}: {sum(weights.numel() for weights in model.parameters()):,} parameters")


def llama_8b() -> LlamaConfig:
    """Llama 3.1 8B, with the special tokens of the pocket LLM."""
    return LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    write_dummy(parser.parse_args().folder, llama_8b())


if __name__ == "__main__":
    main()
