"""The task of `naive_celery.py`: a text in, its label out."""

import os
import sys

from celery import Celery
from contest import asked
from st_encoder import encoder

sys.argv[1:] = [os.environ["WORK"]]
app = Celery("naive", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 4
_work = asked()


@app.task(name="naive.label")
def label(text: str) -> str:
    """Label one text."""
    [said] = _work.judged(encoder(_work.model).encode([text], show_progress_bar=False))
    return said
