"""LoRA adapters on real vLLM: heeded where they are asked for, refused where they are broken."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from smallfirst.catalogue import Model
from smallfirst_workers.llm.vllm_loop import VllmLoop

pytestmark = [
    pytest.mark.timeout(300),
    # vLLM imports parts of torch that are scripted with what torch is about to drop.
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]

HIDDEN, LAYERS, RANK = 128, 2, 4
VOCABULARY = 600
PROMPT = tuple(range(20, 40))
CANDIDATES = (30, 31, 32)


def make_adapter(folder: Path, seed: int) -> None:
    """Make a random adapter, in the manner of peft, that turns the model's attention about."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        f"base_model.model.model.layers.{layer}.self_attn.{part}.lora_{side}.weight": torch.randn(
            shape, generator=generator
        )
        for layer in range(LAYERS)
        for part in ("q_proj", "v_proj")
        for side, shape in (("A", (RANK, HIDDEN)), ("B", (HIDDEN, RANK)))
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def adapted(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmLoop]:
    """The model with two adapters."""
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("law", "mail")):
        make_adapter(folder / name, seed)
    adapters = {name: str(folder / name) for name in ("mail", "law")}
    model = Model(
        source=str(babble), tier="llm", adapters=adapters, precision="float32", max_tokens=256
    )
    vllm = VllmLoop("babble")
    vllm.start(babble, model, cache=folder)
    yield vllm
    vllm.stop()


def logprobs(vllm: VllmLoop, adapter: str | None = None) -> list[float]:
    """How likely the engine finds each candidate."""
    found = vllm.loop.call(vllm.next_logprobs(PROMPT, CANDIDATES, adapter=adapter))
    return [found[token] for token in CANDIDATES]


def test_each_adapter_answers_in_its_own_way(adapted: VllmLoop) -> None:
    """Law, mail and the bare model differ; asked again, each says the same."""
    law, mail, bare = (logprobs(adapted, name) for name in ("law", "mail", None))

    assert law != pytest.approx(bare, abs=0.01)
    assert mail != pytest.approx(bare, abs=0.01)
    assert law != pytest.approx(mail, abs=0.01)
    for name, before in (("law", law), (None, bare), ("mail", mail)):
        assert logprobs(adapted, name) == pytest.approx(before, abs=1e-5)


def test_what_is_written_heeds_the_adapter(adapted: VllmLoop) -> None:
    """The first token written is the likeliest of all, as the request's adapter finds it."""
    likeliest = []
    for name in ("law", None):
        [writing] = adapted.loop.call(adapted.write(PROMPT, max_tokens=1, adapter=name))
        found = adapted.loop.call(adapted.next_logprobs(PROMPT, range(VOCABULARY), adapter=name))
        assert writing.logprobs[0] == pytest.approx(max(found.values()), abs=1e-5)
        likeliest.append(writing.logprobs[0])

    assert likeliest[0] != pytest.approx(likeliest[1], abs=1e-3)


def test_any_number_of_tokens_can_be_scored(adapted: VllmLoop) -> None:
    """Asked of the whole vocabulary, the probabilities are those of one distribution."""
    found = adapted.loop.call(adapted.next_logprobs(PROMPT, range(VOCABULARY)))

    assert sum(map(math.exp, found.values())) == pytest.approx(1.0, abs=1e-4)
