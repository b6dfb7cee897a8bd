"""Celery with 64 texts in a message, cut beforehand: torch in bfloat16, as fast as it goes."""

from celery import Celery
from celery_worker import serve
from contest import asked, tell, timed

#: Texts in a message.
SIZE = 64


def main() -> None:
    """Send the texts in messages of 64, as they come, and wait for their labels."""
    work = asked()
    with serve("message_tasks", pool="prefork") as broker:
        app = Celery(broker=broker, backend=broker)
        send = app.signature("message.labels").clone
        warm = [send((work.texts[:SIZE],)).apply_async() for _ in range(4)]
        for one in warm:
            one.get()
        with timed() as timing:
            parts = [work.texts[first : first + SIZE] for first in range(0, len(work.texts), SIZE)]
            sent = [send((part,)).apply_async() for part in parts]
            labels = [label for one in sent for label in one.get()]
    tell(timing, labels)


if __name__ == "__main__":
    main()
