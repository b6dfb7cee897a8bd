"""celery-batches: one text a message, gathered in the worker, torch in bfloat16."""

import os

from celery import Celery
from celery_worker import serve
from contest import asked, tell, timed

#: Results asked for at once.
IN_FLIGHT = 2000


def main() -> None:
    """Send a task for every text, and wait for its label."""
    work = asked()
    with serve("batched_tasks", pool="solo") as broker:
        app = Celery(broker=broker, backend=broker)
        send = app.signature("batched.label").clone
        warm = [send((text,)).apply_async() for text in work.texts[:64]]
        while warm:
            warm.pop().get(timeout=300)
        with timed() as timing:
            sent = [send((text,)).apply_async() for text in work.texts]
            labels = [one.get(timeout=300) for one in sent]
    tell(timing, labels)
    # Celery's results say goodbye to their Redis when they go, and would wait for it for minutes.
    os._exit(0)


if __name__ == "__main__":
    main()
