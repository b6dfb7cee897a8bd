"""LoRA adapters on real vLLM: heeded where they are asked for, refused where they are broken."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from smallfirst.catalogue import Model
from smallfirst_workers.errors import ModelError
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine

pytestmark = [
    pytest.mark.timeout(300),
    # vLLM imports parts of torch that are scripted with what torch is about to drop.
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]

HIDDEN, LAYERS, RANK = 128, 2, 4
VOCABULARY = 600
PROMPT = tuple(range(20, 40))
CANDIDATES = (30, 31, 32)


def make_adapter(folder: Path, *, seed: int, parts: tuple[str, ...] = ("q_proj", "v_proj")) -> None:
    """Make a random adapter, in the manner of peft, that turns the model's attention about."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        f"base_model.model.model.layers.{layer}.self_attn.{part}.lora_{side}.weight": torch.randn(
            shape, generator=generator
        )
        for layer in range(LAYERS)
        for part in parts
        for side, shape in (("A", (RANK, HIDDEN)), ("B", (HIDDEN, RANK)))
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": parts,
    }
    (folder / "adapter_config.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def adapted(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsyncEngine]:
    """The model with two adapters."""
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("law", "mail")):
        make_adapter(folder / name, seed=seed)
    vllm = AsyncEngine("babble")
    vllm.start(babble, with_adapters(folder, "mail", "law"), cache=folder)
    yield vllm
    vllm.stop()


def with_adapters(folder: Path, *names: str) -> Model:
    """The model as the catalogue has it, with the adapters of these names in a folder."""
    adapters = {name: str(folder / name) for name in names}
    return Model(
        source="./babble", tier="llm", adapters=adapters, precision="float32", max_tokens=256
    )


def logprobs(vllm: AsyncEngine, adapter: str | None = None) -> list[float]:
    """How likely the engine finds each candidate."""
    found = vllm.loop.call(vllm.next_logprobs(PROMPT, CANDIDATES, adapter=adapter))
    return [found[token] for token in CANDIDATES]


def test_each_adapter_answers_in_its_own_way(adapted: AsyncEngine) -> None:
    """Law, mail and the bare model differ; asked again, each says the same."""
    law, mail, bare = (logprobs(adapted, name) for name in ("law", "mail", None))

    assert law != pytest.approx(bare, abs=0.01)
    assert mail != pytest.approx(bare, abs=0.01)
    assert law != pytest.approx(mail, abs=0.01)
    for name, before in (("law", law), (None, bare), ("mail", mail)):
        assert logprobs(adapted, name) == pytest.approx(before, abs=1e-5)


def test_what_is_written_heeds_the_adapter(adapted: AsyncEngine) -> None:
    """The first token written is the likeliest of all, as the request's adapter finds it."""
    likeliest = []
    for name in ("law", None):
        [writing] = adapted.loop.call(adapted.write(PROMPT, max_tokens=1, adapter=name))
        found = adapted.loop.call(adapted.next_logprobs(PROMPT, range(VOCABULARY), adapter=name))
        assert writing.logprobs[0] == pytest.approx(max(found.values()), abs=1e-5)
        likeliest.append(writing.logprobs[0])

    assert likeliest[0] != pytest.approx(likeliest[1], abs=1e-3)


def test_any_number_of_tokens_can_be_scored(adapted: AsyncEngine) -> None:
    """Asked of the whole vocabulary, the probabilities are those of one distribution."""
    found = adapted.loop.call(adapted.next_logprobs(PROMPT, range(VOCABULARY)))

    assert sum(map(math.exp, found.values())) == pytest.approx(1.0, abs=1e-4)


def test_an_adapter_that_vllm_refuses_is_named(adapted: AsyncEngine, tmp_path: Path) -> None:
    """One that was made for another model is no adapter of this; those loaded before go on."""
    make_adapter(tmp_path / "torn", seed=0, parts=("no_such_projection",))
    law = logprobs(adapted, "law")

    with pytest.raises(ModelError, match=r"models\.babble cannot use adapters\.torn: vLLM says"):
        adapted.loop.call(adapted._load_adapters(with_adapters(tmp_path, "law", "mail", "torn")))

    assert logprobs(adapted, "law") == pytest.approx(law, abs=1e-5)
