"""A fleet with a language model on real vLLM, in a worker of its own.

The model is made here and knows nothing: whatever is true of its answers is true by construction,
and not because a model was clever.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.tiny_llama import make_model

from smallfirst import Client
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import free_port
from smallfirst_workers.llm.vllm.async_engine import environment

CATALOGUE = """
version: 1
pools:
  llm:
    tier: llm
    max_parameters: 50M
    batch_tokens: 16384
    batch_jobs: 32
    max_concurrent_batches: 4
    price_per_hour: 0.1
models:
  babble: {tier: llm, source: ./babble}
tasks:
  topic:
    kind: classify
    labels:
      billing: charges, invoices, prices, vouchers, ways to pay
      delivery: where a parcel is, what is missing from it, when and how it comes
      account: login, profile, security, stored data
    cascade: [{model: babble}]
  invoice:
    kind: extract
    fields:
      is_paid: {type: boolean, description: whether it was paid}
      due: {type: date, description: day by which to pay}
    cascade: [{model: babble}]
  tampering:
    kind: judge
    question: Was this document changed after it was written?
    cascade: [{model: babble}]
  reply:
    kind: generate
    max_answer_tokens: 40
    cascade: [{model: babble}]
  about:
    kind: multilabel
    labels: {money: sums and payments, time: days and hours, people: names and offices}
    max_answer_tokens: 60
    cascade: [{model: babble}]
  names:
    kind: tag
    labels: {person: name of a person, place: name of a place}
    max_answer_tokens: 60
    cascade: [{model: babble}]
  pondered:
    kind: classify
    labels: {billing: money, delivery: parcels, account: login}
    cascade: [{model: babble, think: {tokens: 24}, vote: 3}]
  polled:
    kind: extract
    fields:
      is_paid: {type: boolean, description: whether it was paid}
      due: {type: date, description: day by which to pay}
    cascade: [{model: babble, vote: 3}]
"""
#: A task whose labels fill the context. The model's tokenizer knows nothing of it.
CROWDED = f"""
  crowded:
    kind: classify
    labels: {{{", ".join(f"case {n}: what is filed as {n}" for n in range(150))}}}
    cascade: [{{model: babble}}]
"""


@pytest.fixture(scope="session", autouse=True)
def vllm_cache(cache_in_the_checkout: Path) -> Iterator[Path]:
    """Where every engine finds what vLLM knows of a kind of model, and need not start a process.

    That process imports all of vLLM: it takes as long as an engine does.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CACHE_ROOT", environment(cache_in_the_checkout)["VLLM_CACHE_ROOT"])
        yield Path(os.environ["VLLM_CACHE_ROOT"])


@pytest.fixture(scope="session")
def babble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, for tests that run vLLM in their own process."""
    folder = tmp_path_factory.mktemp("model") / "babble"
    make_model(folder, CATALOGUE)
    return folder


class ToldFleet(LocalFleet):
    """A fleet whose one worker answers Prometheus."""

    metrics_port = 0

    def environment_of(self, child: str) -> dict[str, str]:
        """Tell the worker its port besides."""
        own = {"SMALLFIRST_METRICS_PORT": str(self.metrics_port)} if "llm" in child else {}
        return super().environment_of(child) | own


@pytest.fixture(scope="session")
def llm_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToldFleet]:
    """A fleet whose one pool runs the model, for every module: an engine takes long to start."""
    folder = tmp_path_factory.mktemp("llm")
    make_model(folder / "babble", CATALOGUE)
    (folder / "catalogue.yaml").write_text(CATALOGUE + CROWDED)
    fleet = ToldFleet(folder / "catalogue.yaml", folder / "fleet", flower=False, persistent=False)
    fleet.metrics_port = free_port()
    with fleet:
        fleet.wait_ready(timedelta(minutes=6))
        yield fleet


@pytest.fixture(scope="module")
def client(llm_fleet: LocalFleet) -> Iterator[Client]:
    """A producer of the fleet's."""
    with Client(llm_fleet.redis_url) as client:
        yield client
