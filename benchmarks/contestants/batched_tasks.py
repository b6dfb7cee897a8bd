"""The task of `celery_batches.py`: celery-batches gathers up to 64 texts, and answers each."""

import os
import sys

import torch
from celery import Celery
from celery_batches import Batches
from contest import asked
from st_encoder import encoder

sys.argv[1:] = [os.environ["WORK"]]
app = Celery("batched", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 128
_work = asked()


@app.task(base=Batches, flush_every=64, flush_interval=0.1, name="batched.label")
def label(requests: list) -> None:  # type: ignore[type-arg]
    """Label what was gathered."""
    texts = [request.args[0] for request in requests]
    said = _work.judged(
        encoder(_work.model, torch.bfloat16).encode(texts, batch_size=64, show_progress_bar=False)
    )
    for request, one in zip(requests, said, strict=True):
        app.backend.mark_as_done(request.id, one, request=request)
