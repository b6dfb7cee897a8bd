"""A reviewer for the demo, where nobody may sit at the desk: answers by the rows' right answers.

It takes jobs from the ledger as the review desk does, and what it decides is final at once.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from redis import Redis

from smallfirst.answers import Answer, LabelAnswer, RecordAnswer
from smallfirst.catalogue import Kind
from smallfirst.kinds import Gold
from smallfirst.ledger.decisions import Decision
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.review import Leased, Refusal, Review

#: Whose answers these are, in trails.
PERSON = "played"
#: How long it looks away when nothing waits.
_PAUSE_SECONDS = 0.1
_LEASE = timedelta(minutes=1)


def played_answer(kind: Kind, gold: Gold | None) -> Answer | None:
    """Say what a person would say who knows the right answer; None for kinds of many words."""
    if kind is Kind.CLASSIFY and isinstance(gold, str):
        return LabelAnswer(label=gold, confidence=1.0)
    if kind is Kind.JUDGE and isinstance(gold, str):
        return RecordAnswer(record={"verdict": gold, "quote": ""}, confidence=1.0)
    return None


class PlayedReviewer:
    """Decides on every job that it has an answer to, one after the other.

    Args:
        redis: Connected to the fleet.
        keys: Of its only slice.
        answers: Those that are known, by task and job.
    """

    def __init__(
        self, redis: Redis, keys: Keys, answers: Mapping[str, Mapping[str, Answer]]
    ) -> None:
        self._review = Review(redis, keys, lease=_LEASE, undo=timedelta(0))
        self._answers = answers
        self._over = Event()

    def run(self) -> None:
        """Answer until told to stop."""
        while not self._over.is_set():
            if not any(self._answer_one(task) for task in self._answers):
                self._over.wait(_PAUSE_SECONDS)

    def _answer_one(self, task: str) -> bool:
        """Answer the most urgent job of a task; whether there was one."""
        leased = self._review.lease(task, PERSON)
        if isinstance(leased, Refusal):
            return False
        answer = self._answers[task].get(leased.held.job.id)
        if answer is None:
            # For somebody at the desk.
            return self._review.skip(task, PERSON, leased.place, leased.start)
        self._review.decide(leased.held, leased.place, _decision(leased, answer))
        self._review.settle_decided()
        return True

    def stop(self) -> None:
        """Let `run` return."""
        self._over.set()


def _decision(leased: Leased, answer: Answer) -> Decision:
    return Decision(
        person=PERSON, answer=answer, decided_ms=leased.now_ms, seconds=0.0, start=leased.start
    )


@contextmanager
def played(
    redis_url: str, keys: Keys, answers: Mapping[str, Mapping[str, Answer]]
) -> Iterator[None]:
    """Have a reviewer answer beside the block, where there is anything to answer."""
    if not answers:
        yield
        return
    with Redis.from_url(redis_url) as redis:
        reviewer = PlayedReviewer(redis, keys, answers)
        thread = Thread(target=reviewer.run, name="smallfirst-reviewer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            reviewer.stop()
            thread.join()
