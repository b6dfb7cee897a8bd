"""The task of `naive_celery.py`: a text in, its label out."""

import os
import sys

import torch
from celery import Celery
from contest import asked
from sentence_transformers import SentenceTransformer

sys.argv[1:] = [os.environ["WORK"]]
app = Celery("naive", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 4
_loaded: list[SentenceTransformer] = []
_work = asked()


@app.task(name="naive.label")
def label(text: str) -> str:
    """Label one text."""
    [said] = _work.judged(_model().encode([text], show_progress_bar=False))
    return said


def _model() -> SentenceTransformer:
    """The model of this process, loaded at its first task."""
    if not _loaded:
        torch.set_num_threads(1)
        _loaded.append(SentenceTransformer(str(_work.model), device="cpu"))
    return _loaded[0]
