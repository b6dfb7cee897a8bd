"""The task of `message_of_64.py`: texts in, a label each out."""

import os
import sys

import torch
from celery import Celery
from contest import asked
from st_encoder import encoder

sys.argv[1:] = [os.environ["WORK"]]
app = Celery("message", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 1
_work = asked()


@app.task(name="message.labels")
def labels(texts: list[str]) -> list[str]:
    """Label the texts of one message."""
    return _work.judged(
        encoder(_work.model, torch.bfloat16).encode(texts, batch_size=64, show_progress_bar=False)
    )
