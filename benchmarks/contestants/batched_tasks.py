"""The task of `celery_batches.py`: celery-batches gathers up to 64 texts, and answers each."""

import os
import sys

import torch
from celery import Celery
from celery_batches import Batches
from contest import asked
from sentence_transformers import SentenceTransformer

sys.argv[1:] = [os.environ["WORK"]]
app = Celery("batched", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 128
_loaded: list[SentenceTransformer] = []
_work = asked()


@app.task(base=Batches, flush_every=64, flush_interval=0.1, name="batched.label")
def label(requests: list) -> None:  # type: ignore[type-arg]
    """Label what was gathered."""
    texts = [request.args[0] for request in requests]
    said = _work.judged(_model().encode(texts, batch_size=64, show_progress_bar=False))
    for request, one in zip(requests, said, strict=True):
        app.backend.mark_as_done(request.id, one, request=request)


def _model() -> SentenceTransformer:
    """The model of this process, in bfloat16, loaded at its first batch."""
    if not _loaded:
        torch.set_num_threads(1)
        model = SentenceTransformer(
            str(_work.model), device="cpu", model_kwargs={"dtype": torch.bfloat16}
        )
        _loaded.append(model)
    return _loaded[0]
