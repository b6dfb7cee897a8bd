"""The task of `message_of_64.py`: texts in, a label each out."""

import os
import sys

import torch
from celery import Celery
from contest import asked
from sentence_transformers import SentenceTransformer

sys.argv[1:] = [os.environ["WORK"]]
app = Celery("message", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 1
_loaded: list[SentenceTransformer] = []
_work = asked()


@app.task(name="message.labels")
def labels(texts: list[str]) -> list[str]:
    """Label the texts of one message."""
    return _work.judged(_model().encode(texts, batch_size=64, show_progress_bar=False))


def _model() -> SentenceTransformer:
    """The model of this process, in bfloat16, loaded at its first message."""
    if not _loaded:
        torch.set_num_threads(1)
        model = SentenceTransformer(
            str(_work.model), device="cpu", model_kwargs={"dtype": torch.bfloat16}
        )
        _loaded.append(model)
    return _loaded[0]
