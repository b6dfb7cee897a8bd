"""Whose fault a failed pass is: the text's, or the model's. On a real model and a real Redis."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallfirst.catalogue import Catalogue, Task
from smallfirst.jobs import Job, Priority, Tier
from smallfirst.keys import POOL_GROUP, Keys
from smallfirst.ledger import Ledger, StreamEntry
from smallfirst.legs import BatchMessage, Leg
from smallfirst_workers.batches import BatchRunner, Summary
from smallfirst_workers.engines import Asked, Engine, Served
from smallfirst_workers.errors import ModelBroken, ModelError
from smallfirst_workers.holding import Holder
from smallfirst_workers.models import Models, OnePass, check_answers
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.slm.runtimes import Ids, Runtime, States
from smallfirst_workers.wellness import answers_of

LEASE = timedelta(seconds=60)
KEYS = Keys()
BULK = KEYS.backlog("cpu", Priority.BULK)
FAR_AWAY_MS = 2**52


@dataclass
class Broken:
    """A runtime that has stopped working, whatever it is asked."""

    inner: Runtime
    error: BaseException

    @property
    def name(self) -> str:
        """As of the real one."""
        return self.inner.name

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Raise, whatever the batch."""
        del input_ids, attention_mask
        raise self.error


def run(redis: Any, engine: Engine, *texts: str) -> Summary:
    """Run one batch, parked and dispatched as every batch is."""
    router, worker = Ledger(redis, KEYS, "router-a"), Ledger(redis, KEYS, "worker-a")
    router.open([BULK], POOL_GROUP)
    for number, text in enumerate(texts):
        job = Job(id=f"j{number}", task="topic", text=text)
        leg = Leg(
            task="topic", step=0, model="minilm", pool="cpu", accept=0.0, submitted_ms=0,
            parked_ms=0, expires_ms=FAR_AWAY_MS, num_chars=len(text),
        )  # fmt: skip
        redis.xadd(BULK, {"id": f"j{number}", "job": job.model_dump_json(), "leg": leg.to_json()})
    entries = [e.entry for e in router.read([BULK], POOL_GROUP, count=100)]
    router.queue(BULK, entries)
    holder = Holder(worker, "cpu", lease=LEASE, beat=timedelta(seconds=1))
    message = BatchMessage(batch="b", model="minilm", pool="cpu", entries={"bulk": tuple(entries)})
    runner = BatchRunner(worker, KEYS, holder, LEASE)
    return runner.run(message, Served(engine, Tier.SLM, 0.05))


def given_back(redis: Any) -> list[StreamEntry]:
    """What a router finds that nobody holds."""
    router = Ledger(redis, KEYS, "router-b")
    return router.recover(BULK, POOL_GROUP, lease=LEASE, patience=LEASE)


@pytest.fixture
def broken(engine: SlmEngine, around: Any) -> Callable[[BaseException], SlmEngine]:
    """Break the engine, as if its model had rotted in memory."""
    return lambda error: around(engine, lambda inner: Broken(inner, error))


def test_a_text_that_fails_is_a_failure_of_its_own(
    redis: Any, choking: Callable[[str, Exception], SlmEngine]
) -> None:
    """The model answers a plain question, so it was the text; its batch-mates are answered."""
    engine = OnePass(choking("parcel", ValueError("no")))
    with pytest.raises(ModelBroken):
        check_answers("minilm", {"topic": _any_task()}, engine)  # the plain text has that word

    summary = run(redis, OnePass(choking("card", ValueError("no"))), "my card", "a refund")
    assert (summary.jobs, summary.results, summary.escalated) == (2, 1, 1)
    assert given_back(redis) == []


def test_a_broken_model_costs_no_job_a_start(
    redis: Any, broken: Callable[[BaseException], SlmEngine]
) -> None:
    """It fails on the plain question too: every job goes back, and none of them was to blame."""
    with pytest.raises(ModelBroken, match=r"models\.minilm answers nothing"):
        run(redis, OnePass(broken(RuntimeError("rotten"))), "my card", "a refund")
    assert [entry.starts for entry in given_back(redis)] == [0, 0]
    assert not redis.exists(KEYS.result("j0"), KEYS.result("j1"), KEYS.dead)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), SystemExit(3)])
def test_whatever_a_pass_raises_the_jobs_are_given_back(
    redis: Any, broken: Callable[[BaseException], SlmEngine], error: BaseException
) -> None:
    """Nothing is settled by a pass that never ended, and nothing stays in dead hands."""
    with pytest.raises((ModelBroken, SystemExit)):
        run(redis, OnePass(broken(error)), "my card", "a refund")
    assert len(given_back(redis)) == 2
    assert redis.keys(KEYS.result("*")) == []


def test_no_words_of_what_was_raised_are_kept(
    broken: Callable[[BaseException], SlmEngine],
) -> None:
    """A tokenizer may quote the text; the error tells its kind alone."""
    engine = OnePass(broken(ValueError("my secret")))
    with pytest.raises(ModelBroken) as caught:
        list(answers_of("minilm", engine, [Asked("my secret", "topic")]))
    assert "secret" not in str(caught.value)


def test_a_model_that_stops_answering_is_not_taken_up(
    tmp_path: Path, tasks: Mapping[str, Task], tiny: Callable[..., Path]
) -> None:
    """A worker whose new model is torn goes on with the one it has."""
    folder = tiny()
    catalogue = _catalogue_of(folder, tasks["similar"])
    models = Models("cpu", cache=tmp_path / "cache", threads=1)
    models.serve(catalogue)
    before = models.served("minilm").engine

    weights = folder.with_name("torn") / "model.safetensors"
    folder.rename(weights.parent)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"cannot be loaded: model\.safetensors"):
        models.serve(_catalogue_of(weights.parent, tasks["similar"]))

    assert models.served("minilm").engine is before
    [portion] = before.answer([Asked("paris", "similar")])
    assert portion.done.answers[0] is not None
    models.unload()


def _catalogue_of(folder: Path, task: Task) -> Catalogue:
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"minilm": {"source": str(folder)}},
            "tasks": {"similar": task.model_dump(exclude_defaults=True)},
        }
    )


def _any_task() -> Task:
    return Task.model_validate(
        {"kind": "classify", "labels": {"card": "", "refund": ""}, "cascade": [{"model": "minilm"}]}
    )
