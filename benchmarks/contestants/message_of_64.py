"""Celery with 64 texts in a message, cut beforehand: torch in bfloat16, as fast as it goes."""

from celery import Celery
from celery_worker import answers, end, serve
from contest import asked, timed

#: Texts in a message.
SIZE = 64


def main() -> None:
    """Send the texts in messages of 64, as they come, and wait for their labels."""
    work = asked()
    with serve("message_tasks", pool="prefork") as broker:
        send = Celery(broker=broker, backend=broker).signature("message.labels").clone
        answers(send, [(work.texts[:SIZE],)] * 4)
        with timed() as timing:
            parts = [(work.texts[n : n + SIZE],) for n in range(0, len(work.texts), SIZE)]
            labels = [label for said in answers(send, parts) for label in said]
    end(timing, labels)


if __name__ == "__main__":
    main()
