"""Celery as a first attempt has it: one text a task, sentence-transformers in a prefork pool."""

from celery import Celery
from celery_worker import serve
from contest import asked, tell, timed

#: Results asked for at once.
IN_FLIGHT = 2000


def main() -> None:
    """Send a task for every text, and wait for its label."""
    work = asked()
    with serve("naive_tasks", pool="prefork") as broker:
        app = Celery(broker=broker, backend=broker)
        send = app.signature("naive.label").clone
        warm = [send((text,)).apply_async() for text in work.texts[:64]]
        for one in warm:
            one.get()
        with timed() as timing:
            sent = [send((text,)).apply_async() for text in work.texts]
            labels = [one.get() for one in sent]
    tell(timing, labels)


if __name__ == "__main__":
    main()
